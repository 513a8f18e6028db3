#include "train/machine_memory.h"

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

#include "core/arena.h"

namespace gfsa::train {
namespace {

// Files of /proc and /sys have no size, so that they are read to their end.
std::string text_of(const std::string& file) {
  std::ifstream in(file);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

std::optional<uint64_t> number_in(const std::string& file) {
  const std::string text = text_of(file);
  if (text.empty() || text[0] < '0' || text[0] > '9') return std::nullopt;  // "max", or no such file
  return std::strtoull(text.c_str(), nullptr, 10);
}

// Of a control group: its limit less what it uses; pages of files that can be dropped do not count as used.
std::optional<uint64_t> left_in_group(const std::string& limit_file, const std::string& usage_file,
                                      const std::string& stat_file, const std::string& inactive_key) {
  const auto limit = number_in(limit_file), usage = number_in(usage_file);
  if (!limit || !usage) return std::nullopt;
  uint64_t droppable = 0;
  std::istringstream stat(text_of(stat_file));
  std::string key;
  for (uint64_t value = 0; stat >> key >> value;) {
    if (key == inactive_key) droppable = value;
  }
  const uint64_t used = *usage > droppable ? *usage - droppable : 0;
  return *limit > used ? *limit - used : 0;
}

std::optional<uint64_t> left_in_groups() {
  std::optional<uint64_t> least;
  const auto consider = [&](const std::optional<uint64_t>& left) {
    if (left && (!least || *left < *least)) least = left;
  };
  std::istringstream groups(text_of("/proc/self/cgroup"));
  for (std::string line; std::getline(groups, line);) {  // "0::/path" (v2), "4:memory:/path" (v1)
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    for (const std::string& group : {path, std::string()}) {  // in a container the path may be the host's
      if (controllers.empty()) {
        const std::string folder = "/sys/fs/cgroup" + group;
        consider(left_in_group(folder + "/memory.max", folder + "/memory.current", folder + "/memory.stat",
                               "inactive_file"));
      } else if (controllers == "memory") {
        const std::string folder = "/sys/fs/cgroup/memory" + group;
        consider(left_in_group(folder + "/memory.limit_in_bytes", folder + "/memory.usage_in_bytes",
                               folder + "/memory.stat", "total_inactive_file"));
      }
    }
  }
  return least;
}

}  // namespace

uint64_t bytes_of_line(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key + ":")) return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) << 10;
  }
  return 0;
}

ProcessMemory process_memory() {
  const std::string status = text_of("/proc/self/status");
  return {bytes_of_line(status, "VmRSS"), bytes_of_line(status, "VmHWM")};
}

AvailableMemory available_memory() {
  AvailableMemory memory;
  if (const uint64_t bytes = bytes_of_line(text_of("/proc/meminfo"), "MemAvailable"); bytes > 0) {
    memory = {bytes, "available on this machine"};
  }
  if (const auto left = left_in_groups(); left && *left < memory.bytes) {
    memory = {*left, "left in the control group's limit"};
  }
  return memory;
}

AvailableMemory available_memory(Device device) {
  if (device.type == DeviceType::cpu) return available_memory();
  const ArenaFigures held = arena(device).figures();
  return {backend(device).memory().free + held.reserved - held.current, "free on " + device.text()};
}

}  // namespace gfsa::train
