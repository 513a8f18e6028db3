#include "train/device_table.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "core/cuda/runtime.h"
#include "core/device.h"

namespace gfsa::train {
namespace {

std::string row_of(Device device) {
  const std::string name = device.text(), why = why_not(device);
  if (!why.empty()) return fmt::format("{:<10}  no: {}\n", name, why);
  const DeviceMemory memory = backend(device).memory();
  return fmt::format("{:<10}  {}; {} free of {}\n", name, backend(device).description(),
                     human_bytes(static_cast<double>(memory.free)), human_bytes(static_cast<double>(memory.total)));
}

}  // namespace

std::string device_table() {
  std::string out = row_of({});
  // At least one line, which says why there is none.
  for (int i = 0; i < std::max(1, cuda::device_count()); ++i) out += row_of({DeviceType::cuda, i});
  out += row_of({DeviceType::emulated, 0});
  return out;
}

}  // namespace gfsa::train
