// coefficient_table.h -- coefficients as an affine function of a few per-head parameters, differentiable: what most
// filters are.
#pragma once

#include <array>
#include <vector>

#include "core/tensor.h"

namespace gfsa {

// out[h, j] = constant[j] + sum_p weights[p][j] parameters[p][h]
//
// parameters: each [H], of one floating type, one to 20; constant and every row of weights have degree + 2 numbers, at
// most 20. Result [H, degree + 2] in the parameters' type. Sums in double.
Tensor coefficient_table(const std::vector<Tensor>& parameters, const std::vector<double>& constant,
                         const std::vector<std::vector<double>>& weights);

// The same without parameters: `constant` for every head.
Tensor constant_coefficients(int64_t heads, const std::vector<double>& constant, DType dtype, Device device = {});

// The numbers above in a size that can be passed to a kernel by value (4 KB).
struct CoefficientMap {
  static constexpr int kMost = 20;
  int parameters = 0, columns = 0;
  std::array<double, kMost> constant{};
  std::array<std::array<double, kMost>, kMost> weights{};
};

// What coefficient_table needs of a device. Contiguous tensors: parameters [P, H], undefined where there are none, and
// table [H, columns].
template <DeviceType D>
struct CoefficientKernels {
  static void forward(const CoefficientMap& map, const Tensor& parameters, const Tensor& table);
  // dparameters[p, h] = sum_j map.weights[p][j] dtable[h, j]
  static void backward(const CoefficientMap& map, const Tensor& dtable, const Tensor& dparameters);
};

}  // namespace gfsa
