// spreading.h -- packed sequences as a padded batch and back, for what works on whole matrices.
#pragma once

#include "attention/kernels/problem.h"
#include "core/cuda/device.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

// The same attention of [S, rows, H D], the sequences padded with zeros to the most rows that one may have, with the
// sequences' key lengths; dropout's numbers are those of the packed one.
kernels::Problem spread_problem(const kernels::Problem& p);

// [1, N, H D] -> [S, rows, H D].
Tensor spread(const kernels::Problem& p, const Tensor& x);
// Back into `to`, [1, N, H D]; nothing happens if it is undefined.
void gather(const kernels::Problem& p, const Tensor& spread_x, const kernels::Target& to);

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
