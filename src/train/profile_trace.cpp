#include "train/profile_trace.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

namespace gfsa::train {
namespace {

using nlohmann::ordered_json;
using profile::Kind;
using profile::Range;

const char* category(Kind kind) {
  switch (kind) {
    case Kind::phase:
      return "phase";
    case Kind::module:
      return "module";
    case Kind::forward:
      return "forward";
    case Kind::backward:
      return "backward";
  }
  return "";
}

// Whole nanoseconds, so that what lies within something does so in the file too.
int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }

ordered_json event(const std::string& name, const char* category, int thread, double start, double end) {
  const int64_t from = nanoseconds(start), to = nanoseconds(end);
  return {{"ph", "X"},
          {"name", name},
          {"cat", category},
          {"pid", 0},
          {"tid", thread},
          {"ts", static_cast<double>(from) / 1e3},
          {"dur", static_cast<double>(to - from) / 1e3}};
}

ordered_json metadata(const char* what, int thread, const char* key, const ordered_json& value) {
  return {{"ph", "M"}, {"name", what}, {"pid", 0}, {"tid", thread}, {"args", {{key, value}}}};
}

// Opens and closes modules as ops of them come by.
class ModuleEvents {
 public:
  explicit ModuleEvents(ordered_json& events) : events_(events) {}
  ~ModuleEvents() { close(0); }
  ModuleEvents(const ModuleEvents&) = delete;
  ModuleEvents& operator=(const ModuleEvents&) = delete;

  // around: what the op lies in but for modules.
  void take(const Range& op, const Module& module, int64_t around) {
    if (around != around_) close(0);
    around_ = around, thread_ = op.thread;
    const auto levels = levels_of(module.path);
    size_t same = 0;
    if (module.block == block_) {
      while (same < std::min(levels.size(), open_.size()) && levels[same] == open_[same].path) ++same;
    }
    close(same);
    block_ = module.block;
    for (size_t i = same; i < levels.size(); ++i) open_.push_back({levels[i], op.start});
    end_ = op.end;
  }

 private:
  struct Open {
    std::string path;
    double start;
  };
  void close(size_t from) {
    while (open_.size() > from) {
      events_.push_back(event(open_.back().path, category(Kind::module), thread_, open_.back().start, end_));
      open_.pop_back();
    }
  }

  ordered_json& events_;
  std::vector<Open> open_;
  int64_t around_ = -1, block_ = -1;
  int thread_ = 0;
  double end_ = 0;
};

}  // namespace

std::string trace_json(const profile::Recording& recording, const std::vector<Module>& modules,
                       const std::vector<std::pair<std::string, std::string>>& facts) {
  ordered_json events = ordered_json::array();
  events.push_back(metadata("process_name", 0, "name", "gfsa-train"));
  for (size_t t = 0; t < recording.threads.size(); ++t) {
    events.push_back(metadata("thread_name", static_cast<int>(t), "name", recording.threads[t]));
    events.push_back(metadata("thread_sort_index", static_cast<int>(t), "sort_index", t));
  }
  {
    ModuleEvents parts(events);
    for (size_t i = 0; i < recording.ranges.size(); ++i) {
      const Range& range = recording.ranges[i];
      if (range.kind == Kind::module) continue;
      ordered_json e = event(range.name, category(range.kind), range.thread, range.start, range.end);
      if (range.kind != Kind::phase) {
        e["args"] = {{"module", modules[i].path}, {"flops", range.flops}, {"bytes", range.bytes}};
        int64_t around = range.parent;
        const auto at = [&](int64_t r) -> const Range& { return recording.ranges[static_cast<size_t>(r)]; };
        while (around >= 0 && at(around).kind == Kind::module) around = at(around).parent;
        parts.take(range, modules[i], around);
      }
      events.push_back(std::move(e));
    }
  }
  ordered_json other = ordered_json::object();
  for (const auto& [name, value] : facts) other[name] = value;
  std::string text = "{\"displayTimeUnit\":\"ms\",\n\"otherData\":" + other.dump() + ",\n\"traceEvents\":[\n";
  // One event a line.
  for (size_t i = 0; i < events.size(); ++i) text += events[i].dump() + (i + 1 < events.size() ? ",\n" : "\n");
  return text + "]}\n";
}

}  // namespace gfsa::train
