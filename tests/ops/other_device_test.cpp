// What GPU kernels are not made for is said, not computed.
#include <gtest/gtest.h>

#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/patch_embed.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

TEST(OtherDevice, OpsRefuseF64) {
  for (const Device device : other_devices()) {
    const Tensor x = Tensor::zeros({2, 4}, DType::f64, device), image = Tensor::zeros({1, 1, 2, 2}, DType::f64, device);
    const auto refused = [](const char* op, const std::function<void()>& f) {
      expect_error(f, {op, "f64", "device: cpu"});
    };
    refused("add", [&] { add(x, x); });
    refused("sum", [&] { sum(x); });
    refused("max", [&] { max(x); });
    refused("softmax", [&] { softmax(x); });
    refused("patch_embed", [&] { patch_embed(image, image, {}); });
  }
}

TEST(OtherDevice, TensorsOfTwoDevicesDoNotMeet) {
  for (const Device device : other_devices()) {
    const Tensor here = Tensor::zeros({2, 4}, DType::f32), there = here.to(device);
    expect_error([&] { add(here, there); }, {"add", "cpu", device.text()});
    expect_error([&] { embedding(there, Tensor::zeros({2}, DType::i64)); }, {"embedding", "indices", "cpu"});
  }
}

}  // namespace
}  // namespace gfsa::test
