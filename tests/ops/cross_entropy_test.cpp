#include "ops/cross_entropy.h"

#include <gtest/gtest.h>

#include <cmath>

#include "autograd/autograd.h"
#include "core/arena.h"
#include "ops/elementwise.h"
#include "ops/softmax.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

// Losses of the rows, from the definition; in[1] holds classes or probabilities.
std::vector<double> plain_rows(const std::vector<Array>& in, const CrossEntropyOptions& options) {
  const Array &x = in[0], &t = in[1];
  const int64_t rows = x.shape[0], classes = x.shape[1];
  std::vector<double> losses;
  for (int64_t r = 0; r < rows; ++r) {
    double largest = -INFINITY, sum = 0, loss = 0;
    for (int64_t c = 0; c < classes; ++c) largest = std::max(largest, x[r * classes + c]);
    for (int64_t c = 0; c < classes; ++c) sum += std::exp(x[r * classes + c] - largest);
    for (int64_t c = 0; c < classes; ++c) {
      const double target = t.shape.rank() == 1 ? (t[r] == static_cast<double>(c) ? 1 : 0) : t[r * classes + c];
      const double smoothed =
          (1 - options.label_smoothing) * target + options.label_smoothing / static_cast<double>(classes);
      loss += smoothed * (largest + std::log(sum) - x[r * classes + c]);
    }
    losses.push_back(t.shape.rank() == 1 && t[r] == static_cast<double>(options.ignore_index) ? 0 : loss);
  }
  return losses;
}

std::vector<double> plain_cross_entropy(const std::vector<Array>& in, const CrossEntropyOptions& options) {
  double sum = 0, count = 0;
  for (double loss : plain_rows(in, options)) sum += loss;
  for (int64_t r = 0; r < in[0].shape[0]; ++r) {
    count += in[1].shape.rank() == 1 && in[1][r] == static_cast<double>(options.ignore_index) ? 0 : 1;
  }
  const double normalizer = options.normalizer == 0 ? count : options.normalizer;
  return {normalizer == 0 ? 0 : sum / normalizer};
}

Tensor classes(int64_t rows, int64_t count, bool some_ignored) {
  std::vector<int64_t> t;
  for (int64_t r = 0; r < rows; ++r) t.push_back(some_ignored && r % 3 == 1 ? -100 : r * 7 % count);
  return Tensor::from({rows}, t);
}

void check(const std::string& name, const OpInput& logits, const OpInput& targets, const CrossEntropyOptions& options) {
  check_op({.name = "cross_entropy " + name,
            .inputs = {logits, targets},
            .op = [options](const auto& x) { return cross_entropy(x[0], x[1], options); },
            .reference = [options](const auto& x) { return plain_cross_entropy(x, options); }});
  check_op({.name = "cross_entropy_per_row " + name,
            .inputs = {logits, targets},
            .op = [options](const auto& x) { return cross_entropy_per_row(x[0], x[1], options); },
            .reference = [options](const auto& x) { return plain_rows(x, options); },
            .differentiable = false});
}

TEST(CrossEntropy, HardTargets) {
  for (int64_t count : {1, 2, 31, 32, 33, 1000}) {
    for (double smoothing : {0.0, 0.1}) {
      for (bool ignored : {false, true}) {
        check(fmt::format("{} classes, smoothing {}, ignored {}", count, smoothing, ignored), data({5, count}),
              constant(classes(5, count, ignored)), {.label_smoothing = smoothing});
      }
    }
  }
  check("many rows", data({300, 3}), constant(classes(300, 3, true)), {});
  check("no row", data({0, 3}), constant(classes(0, 3, false)), {});
}

TEST(CrossEntropy, SoftTargets) {
  for (int64_t count : {1, 3, 33, 130}) {
    for (double smoothing : {0.0, 0.1}) {
      // Probabilities need not sum to 1: the formula stands for any numbers.
      OpInput targets = parameter({4, count});
      targets.gradient = false, targets.deviation = 0.1, targets.shift = 0.3, targets.outlier = 1;
      check(fmt::format("soft, {} classes, smoothing {}", count, smoothing), data({4, count}), targets,
            {.label_smoothing = smoothing});
    }
  }
}

TEST(CrossEntropy, RowsLongerThanAPiece) {
  check("4099 classes", data({2, 4099}), constant(classes(2, 4099, false)), {.label_smoothing = 0.1});
  OpInput rising = data({1, 2100});
  rising.shift = 80;
  check("logits about 80", rising, constant(classes(1, 2100, false)), {});
  // The first piece's exponentials sum to 1 to the bit, and the second's are larger.
  std::vector<double> logits(2100, -2000);
  logits[0] = 0, logits[2099] = 3;
  const double expected = 3 + std::log1p(std::exp(-3));
  EXPECT_NEAR(cross_entropy(Tensor::from({1, 2100}, logits), Tensor::from<int64_t>({1}, {0})).item(), expected, 1e-12);
}

TEST(CrossEntropy, NormalizerSplitsABatch) {
  const CrossEntropyOptions options{.normalizer = 8};
  check("normalizer", data({3, 5}), constant(classes(3, 5, false)), options);
}

// Values of torch.nn.functional.cross_entropy (2.x) for logits [[1, 2, 3], [0, 0, 0], [-1, 5, 0.5]].
TEST(CrossEntropy, KnownValues) {
  const Tensor logits = Tensor::from<double>({3, 3}, {1, 2, 3, 0, 0, 0, -1, 5, 0.5});
  const Tensor hard = Tensor::from<int64_t>({3}, {2, 0, -100});
  EXPECT_NEAR(cross_entropy(logits, hard).item(), (0.40760596444438 + 1.0986122886681098) / 2, 1e-12);
  EXPECT_NEAR(cross_entropy(logits, hard, {.label_smoothing = 0.3}).item(), (0.70760596444438 + 1.0986122886681098) / 2,
              1e-12);
}

TEST(CrossEntropy, NothingCounts) {
  std::vector<Device> devices = other_devices();
  devices.insert(devices.begin(), Device{});
  for (const Device device : devices) {
    Tensor logits = Tensor::full({2, 3}, 1, DType::f32, device);
    require_grad(logits);
    const Tensor loss = cross_entropy(logits, Tensor::from<int64_t>({2}, {-100, -100}).to(device));
    EXPECT_EQ(loss.item(), 0);
    backward(loss);
    expect_close(grad_of(logits), std::vector<double>(6, 0), 0, "gradient");
  }
}

// Where the host does not look at targets: NaN for that row alone.
TEST(CrossEntropy, TargetsOutOfRangeOnOtherDevices) {
  for (const Device device : other_devices()) {
    for (const int64_t wrong : {int64_t{-1}, int64_t{3}, int64_t{1} << 40}) {
      Tensor logits = random_tensor({3, 3}, DType::f32, 1).to(device);
      require_grad(logits);
      const Tensor targets = Tensor::from<int64_t>({3}, {0, wrong, 2}).to(device);
      const auto losses = cross_entropy_per_row(logits, targets).to_vector<double>();
      EXPECT_TRUE(std::isfinite(losses[0]) && std::isnan(losses[1]) && std::isfinite(losses[2]));
      const Tensor loss = cross_entropy(logits, targets, {.label_smoothing = 0.1});
      EXPECT_TRUE(std::isnan(loss.item()));
      backward(loss);
      const auto gradient = grad_of(logits).to_vector<double>();
      for (size_t i = 0; i < gradient.size(); ++i) EXPECT_EQ(std::isnan(gradient[i]), i / 3 == 1) << i;
    }
  }
}

// One gradient of the logits is all that forward and backward may ask for (and a few numbers a row).
TEST(CrossEntropy, Memory) {
  Tensor logits = random_tensor({64, 4096}, DType::f32, 1);
  require_grad(logits);
  const Tensor targets = classes(64, 4096, false);
  Arena& memory = arena({});
  memory.reset_peak();
  const uint64_t before = memory.figures().current;
  backward(cross_entropy(logits, targets, {.label_smoothing = 0.1}));
  EXPECT_LE(memory.figures().peak - before, logits.bytes() + (16u << 10));
}

// Logits that nobody holds become their gradient: the same bits, and nothing of their size is asked for.
TEST(CrossEntropy, LogitsThatNobodyHoldsBecomeTheirGradient) {
  constexpr int64_t kRows = 33, kClasses = 2100;
  std::vector<Device> devices = other_devices();
  devices.push_back({});
  for (const Device device : devices) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      for (const bool hard : {true, false}) {
        const Tensor targets =
            hard ? classes(kRows, kClasses, true) : softmax(random_tensor({kRows, kClasses}, DType::f32, 3));
        std::vector<Tensor> gradients;
        for (const bool held : {true, false}) {
          Tensor x = random_tensor({kRows, kClasses}, dtype, 2).to(device);
          require_grad(x);
          Tensor logits = scale(x, 2);
          const Tensor loss = cross_entropy(logits, targets.to(device), {.label_smoothing = 0.1});
          if (!held) logits = {};
          Arena& memory = arena(device);
          memory.reset_peak();
          const uint64_t before = memory.figures().current, size = x.bytes();
          backward(loss);
          const uint64_t asked = memory.figures().peak - before;
          if (held) {
            EXPECT_GE(asked, size);
          } else {
            EXPECT_LT(asked, size / 2) << device.text() << " " << name_of(dtype);
          }
          gradients.push_back(grad_of(x).to(Device{}));
        }
        expect_same_bits(gradients[0], gradients[1], fmt::format("{} {}", device.text(), name_of(dtype)));
      }
    }
  }
}

TEST(CrossEntropy, Errors) {
  const Tensor logits = Tensor::zeros({2, 3}, DType::f32);
  expect_error(
      [&] {
        cross_entropy(logits, Tensor::from<int64_t>({2}, {0, 3}));
      },
      {"cross_entropy: targets[1] is 3, expected a class 0 to 2 or the ignore_index -100"});
  expect_error(
      [&] {
        cross_entropy(logits, Tensor::from<int64_t>({3}, {0, 1, 2}));
      },
      {"targets has shape [3]", "M = 2"});
  expect_error(
      [&] {
        cross_entropy(logits, Tensor::zeros({2, 4}, DType::f32));
      },
      {"targets has shape [2, 4]", "K = 3"});
  expect_error([&] { cross_entropy(logits, Tensor::zeros({2, 3}, DType::f64)); }, {"targets is f64, expected f32"});
  expect_error([&] { cross_entropy(logits, {}); }, {"targets is missing"});
  expect_error(
      [&] {
        cross_entropy(logits, Tensor::from<int64_t>({2}, {0, 1}), {.label_smoothing = 2});
      },
      {"label_smoothing is 2"});
  expect_error(
      [&] {
        cross_entropy(logits, Tensor::from<int64_t>({2}, {0, 1}), {.label_smoothing = 1.01});
      },
      {"label_smoothing is 1.01"});
  EXPECT_NEAR(cross_entropy(logits, Tensor::from<int64_t>({2}, {0, 1}), {.label_smoothing = 1}).item(), std::log(3),
              1e-6);
}

}  // namespace
}  // namespace gfsa::test
