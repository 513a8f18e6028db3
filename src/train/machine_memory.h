// machine_memory.h -- what this process takes and what the machine has left, as Linux tells it.
#pragma once

#include <cstdint>
#include <string>

#include "core/device.h"

namespace gfsa::train {

struct ProcessMemory {
  uint64_t resident = 0;  // VmRSS
  uint64_t peak = 0;      // VmHWM: the largest `resident` so far
};
// Zeros where the system does not say.
ProcessMemory process_memory();

struct AvailableMemory {
  uint64_t bytes = UINT64_MAX;  // more than this the process cannot take; UINT64_MAX: not known
  std::string limit;            // "available on this machine", "left in the control group's limit"
};
// The smaller of /proc/meminfo's MemAvailable and what the control group (v2 or v1) leaves.
AvailableMemory available_memory();
// Of a device with memory of its own: what it has free, and what its arena holds unused. Of the CPU: as above.
AvailableMemory available_memory(Device device);

// "VmHWM:     1234 kB" -> 1234 * 1024; 0 if `text` has no line `key`.
uint64_t bytes_of_line(const std::string& text, const std::string& key);

}  // namespace gfsa::train
