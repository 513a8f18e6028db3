// arguments.h -- what attention() and attention_step() check and lay out alike.
#pragma once

#include "attention/attention.h"
#include "attention/kernels/problem.h"
#include "core/expect.h"

namespace gfsa::kernels {

// Kernels walk rows; they need a row's elements side by side.
Tensor with_dense_rows(const Tensor& x);
// Fills in q, k, v and their sizes and type.
void take_queries_keys_values(const AttentionInputs& in, int64_t heads, Expect& e, Problem& p);
// After these: the coefficients and the degree.
void take_coefficients(const AttentionInputs& in, Expect& e, Problem& p);

}  // namespace gfsa::kernels
