// Tensors with an element that is not finite, found where they lie.
#include "train/finite.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/op_case.h"

namespace gfsa::train {
namespace {

std::vector<Device> all_devices() {
  auto devices = test::other_devices();
  devices.insert(devices.begin(), Device{});
  return devices;
}

TEST(FirstNotFinite, FindsTheFirstElementOfEveryTypeAndSize) {
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
    for (const int64_t n : {0, 1, 31, 32, 33, 32767, 32768, 32769, 200001}) {
      const Tensor t = Tensor::full({n}, dtype == DType::f64 ? 1e308 : 3e38, dtype);
      EXPECT_EQ(first_not_finite(t), std::nullopt);
      for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
        if (at < 0 || n == 0) continue;
        for (const double value : {std::nan(""), -double(INFINITY), double(INFINITY)}) {
          const Tensor bad = t.clone();
          bad.slice(0, at, at + 1).fill(value);
          bad.slice(0, n - 1, n).fill(value);
          EXPECT_EQ(first_not_finite(bad), at) << name_of(dtype) << " " << n << " " << value;
        }
      }
    }
    EXPECT_EQ(first_not_finite(Tensor::full({3}, -0.0, dtype)), std::nullopt);
  }
  EXPECT_EQ(first_not_finite(Tensor::full({3}, -1, DType::i64)), std::nullopt);
}

// Sizes around what a thread, a block and the whole grid take; starts that are aligned to 16 bytes and that are not.
TEST(FirstNotFinite, FindsItOnEveryDevice) {
  for (const Device device : all_devices()) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const int64_t n : {1, 3, 8, 31, 257, 4099}) {
        for (const int64_t begin : {0, 1}) {
          for (const int64_t at : {int64_t{0}, n / 2, n - 1}) {
            const Tensor host = Tensor::full({n + begin + 1}, 3e38, dtype);
            host.slice(0, n + begin, n + begin + 1).fill(INFINITY);  // behind its end
            if (begin == 1) host.slice(0, 0, 1).fill(std::nan(""));  // before its start
            const Tensor good = host.to(device).slice(0, begin, begin + n);
            EXPECT_EQ(first_not_finite(good), std::nullopt) << device.text() << " " << n;
            host.slice(0, begin + at, begin + at + 1).fill(-INFINITY);
            const Tensor bad = host.to(device).slice(0, begin, begin + n);
            EXPECT_EQ(first_not_finite(bad), at) << device.text() << " " << name_of(dtype) << " " << n;
          }
        }
      }
    }
  }
}

TEST(FirstNotFinite, FindsItWhereThreadsGoOnInStrides) {
  constexpr int64_t kSize = 2048 * 256 * 4 + 7;  // f32: more than the largest grid takes at once
  const Tensor t = Tensor::zeros({kSize}, DType::f32);
  t.data<float>()[kSize - 9] = INFINITY;
  for (const Device device : test::other_devices()) {
    if (device.type == DeviceType::emulated) continue;  // too slow
    EXPECT_EQ(first_not_finite(t.to(device)), kSize - 9);
  }
  EXPECT_EQ(first_not_finite(t), kSize - 9);
}

TEST(NotFiniteFlags, SayWhichTensor) {
  for (const Device device : all_devices()) {
    const Tensor good = Tensor::full({5, 7}, -1, DType::f32, device);
    const Tensor bad = Tensor::full({9}, std::nan(""), DType::bf16, device);
    const Tensor number = Tensor::full({4}, 3, DType::i64, device), none = Tensor::empty({0}, DType::f32, device);
    EXPECT_EQ(not_finite_flags({good, bad, number, none, bad, good}).to_vector<int32_t>(),
              (std::vector<int32_t>{0, 1, 0, 0, 1, 0}))
        << device.text();
  }
  EXPECT_EQ(not_finite_flags({}).numel(), 0);
}

}  // namespace
}  // namespace gfsa::train
