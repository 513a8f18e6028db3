#include "autograd/autograd.h"

#include <gtest/gtest.h>

#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/softmax.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

using test::expect_close;
using test::expect_error;
using test::expect_same_bits;
using test::random_tensor;

Tensor leaf(const std::vector<double>& values, Tensor buffer = {}) {
  Tensor t = Tensor::from({static_cast<int64_t>(values.size())}, values);
  require_grad(t, std::move(buffer));
  return t;
}

// y = factor x; the gradient goes into out.target().
Tensor times(const Tensor& x, double factor) {
  const Tensor y = x.detach().clone();
  for (int64_t i = 0; i < y.numel(); ++i) y.data<double>()[i] *= factor;
  return record("times", y, {x}, [factor](const Tensor& dy, GradOut& out) {
    const auto [dx, accumulate] = out.target(0);
    const Tensor d = dy.contiguous();
    for (int64_t i = 0; i < dx.numel(); ++i) {
      double& to = dx.template data<double>()[i];
      to = (accumulate ? to : 0) + factor * d.data<double>()[i];
    }
  });
}

// y = a + b; both are given dy itself.
Tensor plus(const Tensor& a, const Tensor& b) {
  const Tensor y = a.detach().clone();
  for (int64_t i = 0; i < y.numel(); ++i) y.data<double>()[i] += b.data<double>()[i];
  return record("plus", y, {a, b}, [](const Tensor& dy, GradOut& out) {
    out.give(0, dy);
    out.give(1, dy);
  });
}

TEST(Autograd, SumsWhatArrivesFromSeveralUses) {
  const Tensor x = leaf({1, 2});
  backward(plus(times(x, 2), plus(x, times(x, 3))), Tensor::from<double>({2}, {1, 10}));
  expect_close(grad_of(x), {6, 60}, 0, "gradient");
  EXPECT_EQ(tape_length(), 0u);
}

TEST(Autograd, BackwardAddsUntilCleared) {
  Tensor x = leaf({3});
  backward(times(x, 2));
  backward(times(x, 5));
  expect_close(grad_of(x), {7}, 0, "two passes");
  clear_grad(x);
  EXPECT_FALSE(grad_of(x).defined());
  backward(times(x, 5));
  expect_close(grad_of(x), {5}, 0, "after clear_grad");
}

TEST(Autograd, AFixedBufferIsOverwrittenThenAddedTo) {
  for (bool given : {false, true}) {
    const Tensor buffer = Tensor::full({1}, -99, DType::f64);
    const Tensor x = leaf({3}, buffer);
    auto use = [&](double factor) { return given ? plus(x, Tensor::full({1}, factor, DType::f64)) : times(x, factor); };
    backward(use(2));
    EXPECT_TRUE(grad_of(x).shares_storage_with(buffer));
    expect_close(buffer, {given ? 1.0 : 2.0}, 0, "first");
    backward(use(5));
    expect_close(buffer, {given ? 2.0 : 7.0}, 0, "second");
    clear_grad(x);
    backward(use(5));
    expect_close(buffer, {given ? 1.0 : 5.0}, 0, "after clear_grad");
  }
}

// plus() hands the same dy to both inputs. Each then gets a further contribution, which must not reach the other, nor
// the seed.
TEST(Autograd, SharedGradientsAreNotWrittenTo) {
  const Tensor x = leaf({1}), y = leaf({1});
  const Tensor a = times(x, 1), b = times(y, 1);
  const Tensor both = plus(a, b);
  const Tensor seed = Tensor::full({1}, 1, DType::f64);
  // In order of backward: both gives seed to a and b; then the others add to them in place.
  const Tensor more = plus(times(a, 10), times(b, 100));
  backward(plus(more, both), seed);
  expect_close(grad_of(x), {11}, 0, "x");
  expect_close(grad_of(y), {101}, 0, "y");
  expect_close(seed, {1}, 0, "seed");

  const Tensor p = leaf({1}), q = leaf({1});
  backward(plus(p, q), seed);
  backward(times(p, 4), seed);
  expect_close(grad_of(p), {5}, 0, "p");
  expect_close(grad_of(q), {1}, 0, "q");
  expect_close(seed, {1}, 0, "seed");
}

TEST(Autograd, DyIsUniqueWhereNobodyElseHoldsIt) {
  const Tensor x = leaf({1});
  bool unique = false;
  const Tensor y = record("watch", times(x, 1).clone(), {x}, [&](const Tensor& dy, GradOut& out) {
    unique = dy.is_unique();
    out.give(0, dy);
  });
  backward(times(y, 2));
  EXPECT_TRUE(unique);
  const Tensor z = record("watch", x.clone(), {x}, [&](const Tensor& dy, GradOut&) { unique = dy.is_unique(); });
  const Tensor seed = Tensor::full({1}, 1, DType::f64);
  backward(z, seed);
  EXPECT_FALSE(unique);
}

TEST(Autograd, NothingIsRecordedWithoutNeed) {
  const Tensor x = leaf({1});
  EXPECT_TRUE(requires_grad(x));
  const Tensor constant = Tensor::full({1}, 1, DType::f64);
  EXPECT_FALSE(requires_grad(times(constant, 2)));
  {
    const NoGrad outer;
    EXPECT_FALSE(grad_enabled());
    { const NoGrad inner; }
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE(requires_grad(times(x, 2)));
  }
  EXPECT_TRUE(grad_enabled());
  EXPECT_FALSE(requires_grad(times(x, 2).detach()));
  EXPECT_EQ(tape_length(), 1u);
  backward(plus(times(x, 3), constant));  // an input that wants nothing gets nothing
  EXPECT_FALSE(grad_of(constant).defined());
  expect_close(grad_of(x), {3}, 0, "gradient");
}

// What an op saved is gone before the backward of the op before it runs.
TEST(Autograd, SavedTensorsAreReleasedOnTheWay) {
  std::vector<std::weak_ptr<int>> saved;
  std::vector<size_t> alive;
  Tensor x = leaf({1});
  for (int i = 0; i < 4; ++i) {
    auto token = std::make_shared<int>(i);
    saved.push_back(token);
    x = record("hold", x.clone(), {x}, [&, token](const Tensor& dy, GradOut& out) {
      alive.push_back(
          static_cast<size_t>(std::count_if(saved.begin(), saved.end(), [](auto& s) { return !s.expired(); })));
      out.give(0, dy);
    });
  }
  backward(x);
  EXPECT_EQ(alive, (std::vector<size_t>{4, 3, 2, 1}));
}

TEST(Autograd, Errors) {
  const Tensor x = leaf({1, 2});
  expect_error([&] { backward(Tensor::full({}, 1, DType::f64)); }, {"depends on nothing"});
  expect_error([&] { backward(times(x, 2)); }, {"[2]", "one element"});
  EXPECT_EQ(tape_length(), 0u);
  Tensor index = Tensor::zeros({1}, DType::i64);
  expect_error([&] { require_grad(index); }, {"i64"});
  auto gives = [&](const Tensor& gradient) {
    backward(record("bad", Tensor::full({}, 1, DType::f64), {x},
                    [&](const Tensor&, GradOut& out) { out.give(0, gradient); }));
  };
  expect_error([&] { gives(Tensor::zeros({3}, DType::f64)); }, {"[3]", "[2]"});
  expect_error([&] { gives(Tensor::zeros({2}, DType::f32)); }, {"f32", "f64"});
}

TEST(Autograd, AnExceptionLeavesAnEmptyTape) {
  const Tensor x = leaf({1});
  const Tensor y = record("throws", times(x, 2).clone(), {x}, [](const Tensor&, GradOut&) { fail("boom"); });
  expect_error([&] { backward(y); }, {"boom"});
  EXPECT_EQ(tape_length(), 0u);
  EXPECT_TRUE(grad_enabled());
  clear_grad(x);
  backward(times(x, 2));
  expect_close(grad_of(x), {2}, 0, "afterwards");
}

struct Block {
  Tensor w, b, x, y;
  Block()
      : w(random_tensor({8, 8}, DType::f32, 1)),
        b(random_tensor({8}, DType::f32, 2)),
        x(random_tensor({5, 8}, DType::f32, 3)) {
    require_grad(w);
    require_grad(b);
    require_grad(x);
  }
  Tensor forward(const Tensor& in) const { return linear(softmax(layer_norm(in, {}, b, 1e-5)), w, b); }
};

void run_block(Block& block, bool checkpointed, int times_over) {
  Tensor y = block.x;
  for (int i = 0; i < times_over; ++i) {
    y = checkpointed ? checkpoint([&](const std::vector<Tensor>& in) { return block.forward(in[0]); }, {y})
                     : block.forward(y);
  }
  block.y = y.detach();
  EXPECT_EQ(tape_length(), static_cast<size_t>(times_over) * (checkpointed ? 1 : 3));
  backward(y, random_tensor({5, 8}, DType::f32, 4));
}

TEST(Checkpoint, EqualsThePlainRunBitForBit) {
  for (int times_over : {1, 3}) {
    Block plain, checkpointed;
    run_block(plain, false, times_over);
    run_block(checkpointed, true, times_over);
    expect_same_bits(checkpointed.y, plain.y, "result");
    expect_same_bits(grad_of(checkpointed.x), grad_of(plain.x), "gradient of the input");
    expect_same_bits(grad_of(checkpointed.w), grad_of(plain.w), "gradient of a parameter");
    expect_same_bits(grad_of(checkpointed.b), grad_of(plain.b), "gradient of a parameter used twice");
    EXPECT_EQ(tape_length(), 0u);
    EXPECT_TRUE(grad_enabled());
  }
}

TEST(Checkpoint, ParametersLearnWhereNoInputWantsAGradient) {
  Block plain, checkpointed;
  const Tensor x = plain.x.detach();
  backward(plain.forward(x), random_tensor({5, 8}, DType::f32, 4));
  const Tensor y = checkpoint([&](const std::vector<Tensor>& in) { return checkpointed.forward(in[0]); }, {x});
  backward(y, random_tensor({5, 8}, DType::f32, 4));
  expect_same_bits(grad_of(checkpointed.w), grad_of(plain.w), "gradient of a parameter");
}

TEST(Checkpoint, Nests) {
  Block plain, nested;
  run_block(plain, false, 2);
  const auto inner = [&](const std::vector<Tensor>& in) { return nested.forward(in[0]); };
  const Tensor y =
      checkpoint([&](const std::vector<Tensor>& in) { return checkpoint(inner, {checkpoint(inner, in)}); }, {nested.x});
  backward(y, random_tensor({5, 8}, DType::f32, 4));
  expect_same_bits(grad_of(nested.x), grad_of(plain.x), "gradient of the input");
  expect_same_bits(grad_of(nested.w), grad_of(plain.w), "gradient of a parameter");
}

TEST(Checkpoint, KeepsOnlyTheInputs) {
  Tensor x = random_tensor({256, 1024}, DType::f32, 1);
  require_grad(x);
  auto softer = [](const std::vector<Tensor>& in) { return softmax(softmax(softmax(softmax(in[0])))); };
  Arena& memory = arena({});
  const uint64_t before = memory.figures().current;
  const Tensor y = checkpoint(softer, {x});
  EXPECT_LE(memory.figures().current - before, y.bytes() + 4096);
  backward(y, Tensor::full(y.shape(), 1, DType::f32));
}

TEST(Checkpoint, WithoutRecordingItIsACall) {
  Block block;
  const NoGrad guard;
  const Tensor y = checkpoint([&](const std::vector<Tensor>& in) { return block.forward(in[0]); }, {block.x});
  expect_same_bits(y, block.forward(block.x), "result");
  EXPECT_EQ(tape_length(), 0u);
}

}  // namespace
}  // namespace gfsa
