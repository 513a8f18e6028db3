// device_case.h -- an attention on a GPU, real or emulated, against f64 on the CPU.
#pragma once

#include "attention/attention_case.h"
#include "core/philox.h"

#ifdef GFSA_HAS_EMULATED
#include "core/cuda/runtime.h"
#endif

namespace gfsa::test {

// Largest error over the largest value, or over 1. Gradients through a softmax may be tiny differences of numbers of
// size 1: rowsum(M o dM) comes from rows that were rounded to the tensors' type, as in every attention of this kind.
double error_of(const Tensor& found, const Tensor& expected);

// The case in f64 on the CPU, in the form that it takes there.
AttentionResult exact_result(AttentionTestCase c, const AttentionValues& x);

// Of numbers that the case's tensors hold exactly.
inline double tolerance_of(DType dtype) { return dtype == DType::f32 ? 1e-5 : 0.03; }
void check_on_device(AttentionTestCase c, DType dtype, double tolerance);
inline void check_on_device(const AttentionTestCase& c, DType dtype) { check_on_device(c, dtype, tolerance_of(dtype)); }

// Of random cases: a bound that holds for some hundred of them, over as many numbers of the largest one.
inline double loose_tolerance_of(DType dtype) { return dtype == DType::f32 ? 1e-5 : 0.15; }

// The case's rows become those of up to five sequences, some of which are empty.
void cut_into_sequences(AttentionTestCase& c, RandomSequence& random);

void expect_same_bits(const AttentionResult& a, const AttentionResult& b);

// All that there is, in one small case.
AttentionTestCase everything(Device device);

#ifdef GFSA_HAS_EMULATED
// The emulated device's schedules while this lives.
class EmulatorSeed {
 public:
  explicit EmulatorSeed(uint64_t seed);
  ~EmulatorSeed();
};
#endif

}  // namespace gfsa::test
