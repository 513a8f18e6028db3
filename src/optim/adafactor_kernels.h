// adafactor_kernels.h -- what optim/adafactor.cpp needs of a GPU.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "optim/optimizer.h"
#include "optim/update_rules.h"

namespace gfsa {

// What all parameters share in one step.
struct AdafactorStep {
  double t, weight, least, eps2, d;
  // The factor of u, from the sums of p^2 and u^2 over a parameter of n elements.
  constexpr double size(double lr, double values, double directions, double n) const {
    const double alpha = std::max(eps2, std::sqrt(values / n)) * std::min(lr, 1 / std::sqrt(t));
    return alpha / std::max(1.0, std::sqrt(directions / n) / d);
  }
};

// What changes from step to step, by group: as one table for kernels.
struct AdafactorGroup {
  AdafactorStep step;
  double lr, weight_decay;
};

// On the optimizer's device. Offsets are elements of values and grads, or of the state.
struct AdafactorBuffers {
  Tensor blocks;      // i64 [blocks, 7]: begin, count, parameter, matrix, row state, vector state, partial sums
  Tensor matrices;    // i64 [matrices, 6]: rows (0: a vector), columns, row state, column state, partial sums, blocks
  Tensor parameters;  // i64 [parameters, 4]: first block, blocks, elements, group
  Tensor values, grads, row_var, col_var, variance;
  // Scratch, f64: column sums by block; 1 / max(mean(R), eps1) by matrix; sums of p^2 and u^2 by block; what is kept of
  // p, and the factor of u, by parameter.
  Tensor partials, inverse_means, sums, steps;
  int64_t most_columns = 0;  // of a matrix
};

template <DeviceType D>
struct AdafactorKernels {
  // groups: Optimizer::rules(), each an AdafactorGroup. least: AdafactorStep's.
  static void update(const AdafactorBuffers& b, const uint32_t* groups, double least, const GradientScale& scale);
};

}  // namespace gfsa
