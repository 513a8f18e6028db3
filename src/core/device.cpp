#include "core/device.h"

#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/strings.h"
#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/cuda/runtime.h"

namespace gfsa {
namespace {

class CpuBackend : public DeviceBackend {
 public:
  void* allocate(size_t bytes) override {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    ::madvise(memory, bytes, MADV_HUGEPAGE);  // advice: a kernel without huge pages loses nothing
    return memory;
  }
  void release(void* memory, size_t bytes) override { ::munmap(memory, bytes); }
  void copy_from_host(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy_to_host(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void zero(void* memory, size_t bytes) override {
    constexpr int64_t kGrain = 1 << 20;
    parallel_for(static_cast<int64_t>(bytes), kGrain, [&](int64_t b, int64_t e) {
      std::memset(static_cast<char*>(memory) + b, 0, static_cast<size_t>(e - b));
    });
  }
  void synchronize() override {}
  std::string description() const override {
    std::ifstream info("/proc/cpuinfo");
    std::string model = "unknown processor";
    for (std::string line; std::getline(info, line);) {
      if (line.starts_with("model name")) {
        model = line.substr(line.find(':') + 2);
        break;
      }
    }
    return fmt::format("{}, {} threads, {}", model, threads(), simd::name(simd::active()));
  }
  DeviceMemory memory() const override {
    const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    return {page * static_cast<uint64_t>(::sysconf(_SC_AVPHYS_PAGES)),
            page * static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES))};
  }
};

}  // namespace

std::string Device::text() const {
  if (type == DeviceType::cpu) return "cpu";
  return type == DeviceType::emulated ? "emulated" : fmt::format("cuda:{}", index);
}

std::string why_no_cuda() { return cuda::why_not(); }

std::string why_not(Device device) {
  switch (device.type) {
    case DeviceType::cpu:
      return "";
    case DeviceType::emulated:
#ifdef GFSA_HAS_EMULATED
      return "";
#else
      return "this build has no emulated device (cmake -DGFSA_EMULATED=ON)";
#endif
    case DeviceType::cuda:
      break;
  }
  if (const std::string why = why_no_cuda(); !why.empty()) return why;
  if (device.index < cuda::device_count()) return "";
  return fmt::format("there are {} GPUs, cuda:0 to cuda:{}", cuda::device_count(), cuda::device_count() - 1);
}

DeviceBackend& backend(Device device) {
  static CpuBackend cpu;
  if (device.type == DeviceType::cpu) return cpu;
  if (const std::string why = why_not(device); !why.empty()) {
    bad_input("device: '{}' cannot be used: {}; use device: cpu", device.text(), why);
  }
#ifdef GFSA_HAS_EMULATED
  if (device.type == DeviceType::emulated) return emulated::runtime(device.index);
#endif
  return cuda::runtime(device.index);
}

Device parse_device(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "cuda") return {DeviceType::cuda, 0};
  if (text == "emulated") return {DeviceType::emulated, 0};
  if (text.starts_with("cuda:")) {
    int index = -1;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + 5, end, index);
    if (error == std::errc() && stop == end && index >= 0) return {DeviceType::cuda, index};
  }
  bad_input("device: '{}' is not a device, expected cpu, cuda, cuda:N or emulated{}", text,
            did_you_mean(text, {"cpu", "cuda", "emulated"}));
}

}  // namespace gfsa
