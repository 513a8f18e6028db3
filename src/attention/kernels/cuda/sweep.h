// sweep.h -- what the one-sweep form launches, a head size and type at a time, for a super-block of rows or keys: the
// span. Defined in sweep_kernels.h, instantiated in sweep_*.cu.
#pragma once

#include "attention/kernels/cuda/pass.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

inline constexpr int64_t kLargestHeadOfSweeps = 64;  // three accumulators in backward

// Rows of the span, degree 2: an online softmax over all keys, which sums M V and, of the keys before the span, M T_1.
// Heads whose c2 is 0 need the first alone: their out is finished here, with the bits of the softmax.
template <class T>
struct RowSweep {
  Scores scores;
  Span span;
  HeadView<const T> q, k, v;
  HeadView<const T> t;  // T_1, which earlier launches have made of the rows before the span
  InPlace<float> lse{};
  Finish<T> horner;       // of M V: T_1 of the span's rows
  Finish<T> out;          // of M V, where c2 is 0
  HeadView<float> begun;  // [B, H, rows of the span, D]: M T_1 so far; null where the span is the first
};

// Keys of the span. Degree 1: D_1 = M^T G, so dV, and dK, over all rows at or below. Degree 2: D_1; and over the rows
// after the super-block, whose D_1 and row terms are finished, what they give to D_2 = M^T D_1 and dK, into `sums`. The
// rest, another launch, adds what the super-block's own rows give to these and finishes dV and dK.
template <class T>
struct KeySweep {
  Scores scores;
  Span span;
  int block = 0;  // rows of a super-block; of degree 1 all of them are one span
  HeadView<const T> q, k;
  Chain<const T> left, right;  // G, D_1; T_1, V
  Global<const float> lse{}, row_terms{};
  HeadView<T> first;  // degree 2: D_1 of the span's keys
  Finish<T> values;   // of the last D: itself and dV
  HeadView<T> keys;   // dK; null: not wanted
  bool accumulate_keys = false;
  Chain<float> sums;  // degree 2: [3, B, H, keys of the span, D]: D_1, and D_2 and dK so far
};

template <class T, int kColumns>
struct Sweeps {
  static void rows(const RowSweep<T>& a, int64_t batch);
  static void keys(const KeySweep<T>& a, int64_t batch);
  static void rest_of_keys(const KeySweep<T>& a, int64_t batch);
};

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
