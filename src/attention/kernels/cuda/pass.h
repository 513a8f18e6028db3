// pass.h -- what the two-pass form launches, a head size and type at a time. Defined in pass_kernels.h, instantiated in
// pass_*.cu: one file each, so that they compile side by side.
#pragma once

#include "attention/kernels/cuda/scores.h"
#include "base/error.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

// What becomes of a block's sums: raw = sums, and y = f sums + g begun + sum of c_t terms(t) for t in
// [first_term, end_term) + cu mean, or y += that.
template <class T>
struct Finish {
  HeadView<T> raw, y;           // null: not wanted
  int factor_at = 0;            // f is this coefficient; 0: f is 1
  HeadView<const float> begun;  // [B, H, rows of the span, D]: what an earlier launch has summed; null: nothing
  int begun_at = 0;             // g likewise
  Chain<const T> terms;
  int first_term = 0, end_term = 0;
  Global<const float> mean{};  // a VisibleMean; null: none
  bool one_mean = false;
  bool accumulate = false;
};

// sums = M x (queries own) or M^T x (keys own), rebuilt tile by tile. The other side's rows before the span's do not
// count.
template <class T>
struct ApplyArguments {
  Scores scores;
  bool own_is_key = false;
  Span span;
  HeadView<const T> own, other;  // q and k, or k and q
  HeadView<const T> x;           // beside other
  InPlace<float> lse{};  // a number a head and row: log2 of the sums of exp2: written by the first pass, read by others
  int needed = 0;        // heads whose coefficient of this number is 0 are left as they are; 0: none are
  Finish<T> to;
};

// y = scale dS other (or += that), dS = M o dM - r A with dM = sum of left_t right_t^T over t < degree, and the last
// right one times its coefficient.
template <class T>
struct GradientArguments {
  Scores scores;
  bool own_is_key = false;
  HeadView<const T> own, other;
  Chain<const T> own_chain, other_chain;  // D_0, D_1, ... on the queries' side; T_1, T_2, ..., V on the keys' side
  Global<const float> lse{}, row_terms{};
  HeadView<T> y;
  bool accumulate = false;
  int own_slots = 0;  // tiles of own_chain in shared memory: degree, or 2 that are fetched again and again
};

// The gradient of a bias slice summed over the heads that share it, of one group of them, into [slices, groups, rows,
// keys]. Queries own.
template <class T>
struct BiasGradientArguments {
  GradientArguments<T> gradient;
  Global<float> to{};
  int batch = 0, bias_batch = 0, bias_heads = 0, groups = 0;
  bool accumulate = false;
};

template <class T, int kColumns>
struct Passes {
  static void apply(const ApplyArguments<T>& a, bool first, int64_t batch);
  static void gradient(GradientArguments<T> a, int64_t batch);
  // The gradient, keys own, and of the same tiles of M what the last pass of backward makes: `values` of M^T times the
  // other side of the chain's last term. Only where it is had.
  static bool has_keys_and_values(const GradientArguments<T>& a);
  static void keys_and_values(const GradientArguments<T>& a, const Finish<T>& values, int64_t batch);
  static void bias_gradient(BiasGradientArguments<T> a);
};

inline constexpr int64_t kLargestHeadSize = 256;

// f(constant) with the number of columns that kernels are made for, up to kMost.
template <int64_t kMost = kLargestHeadSize, class F>
void with_columns(int64_t head_size, F&& f) {
  if (head_size <= 16) return f(std::integral_constant<int, 16>{});
  if (head_size <= 32) return f(std::integral_constant<int, 32>{});
  if (head_size <= 64) return f(std::integral_constant<int, 64>{});
  if constexpr (kMost > 64) {
    if (head_size <= 128) return f(std::integral_constant<int, 128>{});
    if (head_size <= kLargestHeadSize) return f(std::integral_constant<int, 256>{});
  }
  bad_input("attention: on a GPU this form takes head sizes up to {}, not {}; use form: explicit", kMost, head_size);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
