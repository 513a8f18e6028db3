#include "attention/kernels/cuda/spreading.h"

#include "attention/kernels/cuda/scores.h"
#include "core/dispatch.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

using kernels::Problem;

constexpr int kThreads = 256;

// Element global_x() of [S, rows, width].
struct Element {
  int b, i;
  int64_t column;
  GFSA_DEVICE Element(const Scores& all, int width) : column(global_x() % width) {
    const int64_t row = global_x() / width;
    b = static_cast<int>(row / all.rows);
    i = static_cast<int>(row % all.rows);
  }
};

template <class T>
struct Spread {
  static constexpr const char* kName = "attention_spread";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Scores all, int width, int64_t n, Global<const T> x, int64_t step, Global<T> y) const {
    if (global_x() >= n) return;
    const Element at(all, width);
    const Scores c = all.of(at.b);
    T value = T(0.0f);
    if (at.i < c.rows) value = load(x, int64_t{c.row0 + at.i} * step + at.column);
    store(y, global_x(), value);
  }
};

template <class T>
struct Gather {
  static constexpr const char* kName = "attention_gather";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Scores all, int width, int64_t n, Global<const T> x, Global<T> y, int64_t step,
                              bool accumulate) const {
    if (global_x() >= n) return;
    const Element at(all, width);
    const Scores c = all.of(at.b);
    if (at.i >= c.rows) return;
    const int64_t to = int64_t{c.row0 + at.i} * step + at.column;
    const float value = as_float(load(x, global_x()));
    store(y, to, from_float<T>(accumulate ? as_float(load(y, to)) + value : value));
  }
};

struct Lengths {
  static constexpr const char* kName = "attention_lengths";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Scores all, int64_t n, Global<int64_t> lengths) const {
    if (global_x() < n) store(lengths, global_x(), int64_t{all.of(static_cast<int>(global_x())).rows});
  }
};

}  // namespace

Tensor spread(const Problem& p, const Tensor& x) {
  const int64_t width = p.heads * p.head_size;
  const Tensor y = Tensor::empty({p.batch, p.rows, width}, p.dtype, x.device());
  dispatch_gpu("attention", p.dtype, [&](auto t) {
    using T = decltype(t);
    launch(Spread<T>{}, one_thread_each("attention", y.numel(), kThreads), scores_of(p), static_cast<int>(width),
           y.numel(), x.data<T>(), x.strides()[1], y.data<T>());
  });
  return y;
}

void gather(const Problem& p, const Tensor& spread_x, const kernels::Target& to) {
  if (!to.tensor) return;
  dispatch_gpu("attention", p.dtype, [&](auto t) {
    using T = decltype(t);
    launch(Gather<T>{}, one_thread_each("attention", spread_x.numel(), kThreads), scores_of(p),
           static_cast<int>(p.heads * p.head_size), spread_x.numel(), spread_x.data<T>(), to.tensor.data<T>(),
           to.tensor.strides()[1], to.accumulate);
  });
}

Problem spread_problem(const Problem& p) {
  Problem wide = p;
  for (Tensor* t : {&wide.q, &wide.k, &wide.v}) *t = spread(p, *t);
  wide.lengths = Tensor::empty({p.batch}, DType::i64, p.q.device());
  launch(Lengths{}, one_thread_each("attention", p.batch, kThreads), scores_of(p), p.batch,
         wide.lengths.data<int64_t>());
  wide.offsets = {};
  wide.dropout_by_length = true;
  return wide;
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
