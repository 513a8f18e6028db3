// warpgroup_pass.h -- the passes of pass.h for GPUs of compute capability 9.0: warpgroups, wgmma and TMA. Defined in
// warpgroup_kernels.h, instantiated in warpgroup_*.cu.
#pragma once

#include "attention/kernels/cuda/pass.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

// Heads whose tiles fill the swizzle and whose sums fit the registers.
template <class T, int kColumns>
inline constexpr bool kHasWarpgroupPasses = std::is_same_v<T, bfloat16> && (kColumns == 64 || kColumns == 128);

inline constexpr int kLargestHeadOfKeysAndValues = 64;  // two sums a row and the gradient's three tiles in registers

// As Passes<bfloat16, kColumns>; false, and nothing done, if the device has no warpgroups or TMA cannot take the views:
// rows of 16 bytes and multiples of them, no row twice; for the gradient, tiles of all terms in shared memory.
template <int kColumns>
struct WarpgroupPasses {
  static bool apply(const ApplyArguments<bfloat16>& a, bool first, int64_t batch);
  static bool gradient(const GradientArguments<bfloat16>& a, int64_t batch);
  static bool has_keys_and_values(const GradientArguments<bfloat16>& a);
  static void keys_and_values(const GradientArguments<bfloat16>& a, const Finish<bfloat16>& values, int64_t batch);
};

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
