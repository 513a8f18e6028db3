// math.h -- elementary functions that vectorise inside simd::run. The float versions are branch-free polynomials
// (errors against the correctly rounded value: tests/core/math_test.cpp); the double versions are libm's, for gradient
// checks.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace gfsa::math {

// e^r for |r| <= ln 2 / 2: degree-6 polynomial, minimax with the series' first three terms kept (relative error 4e-9).
constexpr float exp_of_fraction(float r) {
  float p = 1.38637563e-3f;
  p = p * r + 8.36750958e-3f;
  p = p * r + 4.16672379e-2f;
  p = p * r + 1.66665345e-1f;
  p = p * r + 0.5f;
  return p * (r * r) + r + 1.0f;
}

// e^x, at most 2 ulp for results in the normal range; 0 below -87.33, +inf above 88.72; NaN stays NaN.
// Range reduction x = n ln 2 + r, |r| <= ln 2 / 2 (Cody and Waite's split of ln 2).
constexpr float exp(float x) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, kept in the low mantissa bits
  const float clamped = x > 89.0f ? 89.0f : (x < -88.0f ? -88.0f : x);
  const float t = clamped * 1.44269504088896341f + kShift;
  const float n = t - kShift;
  const float r = (clamped - n * 0.693145751953125f) - n * 1.428606765330187e-06f;
  const float p = exp_of_fraction(r);
  // 2^n in two factors, so that n = 128 does not overflow before the product does.
  const int32_t k = static_cast<int32_t>(std::bit_cast<uint32_t>(t) - std::bit_cast<uint32_t>(kShift));
  const int32_t half = k >> 1;
  const float a = std::bit_cast<float>((half + 127) << 23), b = std::bit_cast<float>((k - half + 127) << 23);
  const float y = p * a * b;
  const float low = x < -87.33f ? 0.0f : y;
  const float high = x > 88.72283f ? std::numeric_limits<float>::infinity() : low;
  return x != x ? x : high;
}
inline double exp(double x) { return std::exp(x); }

// The same polynomial for x <= 0, which a softmax asks for: half the instructions. At most 2 ulp; 0 below -87.33; NaN
// stays NaN.
constexpr float exp_nonpositive(float x) {
  constexpr float kShift = 12582912.0f, kLowest = -87.33f;
  const float clamped = x < kLowest ? kLowest : x;
  const float t = clamped * 1.44269504088896341f + kShift;
  const float n = t - kShift;
  const float r = (clamped - n * 0.693145751953125f) - n * 1.428606765330187e-06f;
  const float p = exp_of_fraction(r);
  // 2^n, n >= -126: the shift leaves only the integer's low bits and the exponent's offset.
  const float power = std::bit_cast<float>((std::bit_cast<uint32_t>(t) + 127u) << 23);
  return x < kLowest ? 0.0f : p * power;
}
inline double exp_nonpositive(double x) { return std::exp(x); }

// Odd rational approximation on [-4, 4], 1 beyond; absolute error below 4e-7.
constexpr float erf(float x) {
  const float c = x > 4.0f ? 4.0f : (x < -4.0f ? -4.0f : x);
  const float s = c * c;
  float p = -2.72614225801306e-10f;
  p = p * s + 2.77068142495902e-08f;
  p = p * s - 2.10102402082508e-06f;
  p = p * s - 5.69250639462346e-05f;
  p = p * s - 7.34990630326855e-04f;
  p = p * s - 2.95459980854025e-03f;
  p = p * s - 1.60960333262415e-02f;
  float q = -1.45660718464996e-05f;
  q = q * s - 2.13374055278905e-04f;
  q = q * s - 1.68282697438203e-03f;
  q = q * s - 7.37332916720468e-03f;
  q = q * s - 1.42647390514189e-02f;
  return c * p / q;
}
inline double erf(double x) { return std::erf(x); }

// Odd rational approximation on [-7.9, 7.9], 1 beyond; absolute error below 4e-7.
constexpr float tanh(float x) {
  const float c =
      x > 7.90531110763549805f ? 7.90531110763549805f : (x < -7.90531110763549805f ? -7.90531110763549805f : x);
  const float s = c * c;
  float p = -2.76076847742355e-16f;
  p = p * s + 2.00018790482477e-13f;
  p = p * s - 8.60467152213735e-11f;
  p = p * s + 5.12229709037114e-08f;
  p = p * s + 1.48572235717979e-05f;
  p = p * s + 6.37261928875436e-04f;
  p = p * s + 4.89352455891786e-03f;
  float q = 1.19825839466702e-06f;
  q = q * s + 1.18534705686654e-04f;
  q = q * s + 2.26843463243900e-03f;
  q = q * s + 4.89352518554385e-03f;
  return c * p / q;
}
inline double tanh(double x) { return std::tanh(x); }

constexpr float sigmoid(float x) { return 1.0f / (1.0f + exp(-x)); }
inline double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

}  // namespace gfsa::math
