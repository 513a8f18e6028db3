// Ops without a kernel for a device say so, before they touch its memory.
#include <gtest/gtest.h>

#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/layer_norm.h"
#include "ops/rms_norm.h"
#include "ops/softmax.h"
#include "ops/view.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

TEST(OtherDevice, OpsSayThatTheyHaveNoKernel) {
  const Device device{DeviceType::emulated, 0};
  const Tensor x = Tensor::empty({2, 4}, DType::f32, device), indices = Tensor::empty({2}, DType::i64, device);
  const auto refused = [](const char* op, const std::function<void()>& f) {
    expect_error(f, {op, "no kernel for device emulated"});
  };
  refused("layer_norm", [&] { layer_norm(x, {}, {}, 1e-5); });
  refused("rms_norm", [&] { rms_norm(x, {}, 1e-5); });
  refused("softmax", [&] { softmax(x); });
  refused("embedding", [&] { embedding(x, indices); });
  refused("index_select", [&] { index_select(x, 0, indices); });
  refused("cross_entropy", [&] { cross_entropy(x, indices); });
  refused("add", [&] { add(x, x); });
}

}  // namespace
}  // namespace gfsa::test
