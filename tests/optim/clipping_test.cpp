#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/threads.h"
#include "optim/clipping.h"
#include "optim/small_store.h"

namespace gfsa {
namespace {

TEST(GradientNorm, EqualsPlainSumInDouble) {
  for (const DType dtype : {DType::f32, DType::f64}) {
    for (const int64_t n : {0, 1, 31, 33, 8191, 8192, 8193, 100003}) {
      std::vector<double> values(static_cast<size_t>(n));
      long double sum = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        values[i] = fraction(1, 2, i) * (i % 1000 == 7 ? 4096 : 1);
        sum += static_cast<long double>(values[i]) * values[i];
      }
      const double expected = std::sqrt(static_cast<double>(sum));
      EXPECT_NEAR(l2_norm(Tensor::from({n}, values).to(dtype)), expected, 1e-13 * expected) << n;
    }
  }
}

TEST(GradientNorm, SameBitsForAnyNumberOfThreads) {
  std::vector<float> values(500003);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(fraction(3, 1, i));
  const Tensor x = Tensor::from({500003}, values);
  set_threads(1);
  const double one = l2_norm(x);
  for (const int threads : {2, 3, 7}) {
    set_threads(threads);
    EXPECT_EQ(l2_norm(x), one) << threads;
  }
  set_threads(0);
}

TEST(GradientNorm, HugeF32ElementsDoNotOverflow) {
  EXPECT_NEAR(l2_norm(Tensor::full({4}, 3e38, DType::f32)), 6e38, 1e32);
}

TEST(GradientNorm, NeedsContiguousMemory) {
  EXPECT_THROW(l2_norm(Tensor::zeros({3, 2}, DType::f32).transpose(0, 1)), Error);
}

TEST(Clip, ByNormByValueAndFactor) {
  const auto store = make_store({{"a", {3}}, {"b", {2, 2}}}, DType::f32);
  store->find("a")->grad_buffer.fill(3);
  store->find("b")->grad_buffer.fill(-2);
  const double norm = std::sqrt(3 * 9 + 4 * 4.0);
  ClipConfig config;
  EXPECT_EQ(clip(*store, config).scale.factor, 1);
  EXPECT_DOUBLE_EQ(clip(*store, config).norm(), norm);
  config.clip_norm = 1.5;
  EXPECT_DOUBLE_EQ(clip(*store, config).scale.factor, 1.5 / (norm + 1e-6));
  EXPECT_TRUE(clip(*store, config).clipped());
  EXPECT_DOUBLE_EQ(clip(*store, config, 0.5).norm(), norm / 2);
  EXPECT_DOUBLE_EQ(clip(*store, config, 0.5).scale.factor, 0.5 * 1.5 / (norm / 2 + 1e-6));
  config.clip_norm = 1.2 * norm;
  EXPECT_EQ(clip(*store, config).scale.factor, 1);
  EXPECT_FALSE(clip(*store, config).clipped());
  config.clip_norm = norm + 1e-6;  // to the bit what makes the factor 1
  EXPECT_EQ(clip(*store, config).scale.factor, 1);
  EXPECT_FALSE(clip(*store, config).clipped());
  config.clip_norm = 100;
  config.clip_value = 0.25;
  EXPECT_EQ(clip(*store, config).scale.factor, 1);
  EXPECT_FALSE(clip(*store, config).clipped());

  OptimizerConfig sgd = optimizer_from("{name: sgd, lr: 1}");
  sgd.bind(*store);
  const float before = store->find("b")->value.to_vector<float>()[0];
  sgd.rule->step(1, clip(*store, config).scale);
  EXPECT_FLOAT_EQ(store->find("b")->value.to_vector<float>()[0], before + 0.25f);
}

TEST(Clip, SaysWhatIsNotFinite) {
  const auto store = make_store({{"a", {40000}}}, DType::f32);
  store->find("a")->grad_buffer.fill(1);
  EXPECT_TRUE(clip(*store, {}).finite());
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    store->find("a")->grad_buffer.data<float>()[39999] = bad;
    EXPECT_FALSE(clip(*store, {}).finite()) << bad;
  }
}

}  // namespace
}  // namespace gfsa
