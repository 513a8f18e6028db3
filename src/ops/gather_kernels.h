// gather_kernels.h -- rows by index on GPUs, for embedding and index_select, which have loops of their own on the CPU.
#pragma once

#include "autograd/autograd.h"
#include "core/tensor.h"

namespace gfsa {

struct GatherShape {
  int64_t outer = 1, rows = 0, indices = 0, inner = 1;
};

// Contiguous tensors of one device; indices i64 [indices]. An index outside [0, rows) is no error: nobody looks at it
// on the host.
template <DeviceType D>
struct GatherKernels {
  // y[o, i, :] = x[o, indices[i], :], NaN (0 where there is none) for an index outside. x [outer, rows, inner], y
  // [outer, indices, inner]; of one dtype, or f32 with bf16.
  static void forward(const char* op, const GatherShape& shape, const Tensor& x, const Tensor& indices,
                      const Tensor& y);
  // dx[o, indices[i], :] += dy[o, i, :], in order of i, in f32.
  static void backward(const char* op, const GatherShape& shape, const Tensor& dy, const Tensor& indices,
                       const GradOut::Target& dx);
};

}  // namespace gfsa
