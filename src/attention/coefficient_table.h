// coefficient_table.h -- coefficients as an affine function of a few per-head parameters, differentiable: what most
// filters are.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace gfsa {

// out[h, j] = constant[j] + sum_p weights[p][j] parameters[p][h]
//
// parameters: each [H], of one floating type, at least one; constant and every row of weights have degree + 2 numbers.
// Result [H, degree + 2] in the parameters' type. Sums in double.
Tensor coefficient_table(const std::vector<Tensor>& parameters, const std::vector<double>& constant,
                         const std::vector<std::vector<double>>& weights);

// The same without parameters: `constant` for every head.
Tensor constant_coefficients(int64_t heads, const std::vector<double>& constant, DType dtype);

}  // namespace gfsa
