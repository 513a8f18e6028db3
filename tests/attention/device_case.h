// device_case.h -- an attention on a GPU, real or emulated, against f64 on the CPU.
#pragma once

#include "attention/attention_case.h"
#include "core/philox.h"
#include "support/emulator.h"

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

// Random cases in groups, a test each, so that they run beside each other:
//
//   class FormOnDevices : public testing::TestWithParam<GroupOfCases> {};
//   TEST_P(FormOnDevices, RandomCombinations) { check_group(GetParam(), random_case); }
//   INSTANTIATE_TEST_SUITE_P(Groups, FormOnDevices, testing::ValuesIn(groups_of_cases(12, 20)), name_of_group);
//   GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(FormOnDevices);  // builds without other devices
struct GroupOfCases {
  Device device;
  int group, cases;
};
// For every device beside the CPU.
std::vector<GroupOfCases> groups_of_cases(int groups, int cases_of_group);
std::string name_of_group(const testing::TestParamInfo<GroupOfCases>& info);
// The group's cases from random_case, which leaves the device alone, in these types by turns. No two groups share a
// seed.
void check_group(const GroupOfCases& group, AttentionTestCase (*random_case)(uint64_t seed),
                 const std::vector<DType>& dtypes = {DType::f32, DType::bf16});

// The case's rows become those of up to five sequences, some of which are empty.
void cut_into_sequences(AttentionTestCase& c, RandomSequence& random);

// A GFSA head of 520 rows, forward and backward: neither keeps or makes anything of a quarter of the matrix's size.
void expect_no_matrix(Device device, const AttentionOptions& options);

void expect_same_bits(const AttentionResult& a, const AttentionResult& b);

// All that there is, in one small case.
AttentionTestCase everything(Device device);

}  // namespace gfsa::test
