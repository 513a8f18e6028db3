// The polynomials of core/cpu/math.h against libm in double, for bit patterns all over the floats, on every instruction
// set.
#include "core/cpu/math.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "core/cpu/simd.h"

namespace gfsa {
namespace {

// Every 3001st bit pattern: 1.4 million floats of every size and sign, infinities and NaN among them.
std::vector<float> sample_of_floats() {
  std::vector<float> x;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 3001)
    x.push_back(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (int i = -100000; i <= 100000; ++i) x.push_back(static_cast<float>(i) * 1e-3f);
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (float v : {0.0f, -0.0f, kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN(), 88.72283f, 88.7228f,
                  -87.33f, -87.34f}) {
    x.push_back(v);
  }
  return x;
}

template <class F, class Check>
void for_each_isa(const F& f, const Check& check) {
  const std::vector<float> x = sample_of_floats();
  std::vector<float> y(x.size());
  const simd::Isa before = simd::active();
  for (simd::Isa isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
    if (isa > simd::supported()) continue;
    simd::set_active(isa);
    SCOPED_TRACE(simd::name(isa));
    const float* in = x.data();
    float* out = y.data();
    const auto n = static_cast<int64_t>(x.size());
    simd::run([&] {
      for (int64_t i = 0; i < n; ++i) out[i] = f(in[i]);
    });
    check(x, y);
  }
  simd::set_active(before);
}

double ulp(double x) { return std::ldexp(1.0, std::ilogb(x) - 23); }

TEST(Math, ExpIsWithinTwoUlp) {
  for_each_isa([](float x) { return math::exp(x); },
               [](const auto& x, const auto& y) {
                 double worst = 0;
                 float where = 0;
                 for (size_t i = 0; i < x.size(); ++i) {
                   if (std::isnan(x[i])) {
                     ASSERT_TRUE(std::isnan(y[i]));
                   } else if (x[i] > 88.72283f) {
                     ASSERT_EQ(y[i], std::numeric_limits<float>::infinity()) << x[i];
                   } else if (x[i] < -87.33f) {
                     ASSERT_EQ(y[i], 0) << x[i];
                   } else {
                     const double exact = std::exp(static_cast<double>(x[i])),
                                  error = std::abs(y[i] - exact) / ulp(exact);
                     if (!(error <= worst)) worst = error, where = x[i];
                   }
                 }
                 EXPECT_LE(worst, 2.0) << "at " << where;
               });
}

TEST(Math, ExpOfNonPositiveIsWithinTwoUlp) {
  for_each_isa([](float x) { return math::exp_nonpositive(x); },
               [](const auto& x, const auto& y) {
                 for (size_t i = 0; i < x.size(); ++i) {
                   if (x[i] > 0) continue;
                   const double exact = std::exp(static_cast<double>(x[i]));
                   if (std::isnan(x[i])) {
                     ASSERT_TRUE(std::isnan(y[i]));
                   } else if (x[i] < -87.33f) {
                     ASSERT_EQ(y[i], 0) << x[i];
                   } else {
                     ASSERT_LE(std::abs(y[i] - exact), 2 * ulp(exact)) << x[i];
                   }
                 }
               });
}

template <class F, class G>
void expect_absolute_error(const F& f, const G& exact, double allowed) {
  for_each_isa(f, [&](const auto& x, const auto& y) {
    double worst = 0;
    float where = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      if (std::isnan(x[i])) {
        ASSERT_TRUE(std::isnan(y[i]));
        continue;
      }
      const double error = std::abs(y[i] - exact(static_cast<double>(x[i])));
      if (!(error <= worst)) worst = error, where = x[i];
    }
    EXPECT_LE(worst, allowed) << "at " << where;
  });
}

TEST(Math, Erf) {
  expect_absolute_error([](float x) { return math::erf(x); }, [](double x) { return std::erf(x); }, 4e-7);
}
TEST(Math, Tanh) {
  expect_absolute_error([](float x) { return math::tanh(x); }, [](double x) { return std::tanh(x); }, 4e-7);
}
TEST(Math, Sigmoid) {
  expect_absolute_error([](float x) { return math::sigmoid(x); }, [](double x) { return 1 / (1 + std::exp(-x)); },
                        2e-7);
}

// Near 0 the relative error counts: gradients of GELU and tanh live there.
TEST(Math, SmallArgumentsKeepTheirDigits) {
  for (float x = 1e-30f; x < 0.1f; x *= 1.7f) {
    EXPECT_NEAR(math::tanh(x) / std::tanh(static_cast<double>(x)), 1, 1e-6) << x;
    EXPECT_NEAR(math::erf(x) / std::erf(static_cast<double>(x)), 1, 1e-6) << x;
  }
}

TEST(Simd, SetsAndNames) {
  const simd::Isa before = simd::active();
  EXPECT_LE(before, simd::supported());
  simd::set_active(simd::Isa::baseline);
  EXPECT_EQ(simd::active(), simd::Isa::baseline);
  EXPECT_STREQ(simd::name(simd::active()), "baseline");
  simd::set_active(before);
}

}  // namespace
}  // namespace gfsa
