#include "train/profile_modules.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace gfsa::train {
namespace {

using profile::Kind;
using profile::Range;

bool is_number(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string common(const std::string& a, const std::string& b) {
  const auto in_a = levels_of(a), in_b = levels_of(b);
  std::string last;
  for (size_t i = 0; i < std::min(in_a.size(), in_b.size()) && in_a[i] == in_b[i]; ++i) last = in_a[i];
  return last;
}

void narrow(std::optional<std::string>& to, const std::string& path) { to = to ? common(*to, path) : path; }

// The parameters' own part; nothing for an op without.
std::optional<std::string> own_path(const Range& range, const ParameterNames& names) {
  std::optional<std::string> path;
  for (const void* slot : range.parameters) {
    const auto found = names.find(slot);
    if (found == names.end()) continue;
    const size_t dot = found->second.rfind('.');
    narrow(path, dot == std::string::npos ? found->second : found->second.substr(0, dot));
  }
  return path;
}

class Finder {
 public:
  Finder(const profile::Recording& recording, const ParameterNames& names)
      : ranges_(recording.ranges), modules_(ranges_.size()), names_(names) {}

  std::vector<Module> find() {
    for (size_t i = 0; i < ranges_.size(); ++i) {
      if (ranges_[i].kind == Kind::forward) take(static_cast<int64_t>(i));
    }
    for (const auto& [place, ops] : groups_) name(place.second, ops);
    for (size_t i = 0; i < ranges_.size(); ++i) {
      const Range& range = ranges_[i];
      if (range.kind == Kind::backward && range.forward >= 0) modules_[i] = modules_[at(range.forward)];
    }
    return std::move(modules_);
  }

 private:
  using Place = std::pair<int64_t, int64_t>;  // what an op lies in but for blocks; its block
  static size_t at(int64_t i) { return static_cast<size_t>(i); }

  void take(int64_t op) {
    int64_t around = ranges_[at(op)].parent, block = -1;
    while (around >= 0 && ranges_[at(around)].kind == Kind::module) {
      if (block < 0) block = around;
      around = ranges_[at(around)].parent;
    }
    groups_[{around, block}].push_back(op);
    if (const auto path = own_path(ranges_[at(op)], names_)) {
      own_[op] = *path;
      if (block >= 0) narrow(blocks_[block], *path);
    }
  }

  // ops: in the order of their beginnings.
  void name(int64_t block, const std::vector<int64_t>& ops) {
    const std::string otherwise = block >= 0 && blocks_[block] ? *blocks_[block] : "";
    std::vector<const std::string*> before(ops.size()), after(ops.size());
    for (size_t i = 0; i < ops.size(); ++i) {
      const auto own = own_.find(ops[i]);
      before[i] = own != own_.end() ? &own->second : i > 0 ? before[i - 1] : nullptr;
    }
    for (size_t i = ops.size(); i-- > 0;) {
      const auto own = own_.find(ops[i]);
      after[i] = own != own_.end() ? &own->second : i + 1 < ops.size() ? after[i + 1] : nullptr;
      const bool between = before[i] != nullptr && after[i] != nullptr;
      modules_[at(ops[i])] = {between ? common(*before[i], *after[i]) : otherwise, block};
    }
  }

  const std::vector<Range>& ranges_;
  std::vector<Module> modules_;
  const ParameterNames& names_;
  std::map<Place, std::vector<int64_t>> groups_;
  std::map<int64_t, std::string> own_;
  std::map<int64_t, std::optional<std::string>> blocks_;
};

}  // namespace

std::vector<std::string> levels_of(const std::string& path) {
  std::vector<std::string> levels;
  for (size_t begin = 0; begin < path.size();) {
    const size_t end = std::min(path.find('.', begin), path.size());
    const bool joins = is_number(std::string_view(path).substr(begin, end - begin)) && !levels.empty();
    if (joins) levels.pop_back();
    levels.push_back(path.substr(0, end));
    begin = end + 1;
  }
  return levels;
}

std::string part_of(const std::string& path) {
  const auto levels = levels_of(path);
  for (const auto& level : levels) {
    if (is_number(std::string_view(level).substr(level.rfind('.') + 1))) return level;
  }
  constexpr size_t kLevels = 2;
  return levels.empty() ? "" : levels[std::min(kLevels, levels.size()) - 1];
}

std::vector<Module> modules_of(const profile::Recording& recording, const ParameterNames& names) {
  return Finder(recording, names).find();
}

}  // namespace gfsa::train
