// device_test.h -- a test of kernels that is written once and runs on both devices: its file is compiled by nvcc and
// for the emulated device. `DEVICE_TEST(Shuffle, Up) { ... device ... }` is CudaShuffle.Up and EmulatedShuffle.Up;
// without a GPU the first is skipped and says why.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "core/cuda/device.h"
#include "support/emulator.h"

#ifdef GFSA_EMULATED
#define GFSA_SUITE_NAME(suite) Emulated##suite
#else
#define GFSA_SUITE_NAME(suite) Cuda##suite
#endif
#define GFSA_TEST_OF(suite, name) TEST(suite, name)

#define DEVICE_TEST(suite, name)                                 \
  static void suite##name(DeviceRuntime& device);                \
  GFSA_TEST_OF(GFSA_SUITE_NAME(suite), name) {                   \
    if (const std::string why = why_no_device(); !why.empty()) { \
      GTEST_SKIP() << why;                                       \
    }                                                            \
    suite##name(runtime());                                      \
  }                                                              \
  static void suite##name([[maybe_unused]] DeviceRuntime& device)

// The same for kernels that use warpgroups: the emulated device has the limits of sm_90 meanwhile.
#define WARPGROUP_TEST(suite, name)                                                     \
  static void suite##name(DeviceRuntime& device);                                       \
  GFSA_TEST_OF(GFSA_SUITE_NAME(suite), name) {                                          \
    if (const std::string why = why_no_device(); !why.empty()) {                        \
      GTEST_SKIP() << why;                                                              \
    }                                                                                   \
    const test::EmulatorArchitecture architecture(90);                                  \
    if (!runtime().has_warpgroups()) {                                                  \
      GTEST_SKIP() << "warpgroups need compute capability 9.0, and a build for sm_90a"; \
    }                                                                                   \
    suite##name(runtime());                                                             \
  }                                                                                     \
  static void suite##name([[maybe_unused]] DeviceRuntime& device)

namespace gfsa::GFSA_DEVICE_NAMESPACE {

#ifdef GFSA_EMULATED
inline std::string why_no_device() { return ""; }
inline void choose_schedule(uint64_t seed) { emulator::set_seed(seed); }
#else
inline std::string why_no_device() { return why_not(); }
inline void choose_schedule(uint64_t) {}  // a GPU has its own
#endif

// Device memory with elements of T.
template <class T>
class Array {
 public:
  Array(DeviceRuntime& device, size_t n) : device_(device), n_(n), data_(device.allocate(n * sizeof(T))) {}
  Array(DeviceRuntime& device, const std::vector<T>& values) : Array(device, values.size()) {
    device.copy_from_host(data_, values.data(), n_ * sizeof(T));
  }
  ~Array() { device_.release(data_, n_ * sizeof(T)); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  T* data() const { return static_cast<T*>(data_); }
  std::vector<T> values() const {
    std::vector<T> values(n_);
    device_.copy_to_host(static_cast<void*>(values.data()), data_, n_ * sizeof(T));
    return values;
  }

 private:
  DeviceRuntime& device_;
  size_t n_;
  void* data_;
};

// 0, 1, 2, ... times `step`, as T.
template <class T>
std::vector<T> counting(size_t n, double step = 1) {
  std::vector<T> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = static_cast<T>(static_cast<double>(i) * step);
  return values;
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
