// attention_case.h -- one attention with all its options, its reference (plain loops over full matrices, of double or
// of complex numbers) and exact directional derivatives from it: Im f(x + i h d) / h has no cancellation, so h = 1e-30
// gives the derivative along d to the last digits.
#pragma once

#include <gtest/gtest.h>

#include <complex>
#include <cstdint>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "core/cpu/simd.h"

namespace gfsa::test {

struct AttentionTestCase {
  int64_t batch = 2, heads = 2, rows = 5, keys = 5, head_size = 4;
  bool packed = true;    // qkv in one tensor
  int64_t degree = -1;   // -1: no coefficients
  bool uniform = false;  // cu is not 0
  bool causal = false, holes = false, lengths = false;
  // Packed sequences of these lengths, whose sum is `rows`; batch 1, no masks and no bias. Empty: none.
  std::vector<int64_t> sequences = {};
  int64_t longest = 0;
  int64_t bias_batch = 0, bias_heads = 0;  // 0: no bias
  double dropout = 0;
  DropoutOrder order = DropoutOrder::dropout_first;
  AttentionForm form = AttentionForm::automatic;
  int64_t block_rows = 0;
  uint64_t seed = 1;
  uint32_t sample0 = 7;
  Device device = {};
  bool strided = false;  // rows of q, k, v stand apart, at odd addresses
  // q, k, v and the seed of the gradients hold numbers of this type, whatever type they are computed in.
  DType rounded = DType::f64;
  std::string text() const;
};

// Inputs by name, in f64, row-major: "q", "k", "v" [B, N, C], "coefficients", "bias".
struct AttentionValues {
  std::vector<double> q, k, v, coefficients, bias;
  std::vector<bool> keep;  // [B, keys]
  std::vector<int64_t> lengths;
};
AttentionValues make_values(const AttentionTestCase& c);

struct AttentionResult {
  Tensor out;
  // Gradients of sum(out o w), w from seed_values(). dq, dk, dv are split out of dqkv where packed.
  Tensor dq, dk, dv, dcoefficients, dbias;
};
std::vector<double> seed_values(const AttentionTestCase& c);
AttentionOptions options_of(const AttentionTestCase& c);
// gradients = false: forward alone, nothing recorded.
AttentionResult run_attention(const AttentionTestCase& c, const AttentionValues& x, DType dtype = DType::f64,
                              bool gradients = true);

template <class S>
struct ReferenceInputs {
  std::vector<S> q, k, v, coefficients, bias;
};
template <class S>
std::vector<S> reference_attention(const AttentionTestCase& c, const AttentionValues& x, const ReferenceInputs<S>& in);
std::vector<double> reference_attention(const AttentionTestCase& c, const AttentionValues& x);
// d/dh sum(out o w) along `direction` of input `which` ("q", "k", "v", "coefficients", "bias").
double directional_derivative(const AttentionTestCase& c, const AttentionValues& x, const std::string& which,
                              const std::vector<double>& direction);

// Largest |a - b| over largest |b| (or over 0.01 if b is tiny).
double difference(const Tensor& a, const Tensor& b);
double difference(const Tensor& a, const std::vector<double>& b);
std::vector<double> random_values(size_t n, uint64_t seed, double deviation = 1);

// The output and all gradients that there are, the same ones on both sides.
void expect_near(const AttentionResult& r, const AttentionResult& reference, double tolerance,
                 double (*error)(const Tensor&, const Tensor&) = difference);

// The output against the reference, and the gradient of every input along random directions against its exact
// derivative.
void expect_exact(const AttentionTestCase& c, const AttentionValues& x);
void expect_exact(const AttentionTestCase& c);

// The case in `dtype` against the explicit form in f64; without a tape the same bits.
void expect_as_explicit(AttentionTestCase c, DType dtype = DType::f64, double tolerance = 1e-12);

// Of a causal case of batch 1, in `dtype`: whatever q, k and v are from row t on, the output before t has the same
// bits, and row t has not; for every t of `places`.
void expect_blind_to_future(const AttentionTestCase& c, DType dtype, const std::vector<int64_t>& places);

// The case and its numbers with as many rows as that, those beyond its own of random numbers and hidden by lengths.
std::pair<AttentionTestCase, AttentionValues> padded_to(const AttentionTestCase& c, const AttentionValues& x,
                                                        int64_t rows);

// Of a case of batch 1, in `dtype`: padded to `rows` it has the same bits of the output, and in dk the padding is 0.
void expect_blind_to_padding(const AttentionTestCase& c, DType dtype, int64_t rows);

// All instruction sets of this machine, and back.
template <class Body>
void on_every_isa(const Body& body) {
  const simd::Isa before = simd::active();
  for (int isa = 0; isa <= static_cast<int>(simd::supported()); ++isa) {
    simd::set_active(static_cast<simd::Isa>(isa));
    SCOPED_TRACE(simd::name(simd::active()));
    body();
  }
  simd::set_active(before);
}

}  // namespace gfsa::test
