// problem.h -- one attention, checked and laid out for kernels. Built by attention.cpp alone.
#pragma once

#include <algorithm>
#include <vector>

#include "attention/attention.h"

namespace gfsa::kernels {

struct Problem {
  // Packed: sequences, and the most rows that one of them has.
  int64_t batch = 0, heads = 0, rows = 0, keys = 0, head_size = 0;
  DType dtype = DType::f32;
  double scale = 1;
  bool causal = false;
  int64_t past = 0;             // causal, CPU: keys before the one of row 0; row i sees keys 0 .. past + i
  Tensor q, k, v;               // [B, rows or keys, H D], packed [1, N, H D]: views with last stride 1
  Tensor bias;                  // [1|B, 1|H, rows, keys] of the accumulator's type, last stride 1; may be undefined
  Tensor keep;                  // bool [B, keys] contiguous; on the CPU only where a mask has holes below its width
  std::vector<int64_t> width;   // [B]: keys at or beyond it are masked; CPU alone
  std::vector<int64_t> starts;  // [B + 1]: the rows where packed sequences start; empty: not packed; CPU alone
  Tensor offsets;               // the same on other devices, i64, unchecked
  Tensor lengths;               // the same on other devices, i64, unchecked; undefined: all keys
  double dropout = 0;           // 0: none
  DropoutOrder dropout_order = DropoutOrder::filter_first;
  RandomKey dropout_key;
  uint32_t sample0 = 0;
  bool dropout_by_length = false;  // element (h, i, j) is number (h n + i) n + j, n being the sample's entry of lengths
  int64_t block_rows = 0;
  int64_t degree = 1;                // k
  std::vector<double> coefficients;  // [H, k + 2]; CPU alone
  Tensor device_coefficients;        // the same on other devices, f32, contiguous; undefined: softmax

  // Nothing to compute with: results and gradients are zeros.
  bool is_empty() const { return batch == 0 || rows == 0 || keys == 0; }

  // The rest: CPU alone.
  double uniform(int64_t h) const { return coefficients[static_cast<size_t>(h * (degree + 2))]; }
  double c(int64_t h, int64_t j) const { return coefficients[static_cast<size_t>(h * (degree + 2) + 1 + j)]; }
  // The last j with cj != 0, at least 1: passes that the value takes. Gradients of the coefficients beyond need more.
  int64_t value_degree(int64_t h) const {
    int64_t j = degree;
    while (j > 1 && c(h, j) == 0) --j;
    return j;
  }
  int64_t value_degree() const {
    int64_t j = 1;
    for (int64_t h = 0; h < heads; ++h) j = std::max(j, value_degree(h));
    return j;
  }
};

// What backward needs besides the problem; undefined where an implementation or a case needs nothing.
struct Saved {
  Tensor horner;   // T_1 .. T_{k-1} of the two-pass and one-sweep forms
  Tensor lse;      // [B, H, rows] f32 (packed: [1, H, N]): logarithms, of base 2, of the sums in the softmaxes'
                   // denominators; not on the CPU
  Tensor softmax;  // CPU: each row's largest score and 1 / sum of its softmax, [B, H, rows, 2], of two_pass, one_sweep
  Tensor out;      // not of the two-pass form on the CPU
};

// Where a gradient goes; undefined: not wanted.
struct Target {
  Tensor tensor;
  bool accumulate = false;
};

struct Gradients {
  Target q, k, v, bias;            // shapes of the problem's tensors
  double* coefficients = nullptr;  // CPU: [B, H, k + 2], overwritten, to be summed over B; nullptr: not wanted
  Tensor device_coefficients;      // other devices: [H, k + 2] f32, overwritten; undefined: not wanted

  // All zero.
  void clear() const {
    for (const Target* t : {&q, &k, &v, &bias}) {
      if (t->tensor && !t->accumulate) t->tensor.fill(0);
    }
    if (device_coefficients) device_coefficients.fill(0);
  }
};

// One head's part of a [B, N, H D] tensor: first element and step between rows.
template <class T>
struct HeadRows {
  T* data = nullptr;
  int64_t step = 0;
  T* row(int64_t i) const { return data + i * step; }
};
template <class T>
HeadRows<T> head_rows(const Tensor& t, int64_t b, int64_t h, int64_t head_size) {
  return {t.data<T>() + b * t.strides()[0] + h * head_size, t.strides()[1]};
}

// Everything a kernel reads of one (batch, head).
template <class T>
struct Head {
  int64_t b, h;
  HeadRows<T> q, k, v;
  const acc_t<T>* bias = nullptr;  // row 0
  int64_t bias_step = 0;
  const bool* keep = nullptr;  // nullptr: all keys below width may be seen
  int64_t width = 0;

  Head(const Problem& p, int64_t batch, int64_t head)
      : b(batch),
        h(head),
        q(head_rows<T>(p.q, b, h, p.head_size)),
        k(head_rows<T>(p.k, b, h, p.head_size)),
        v(head_rows<T>(p.v, b, h, p.head_size)),
        keep(p.keep ? p.keep.data<bool>() + b * p.keys : nullptr),
        width(p.width[static_cast<size_t>(b)]) {
    if (!p.bias) return;
    bias = p.bias.data<acc_t<T>>() + (p.bias.dim(0) > 1 ? b * p.bias.strides()[0] : 0) +
           (p.bias.dim(1) > 1 ? h * p.bias.strides()[1] : 0);
    bias_step = p.bias.strides()[2];
  }
};

}  // namespace gfsa::kernels
