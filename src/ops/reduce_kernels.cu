// Sums of rows: a warp a piece of a row. Sums of columns: a block a strip of columns and a piece of the rows. Where
// there are several pieces, their sums are added by the same kernels.
#include "ops/reduce_kernels.h"

#include <algorithm>

#include "core/dispatch.h"
#include "ops/cuda/rows.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kWarps = 8;            // of a block that sums rows
constexpr int kColumnThreads = 32;   // of a block that sums columns: side by side,
constexpr int kRowThreads = 8;       // and one below the other
constexpr int64_t kRows = 128;       // of a block that sums columns, at least
constexpr int64_t kMostRows = 4096;  // at most, so that a thread's sum stays exact
constexpr int64_t kBlocks = 1024;    // that keep a GPU busy

template <int V, class In, class With>
GFSA_DEVICE Floats<V> summands(Global<const In> x, Global<const With> with, int64_t i, Where where = Where::current()) {
  Floats<V> v = load_floats<V, In>(x, i, where);
  if (with != nullptr) {
    const Floats<V> w = load_floats<V, With>(with, i, where);
    for (int k = 0; k < V; ++k) v[k] *= w[k];
  }
  return v;
}

template <int V, class In, class With, class Out>
struct SumRows {
  static constexpr const char* kName = "sum_rows";
  static constexpr int kMaxThreads = kWarps * 32;
  GFSA_DEVICE void operator()(Global<const In> x, Global<const With> with, Global<Out> y, int64_t rows, int64_t length,
                              int64_t piece, int64_t pieces, float factor, bool accumulate) const {
    const int64_t u = int64_t{block_x()} * kWarps + warp();
    if (u >= rows * pieces) return;
    const int64_t row = u / pieces, first = (u - row * pieces) * piece;
    const int64_t last = first + piece < length ? first + piece : length;
    Floats<V> sums{};
    for (int64_t i = first + int64_t{lane()} * V; i < last; i += 32 * V) {
      const Floats<V> v = summands<V, In, With>(x, with, row * length + i);
      for (int k = 0; k < V; ++k) sums[k] += v[k];
    }
    float sum = sums[0];
    for (int k = 1; k < V; ++k) sum += sums[k];
    sum = warp_sum(sum) * factor;
    if (lane() != 0) return;
    if (accumulate) sum += as_float(load(y, u));
    store(y, u, from_float<Out>(sum));
  }
};

// y [outer, pieces, inner]
template <int V, class In, class With, class Out>
struct SumColumns {
  static constexpr const char* kName = "sum_columns";
  static constexpr int kMaxThreads = kColumnThreads * kRowThreads;
  GFSA_DEVICE void operator()(Global<const In> x, Global<const With> with, Global<Out> y, int64_t reduced,
                              int64_t inner, int64_t piece, int64_t pieces, float factor, bool accumulate) const {
    GFSA_SHARED(float, scratch, V* kRowThreads* kColumnThreads);
    const int64_t strips = (inner + kColumnThreads * V - 1) / (kColumnThreads * V);
    const int64_t unit = int64_t{block_x()} / strips, strip = int64_t{block_x()} - unit * strips;
    const int64_t outer = unit / pieces, first = (unit - outer * pieces) * piece;
    const int64_t last = first + piece < reduced ? first + piece : reduced;
    const int64_t c = (strip * kColumnThreads + thread_x()) * V;
    Floats<V> sums{};
    if (c < inner) {
      for (int64_t r = first + thread_y(); r < last; r += kRowThreads) {
        const Floats<V> v = summands<V, In, With>(x, with, (outer * reduced + r) * inner + c);
        for (int k = 0; k < V; ++k) sums[k] += v[k];
      }
    }
    for (int k = 0; k < V; ++k) store(scratch, (thread_y() * V + k) * kColumnThreads + thread_x(), sums[k]);
    sync_block();
    if (thread_y() != 0 || c >= inner) return;
    for (int t = 1; t < kRowThreads; ++t) {
      for (int k = 0; k < V; ++k) sums[k] += load(scratch, (t * V + k) * kColumnThreads + thread_x());
    }
    for (int k = 0; k < V; ++k) sums[k] *= factor;
    if (accumulate) {
      const Floats<V> before = load_floats<V, Out>(y, unit * inner + c);
      for (int k = 0; k < V; ++k) sums[k] += before[k];
    }
    store_floats<V, Out>(y, unit * inner + c, sums);
  }
};

}  // namespace

struct SumProblem {
  const char* op;
  const Shape* shape;
  Device device;
  int64_t outer, reduced, inner;
  float factor;
  bool accumulate;
};

namespace {

// Of the middle dimension, for one block or warp: from the shape alone.
int64_t piece_of(const SumProblem& p) {
  if (p.inner == 1) return p.outer >= 2 * kBlocks ? 8192 : 1024;
  const int64_t units = p.outer * blocks_for(p.inner, 4 * kColumnThreads);
  const int64_t wanted = std::clamp<int64_t>(kBlocks / units, 1, kRows);
  return std::clamp((p.reduced + wanted - 1) / wanted, kRows, kMostRows);
}

template <class In, class With, class Out>
void sum_middle(const SumProblem& p, const In* x, const With* with, Out* y) {
  const int64_t piece = piece_of(p), pieces = std::max<int64_t>(1, (p.reduced + piece - 1) / piece);
  const auto start = [&](auto* to, float factor, bool accumulate) {
    using To = std::remove_pointer_t<decltype(to)>;
    Launch how{.grid = {blocks_for(p.outer * pieces, kWarps)}, .block = {kWarps * 32}, .op = p.op, .shapes = {p.shape}};
    if (p.inner == 1) {
      const auto rows = [&](auto v) {
        launch(SumRows<v, In, With, To>{}, how, x, with, to, p.outer, p.reduced, piece, pieces, factor, accumulate);
      };
      with_row_vectors(p.reduced, rows, x, with);
    } else {
      how.block = {kColumnThreads, kRowThreads};
      const auto columns = [&](auto v) {
        how.grid = {static_cast<uint32_t>(p.outer * pieces) * blocks_for(p.inner, v * kColumnThreads)};
        launch(SumColumns<v, In, With, To>{}, how, x, with, to, p.reduced, p.inner, piece, pieces, factor, accumulate);
      };
      with_row_vectors(p.inner, columns, x, with, static_cast<const To*>(to));
    }
  };
  if (pieces == 1) return start(y, p.factor, p.accumulate);
  const Tensor partial = Tensor::empty({p.outer, pieces, p.inner}, DType::f32, p.device);
  start(partial.data<float>(), 1.0f, false);
  SumProblem rest = p;
  rest.reduced = pieces;
  const float* none = nullptr;
  sum_middle<float, float, Out>(rest, partial.data<float>(), none, y);
}

// The larger, or of equals the first; a NaN is the largest of all.
struct Best {
  float value = -INFINITY;
  int64_t at = INT64_MAX;
  GFSA_DEVICE void take(float v, int64_t i) {
    const bool nan = v != v, known_nan = value != value;
    const bool larger = nan ? !known_nan : !known_nan && v > value;
    const bool equal = nan ? known_nan : v == value;
    if (larger || (equal && i < at)) {
      value = v;
      at = i;
    }
  }
  GFSA_DEVICE void take_from_warp(Where where = Where::current()) {
    for (uint32_t lanes = 16; lanes > 0; lanes /= 2) {
      const float v = shuffle_xor(value, lanes, kAllLanes, where);
      take(v, shuffle_xor(at, lanes, kAllLanes, where));
    }
  }
};

// A block a row.
template <class T>
struct Maxima {
  static constexpr const char* kName = "maxima";
  static constexpr int kMaxThreads = kWarps * 32;
  GFSA_DEVICE void operator()(Global<const T> x, Global<int64_t> positions, Global<T> values, int64_t n) const {
    GFSA_SHARED(float, warp_values, kWarps);
    GFSA_SHARED(int64_t, warp_positions, kWarps);
    const int64_t row = block_x();
    Best best;
    for (int64_t i = thread_x(); i < n; i += block_dim_x()) best.take(as_float(load(x, row * n + i)), i);
    best.take_from_warp();
    if (block_dim_x() > 32) {
      if (lane() == 0) {
        store(warp_values, warp(), best.value);
        store(warp_positions, warp(), best.at);
      }
      sync_block();
      best = {};
      if (thread_x() < kWarps) best.take(load(warp_values, thread_x()), load(warp_positions, thread_x()));
      if (warp() == 0) best.take_from_warp();
    }
    if (thread_x() != 0) return;
    store(positions, row, best.at);
    if (values != nullptr) store(values, row, load(x, row * n + best.at));
  }
};

template <class T>
struct Put {
  static constexpr const char* kName = "put";
  GFSA_DEVICE void operator()(Global<const T> dy, Global<const int64_t> positions, Global<T> dx, int64_t rows,
                              int64_t n) const {
    const int64_t row = global_x();
    if (row < rows) store(dx, row * n + load(positions, row), load(dy, row));
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void ReduceKernels<D>::sum(const char* op, const Tensor& x, const Tensor& with, int64_t outer, int64_t reduced,
                           int64_t inner, double factor, const Tensor& y) {
  if (outer * inner == 0) return;
  const SumProblem p{op, &x.shape(), x.device(), outer, reduced, inner, static_cast<float>(factor), false};
  dispatch_gpu(op, x.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* from = x.data<T>();
    if (!with.defined()) {
      dispatch_gpu(op, y.dtype(),
                   [&](auto to) { sum_middle<T, T, decltype(to)>(p, from, nullptr, y.data<decltype(to)>()); });
    } else if (with.dtype() == x.dtype()) {
      sum_middle<T, T, float>(p, from, with.data<T>(), y.data<float>());
    } else {
      sum_middle<T, bfloat16, float>(p, from, with.data<bfloat16>(), y.data<float>());
    }
  });
}

template <DeviceType D>
void ReduceKernels<D>::column_sums(const Tensor& x, const Tensor& sums, bool accumulate) {
  const int64_t columns = x.dim(-1);
  if (columns == 0) return;
  const SumProblem p{"column_sums", &x.shape(), x.device(), 1, x.numel() / columns, columns, 1.0f, accumulate};
  dispatch_gpu(p.op, x.dtype(), [&](auto t) {
    using T = decltype(t);
    sum_middle<T, T, float>(p, x.data<T>(), nullptr, sums.data<float>());
  });
}

template <DeviceType D>
void ReduceKernels<D>::maxima(const char* op, const Tensor& x, int64_t n, const Tensor& positions,
                              const Tensor& values) {
  const int64_t rows = positions.numel();
  if (rows == 0) return;
  dispatch_gpu(op, x.dtype(), [&](auto t) {
    using T = decltype(t);
    launch(Maxima<T>{},
           {.grid = {static_cast<uint32_t>(rows)},
            .block = {n <= 256 ? 32u : kWarps * 32u},
            .op = op,
            .shapes = {&x.shape()}},
           x.data<T>(), positions.data<int64_t>(), values.defined() ? values.data<T>() : nullptr, n);
  });
}

template <DeviceType D>
void ReduceKernels<D>::put(const Tensor& dy, int64_t n, const Tensor& positions, const Tensor& dx) {
  const int64_t rows = positions.numel();
  if (rows == 0) return;
  dispatch_gpu("max", dy.dtype(), [&](auto t) {
    using T = decltype(t);
    launch(Put<T>{}, one_thread_each("max", rows, 256, {&dx.shape()}), dy.data<T>(), positions.data<int64_t>(),
           dx.data<T>(), rows, n);
  });
}

template struct ReduceKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
