// cross_entropy.h -- softmax cross entropy, the same numbers as PyTorch's CrossEntropyLoss (mean; with label
// smoothing).
//
//   logits  [M, K] f64, f32 or bf16
//   targets [M] i64: classes (hard), or [M, K] f32 (f64 for f64 logits): probabilities (soft); they get no gradient
//   t' = (1 - label_smoothing) t + label_smoothing / K              t is one-hot for hard targets
//   loss of a row = sum_k t'_k (logsumexp(x) - x_k)
//   result = sum of the losses / normalizer, a scalar in f32 (f64 for f64)
//   dx = (softmax(x) sum_k t'_k - t') d(result) / normalizer
//
// A hard target equal to ignore_index: the row's loss and gradient are 0, it does not count. Where nothing counts the
// result is 0 (PyTorch: NaN). f32 arithmetic (f64 for f64), losses of the rows added in double, in an order that
// depends on the shape alone. Each row is read in pieces that fit the cache; no probabilities are stored, and logits
// that nobody holds any more become their gradient: else that is all the memory that is asked for. Saved: logits,
// maximum, log-sum-exp and the sum of t' a row. Errors: shapes, dtypes; a class outside [0, K), naming its row. On a
// GPU, where looking at the targets would make the host wait, such a row's loss and gradient are NaN instead.
#pragma once

#include <cstdint>

#include "core/tensor.h"

namespace gfsa {

struct CrossEntropyOptions {
  double label_smoothing = 0;  // [0, 1]
  int64_t ignore_index = -100;
  double normalizer = 0;  // 0: the number of rows that count; gradient accumulation gives that of the whole step
};

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options = {});

// The losses of the rows [M], without gradient: for evaluation. The normalizer is not used.
Tensor cross_entropy_per_row(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options = {});

}  // namespace gfsa
