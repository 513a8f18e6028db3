// gradient_units.h -- all heads of a backward, and the gradient of a bias that many of them share.
//
// A bias of [1, H, n, n] gets the sum over the batch. Heads that share a slice of it are cut into a fixed number of
// groups (the number does not depend on the threads, so neither do the bits), each group adds up in its own copy, head
// after head, and the copies are added in order. About kUnits copies exist at most: with fewer slices than that, more
// groups a slice.
#pragma once

#include "attention/kernels/sequences.h"

namespace gfsa::kernels {

inline constexpr int64_t kUnits = 64;

// body(s, task = b H + h, scratch, dbias of the task or nullptr) for every head of every problem.
template <class A, class Body>
void for_each_head_with_bias(const Sequences& all, const Target& bias, const ScratchLayout& layout, const Body& body) {
  if (!bias.tensor) {
    all.for_each_head(layout, [&](int64_t sequence, int64_t task, const Scratch& s) {
      body(sequence, task, s, static_cast<A*>(nullptr));
    });
    return;
  }
  const Problem& p = all[0];  // a bias comes without packed sequences
  const int64_t bias_b = bias.tensor.dim(0), bias_h = bias.tensor.dim(1), slices = bias_b * bias_h,
                area = p.rows * p.keys;
  const int64_t sharing = slices == 0 ? 0 : p.batch * p.heads / slices;
  const int64_t groups = std::clamp<int64_t>(slices == 0 ? 1 : kUnits / slices, 1, std::max<int64_t>(1, sharing));
  // A slice that one group owns needs no copy.
  const bool direct = groups == 1;
  const Tensor copies = direct ? bias.tensor : Tensor::empty({slices, groups, std::max<int64_t>(1, area)}, dtype_of<A>);
  for_each_task(slices * groups, layout, [&](int64_t unit, const Scratch& scratch) {
    const int64_t slice = unit / groups, group = unit % groups;
    A* const dbias = copies.data<A>() + unit * area;
    if (!direct || !bias.accumulate) std::fill(dbias, dbias + area, A(0));
    for (int64_t u = sharing * group / groups; u < sharing * (group + 1) / groups; ++u) {
      const int64_t b = bias_b > 1 ? slice / bias_h : (bias_h > 1 ? u : u / p.heads);
      const int64_t h = bias_h > 1 ? slice % bias_h : u % p.heads;
      body(int64_t{0}, b * p.heads + h, scratch, dbias);
    }
  });
  if (direct) return;
  A* const to = bias.tensor.data<A>();
  parallel_for(slices * area, 1 << 13, [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      const A* from = copies.data<A>() + e / area * groups * area + e % area;
      A sum = bias.accumulate ? to[e] : A(0);
      for (int64_t group = 0; group < groups; ++group) sum += from[group * area];
      to[e] = sum;
    }
  });
}

}  // namespace gfsa::kernels
