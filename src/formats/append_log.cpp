#include "formats/append_log.h"

#include <filesystem>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace gfsa {

AppendLog::AppendLog(Env& env, std::string path) : env_(env), path_(std::move(path)) {}

void AppendLog::append(std::string_view text) {
  add(text);
  flush();
}

bool AppendLog::flush() {
  if (waiting_.empty()) return true;
  try {
    write_waiting();
  } catch (const Error& e) {
    if (trouble_.empty()) log::warn("{}; what is to be logged waits in memory and is tried again", e.message());
    trouble_ = e.message();
    return false;
  }
  *length_ += waiting_.size();
  waiting_.clear();
  if (!trouble_.empty()) log::info("{}: can be written again; nothing is missing", path_);
  trouble_.clear();
  return true;
}

void AppendLog::write_waiting() {
  if (!length_) length_ = env_.exists(path_) ? env_.open(path_)->size() : 0;
  if (*length_ == 0) env_.create_directories(std::filesystem::path(path_).parent_path().string());
  if (!trouble_.empty() && env_.exists(path_)) {
    const std::string content = env_.read(path_);
    if (content.size() > *length_) return env_.write(path_, content.substr(0, *length_) + waiting_);
  }
  env_.append(path_, waiting_);
}

}  // namespace gfsa
