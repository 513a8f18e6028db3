// sequences.h -- packed sequences (attention.h: offsets) as problems of their own, on the CPU: kernels are written for
// one problem with all of its samples, and a problem that is not packed is the only one of its list.
#pragma once

#include <vector>

#include "attention/kernels/problem.h"
#include "attention/kernels/tasks.h"

namespace gfsa::kernels {

class Sequences {
 public:
  explicit Sequences(const Problem& p) : whole_(p) {
    if (!packed()) {
      problems_.push_back(p);
      return;
    }
    problems_.reserve(static_cast<size_t>(p.batch));
    for (int64_t s = 0; s < p.batch; ++s) {
      Problem& one = problems_.emplace_back(p);
      const int64_t first = start(s), n = start(s + 1) - first;
      one.starts.clear();
      one.batch = 1;
      one.rows = one.keys = n;
      one.width = {n};
      one.sample0 += static_cast<uint32_t>(s);
      for (Tensor* t : {&one.q, &one.k, &one.v}) *t = rows_of(*t, s);
    }
  }
  int64_t size() const { return static_cast<int64_t>(problems_.size()); }
  const Problem& operator[](int64_t s) const { return problems_[static_cast<size_t>(s)]; }

  // Sequence s of [1, N, columns].
  Tensor rows_of(const Tensor& t, int64_t s) const { return packed() && t ? t.slice(1, start(s), start(s + 1)) : t; }
  // Of what has `columns` numbers a head and row: each problem's own tensor, [its batch, H, rows, columns], one after
  // the other.
  Tensor make_head_rows(int64_t columns, DType dtype) const {
    const int64_t rows = packed() ? whole_.starts.back() : whole_.batch * whole_.rows;
    return Tensor::empty({rows * whole_.heads, columns}, dtype);
  }
  Tensor head_rows_of(const Tensor& t, int64_t s) const {
    return packed() && t ? t.slice(0, start(s) * whole_.heads, start(s + 1) * whole_.heads) : t;
  }
  Gradients gradients_of(const Gradients& to, int64_t s) const {
    Gradients own = to;
    for (Target* t : {&own.q, &own.k, &own.v}) t->tensor = rows_of(t->tensor, s);
    if (own.coefficients != nullptr) own.coefficients += s * whole_.heads * (whole_.degree + 2);
    return own;
  }

  // body(s, task = b H + h of problem s, scratch) for every head of every problem.
  template <class Body>
  void for_each_head(const ScratchLayout& largest, const Body& body) const {
    if (!packed()) {
      for_each_task(whole_.batch * whole_.heads, largest,
                    [&](int64_t task, const Scratch& scratch) { body(int64_t{0}, task, scratch); });
      return;
    }
    const int64_t heads = whole_.heads;
    for_each_task(size() * heads, largest,
                  [&](int64_t task, const Scratch& scratch) { body(task / heads, task % heads, scratch); });
  }

 private:
  bool packed() const { return !whole_.starts.empty(); }
  int64_t start(int64_t s) const { return whole_.starts[static_cast<size_t>(s)]; }

  const Problem& whole_;
  std::vector<Problem> problems_;
};

// Scratch that serves all of them. Kernels are made for one problem each.
template <class Kernel>
ScratchLayout largest_layout(const std::vector<Kernel>& kernels) {
  ScratchLayout largest;
  for (const Kernel& kernel : kernels) {
    if (kernel.layout().bytes() > largest.bytes()) largest = kernel.layout();
  }
  return largest;
}

}  // namespace gfsa::kernels
