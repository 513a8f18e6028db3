// device.h -- where tensors live. Every device stands behind one interface; what a build or machine lacks is an error
// that says so, never a missing symbol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace gfsa {

// emulated: kernels of GPUs on the host, every access checked (core/cuda/device.h); where the build has it.
enum class DeviceType : unsigned char { cpu, cuda, emulated };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
  std::string text() const;  // "cpu", "cuda:0", "emulated"
};

// Bytes. free: that an allocation could take now, of the whole machine or GPU.
struct DeviceMemory {
  uint64_t free = 0, total = 0;
};

// What the arena and tensors need of a device. Work is ordered as issued; synchronize() waits for all of it.
class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  virtual void* allocate(size_t bytes) = 0;  // nullptr when there is no room
  virtual void release(void* memory, size_t bytes) = 0;
  virtual void copy_from_host(void* to, const void* from, size_t bytes) = 0;
  virtual void copy_to_host(void* to, const void* from, size_t bytes) = 0;
  virtual void copy(void* to, const void* from, size_t bytes) = 0;
  virtual void zero(void* memory, size_t bytes) = 0;
  virtual void synchronize() = 0;
  virtual std::string description() const = 0;  // "AMD EPYC, 2 cores, AVX-512"
  virtual DeviceMemory memory() const = 0;
  // The arena keeps nothing back and cuts nothing: each block is an allocation of its own, whose bounds are checked.
  virtual bool wants_every_block() const { return false; }
};

// Throws bad input for a device this build or machine does not have, saying which is the case.
DeviceBackend& backend(Device device);
// "cpu", "cuda", "cuda:1", "emulated"; bad input otherwise. It need not be there.
Device parse_device(const std::string& text);
// Why the device cannot be used here and what to do about it, or "" if it can.
std::string why_not(Device device);
// Why `device: cuda` cannot be used here, or "" if it can.
std::string why_no_cuda();

}  // namespace gfsa
