#include "core/dispatch.h"
#include "ops/cuda/rows.h"
#include "ops/gather_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;
constexpr int kColumns = 4;  // of a thread, kThreads apart

// V elements a thread.
template <int V, class In, class Out>
struct Gather {
  static constexpr const char* kName = "gather";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const In> x, Global<const int64_t> indices, Global<Out> y,
                              GatherShape shape) const {
    const int64_t i = global_x() * V;
    if (i >= shape.outer * shape.indices * shape.inner) return;
    const int64_t row = i / shape.inner, column = i - row * shape.inner, outer = row / shape.indices;
    const int64_t index = load(indices, row - outer * shape.indices);
    const bool exists = index >= 0 && index < shape.rows;
    const int64_t from = (outer * shape.rows + (exists ? index : 0)) * shape.inner + column;
    if constexpr (V > 1) {
      Floats<V> v;
      for (int k = 0; k < V; ++k) v[k] = __builtin_nanf("");
      if (exists) v = load_floats<V, In>(x, from);
      store_floats<V, Out>(y, i, v);
    } else {
      store(y, i, exists ? convert_element<Out>(load(x, from)) : absent());
    }
  }

 private:
  GFSA_DEVICE static Out absent() {
    if constexpr (std::is_same_v<Out, float> || std::is_same_v<Out, double> || std::is_same_v<Out, bfloat16>) {
      return convert_element<Out>(__builtin_nanf(""));
    } else {
      return Out(0);
    }
  }
};

// A block a position and a piece of the columns. The first position of an index adds up all of them, in order; others
// have nothing to do.
template <class T, class X>
struct AddRows {
  static constexpr const char* kName = "add_rows";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const T> dy, Global<const int64_t> indices, Global<X> dx, GatherShape shape,
                              bool accumulate) const {
    GFSA_SHARED(uint32_t, matches, kThreads / 32);
    const int64_t outer = block_x() / shape.indices, position = block_x() - outer * shape.indices;
    const int64_t index = load(indices, position);
    if (index < 0 || index >= shape.rows) return;
    for (int64_t first = 0; first < position; first += kThreads) {
      const int64_t i = first + thread_x();
      if (sync_block_or(i < position && load(indices, i) == index)) return;
    }
    const int64_t column = int64_t{block_y()} * kThreads * kColumns + thread_x();
    float sums[kColumns] = {};
    for (int64_t first = position; first < shape.indices; first += kThreads) {
      const int64_t i = first + thread_x();
      const uint32_t found = vote_ballot(i < shape.indices && load(indices, i) == index);
      if (lane() == 0) store(matches, warp(), found);
      sync_block();
      for (int w = 0; w < kThreads / 32; ++w) {
        const uint32_t bits = load(matches, w);
        for (int b = 0; b < 32 && bits >> b != 0; ++b) {
          if ((bits >> b & 1) == 0) continue;
          const int64_t row = (outer * shape.indices + first + w * 32 + b) * shape.inner;
          for (int k = 0; k < kColumns; ++k) {
            const int64_t c = column + k * kThreads;
            if (c < shape.inner) sums[k] += as_float(load(dy, row + c));
          }
        }
      }
      sync_block();
    }
    const int64_t row = (outer * shape.rows + index) * shape.inner;
    for (int k = 0; k < kColumns; ++k) {
      const int64_t c = column + k * kThreads;
      if (c >= shape.inner) continue;
      const float before = accumulate ? as_float(load(dx, row + c)) : 0.0f;
      store(dx, row + c, from_float<X>(before + sums[k]));
    }
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void GatherKernels<D>::forward(const char* op, const GatherShape& shape, const Tensor& x, const Tensor& indices,
                               const Tensor& y) {
  const int64_t n = y.numel();
  if (n == 0) return;
  const auto how = [&](int elements) {
    return one_thread_each(op, n / elements, kThreads, {&x.shape(), &y.shape()});  // elements divide a row
  };
  const auto start = [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    const In* from = x.data<In>();
    Out* to = y.data<Out>();
    if constexpr (std::is_same_v<acc_t<In>, float> && (std::is_same_v<In, float> || std::is_same_v<In, bfloat16>)) {
      const auto vectors = [&](auto v) {
        launch(Gather<v, In, Out>{}, how(v), from, indices.data<int64_t>(), to, shape);
      };
      with_row_vectors(shape.inner, vectors, from, static_cast<const Out*>(to));
    } else {
      launch(Gather<1, In, Out>{}, how(1), from, indices.data<int64_t>(), to, shape);
    }
  };
  if (x.dtype() == y.dtype()) {
    dispatch_any(x.dtype(), [&](auto t) { start(t, t); });
  } else if (x.dtype() == DType::f32) {
    dispatch_gpu(op, y.dtype(), [&](auto t) { start(float{}, t); });
  } else {
    dispatch_gpu(op, x.dtype(), [&](auto t) { start(t, float{}); });
  }
}

template <DeviceType D>
void GatherKernels<D>::backward(const char* op, const GatherShape& shape, const Tensor& dy, const Tensor& indices,
                                const GradOut::Target& dx) {
  if (!dx.accumulate) backend(dx.tensor.device()).zero(dx.tensor.raw(), dx.tensor.bytes());
  if (dy.numel() == 0) return;
  const Launch how{
      .grid = {static_cast<uint32_t>(shape.outer * shape.indices), blocks_for(shape.inner, kThreads * kColumns)},
      .block = {kThreads},
      .op = op,
      .shapes = {&dy.shape(), &dx.tensor.shape()}};
  dispatch_gpu(op, dy.dtype(), [&](auto a) {
    dispatch_gpu(op, dx.tensor.dtype(), [&](auto b) {
      using T = decltype(a);
      using X = decltype(b);
      launch(AddRows<T, X>{}, how, dy.data<T>(), indices.data<int64_t>(), dx.tensor.data<X>(), shape, dx.accumulate);
    });
  });
}

template struct GatherKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
