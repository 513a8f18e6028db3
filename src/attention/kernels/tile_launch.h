// tile_launch.h -- all heads of a call, for the forms made of tiles: a kernel a problem, compiled for the type and the
// instruction set. Kernels need names of their own even in nameless namespaces: GCC 12 gives what is made for a
// template's name external linkage.
#pragma once

#include "attention/kernels/gradient_units.h"
#include "core/dispatch.h"
#include "ops/register_tile.h"

namespace gfsa::kernels {

// Kernel(problem, out, horner, softmax); run(task, scratch). saved.horner and .softmax are made here.
template <template <class, simd::Isa> class Kernel>
Saved run_forward(const Problem& p, const Tensor& out, bool save) {
  const int64_t most = p.value_degree();
  const Sequences sequences(p);
  Saved saved;
  if (save) {
    saved.softmax = sequences.make_head_rows(2, accumulator_of(p.dtype));
    if (most > 1) saved.horner = sequences.make_head_rows((most - 1) * p.head_size, p.dtype);
  }
  dispatch_floating("attention", out, [&](auto t) {
    dispatch_isa([&](auto isa) {
      std::vector<Kernel<decltype(t), isa>> kernels;
      for (int64_t s = 0; s < sequences.size(); ++s) {
        kernels.emplace_back(sequences[s], sequences.rows_of(out, s), sequences.head_rows_of(saved.horner, s),
                             sequences.head_rows_of(saved.softmax, s));
      }
      sequences.for_each_head(largest_layout(kernels), [&](int64_t s, int64_t task, const Scratch& scratch) {
        kernels[static_cast<size_t>(s)].run(task, scratch);
      });
    });
  });
  return saved;
}

// Kernel(problem, saved, dout, gradients); run(task, scratch, dbias).
template <template <class, simd::Isa> class Kernel>
void run_backward(const Problem& p, const Saved& saved, const Tensor& dout, const Gradients& to) {
  const Sequences sequences(p);
  dispatch_floating("attention", dout, [&](auto t) {
    dispatch_isa([&](auto isa) {
      using T = decltype(t);
      std::vector<Kernel<T, isa>> kernels;
      for (int64_t s = 0; s < sequences.size(); ++s) {
        const Saved own{.horner = sequences.head_rows_of(saved.horner, s),
                        .lse = {},
                        .softmax = sequences.head_rows_of(saved.softmax, s),
                        .out = sequences.rows_of(saved.out, s)};
        kernels.emplace_back(sequences[s], own, sequences.rows_of(dout, s), sequences.gradients_of(to, s));
      }
      for_each_head_with_bias<acc_t<T>>(sequences, to.bias, largest_layout(kernels),
                                        [&](int64_t s, int64_t task, const Scratch& scratch, acc_t<T>* dbias) {
                                          kernels[static_cast<size_t>(s)].run(task, scratch, dbias);
                                        });
    });
  });
}

}  // namespace gfsa::kernels
