// A warp a row; rows are read again from the cache, not kept in registers, so that any width goes.
#include "core/dispatch.h"
#include "ops/cuda/rows.h"
#include "ops/row_norm.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kColumns = 128;      // of a block that sums over rows
constexpr int kStripColumns = 32;  // of a block that adds up partial sums
constexpr int kStrips = 8;         // of such blocks: partial sums k, k + 8, ... are added first

template <int V, class In, class B, class Out>
struct Normalize {
  static constexpr const char* kName = "row_norm";
  static constexpr int kMaxThreads = kRowWarps * 32;
  GFSA_DEVICE void operator()(Global<const In> x, Global<const B> branch, Global<In> sum, Global<const float> weight,
                              Global<const float> bias, Global<Out> y, Global<float> means, Global<float> rstds,
                              int64_t rows, int64_t columns, float eps) const {
    const int64_t row = row_of_warp();
    if (row >= rows) return;
    const int64_t begin = row * columns, first = int64_t{lane()} * V;
    const float count = static_cast<float>(columns);
    // A lane reads again what it wrote itself.
    const auto element = [&](int64_t c) {
      return branch == nullptr ? load_floats<V, In>(x, begin + c) : load_floats<V, In>(sum, begin + c);
    };
    if (branch != nullptr) {
      for (int64_t c = first; c < columns; c += 32 * V) {
        Floats<V> v = load_floats<V, In>(x, begin + c);
        const Floats<V> b = load_floats<V, B>(branch, begin + c);
        for (int k = 0; k < V; ++k) v[k] += b[k];
        store_floats<V, In>(sum, begin + c, v);
      }
    }
    float mean = 0;
    if (means != nullptr) {
      for (int64_t c = first; c < columns; c += 32 * V) {
        const Floats<V> v = element(c);
        for (int k = 0; k < V; ++k) mean += v[k];
      }
      mean = warp_sum(mean) / count;
    }
    float squares = 0;
    for (int64_t c = first; c < columns; c += 32 * V) {
      const Floats<V> v = element(c);
      for (int k = 0; k < V; ++k) squares += (v[k] - mean) * (v[k] - mean);
    }
    const float rstd = 1.0f / sqrtf(warp_sum(squares) / count + eps);
    if (lane() == 0) {
      if (means != nullptr) store(means, row, mean);
      store(rstds, row, rstd);
    }
    for (int64_t c = first; c < columns; c += 32 * V) {
      Floats<V> v = element(c);
      const Floats<V> w = load_floats<V, float>(weight, c);
      for (int k = 0; k < V; ++k) v[k] = (v[k] - mean) * rstd * w[k];
      if (bias != nullptr) {
        const Floats<V> b = load_floats<V, float>(bias, c);
        for (int k = 0; k < V; ++k) v[k] += b[k];
      }
      store_floats<V, Out>(y, begin + c, v);
    }
  }
};

template <int V, class In, class Out>
struct Slopes {
  static constexpr const char* kName = "row_norm_backward";
  static constexpr int kMaxThreads = kRowWarps * 32;
  GFSA_DEVICE void operator()(Global<const In> x, Global<const float> weight, Global<const float> means,
                              Global<const float> rstds, Global<const Out> dy, Global<In> dx, bool accumulate,
                              int64_t rows, int64_t columns) const {
    const int64_t row = row_of_warp();
    if (row >= rows) return;
    const int64_t begin = row * columns, first = int64_t{lane()} * V;
    const float mean = means != nullptr ? load(means, row) : 0.0f, rstd = load(rstds, row);
    float sum = 0, with_xhat = 0;
    for (int64_t c = first; c < columns; c += 32 * V) {
      const Floats<V> v = load_floats<V, In>(x, begin + c), d = load_floats<V, Out>(dy, begin + c);
      const Floats<V> w = load_floats<V, float>(weight, c);
      for (int k = 0; k < V; ++k) {
        const float g = d[k] * w[k];
        sum += g;
        with_xhat += g * ((v[k] - mean) * rstd);
      }
    }
    const float count = static_cast<float>(columns);
    const float a = means != nullptr ? warp_sum(sum) / count : 0.0f, b = warp_sum(with_xhat) / count;
    for (int64_t c = first; c < columns; c += 32 * V) {
      Floats<V> v = load_floats<V, In>(x, begin + c);
      const Floats<V> d = load_floats<V, Out>(dy, begin + c), w = load_floats<V, float>(weight, c);
      for (int k = 0; k < V; ++k) v[k] = rstd * (d[k] * w[k] - a - (v[k] - mean) * rstd * b);
      if (accumulate) {
        const Floats<V> before = load_floats<V, In>(dx, begin + c);
        for (int k = 0; k < V; ++k) v[k] += before[k];
      }
      store_floats<V, In>(dx, begin + c, v);
    }
  }
};

// partial [blocks, 2, columns]: a block's sums of dy xhat and of dy, a thread a column.
template <class In, class Out>
struct SumRows {
  static constexpr const char* kName = "row_norm_sums";
  static constexpr int kMaxThreads = kColumns;
  GFSA_DEVICE void operator()(Global<const In> x, Global<const float> means, Global<const float> rstds,
                              Global<const Out> dy, Global<float> partial, int64_t rows, int64_t columns) const {
    const int64_t c = int64_t{block_y()} * block_dim_x() + thread_x();
    if (c >= columns) return;
    const int64_t first = block_x() * kNormBlockRows;
    const int64_t end = first + kNormBlockRows < rows ? first + kNormBlockRows : rows;
    float dw = 0, db = 0;
    for (int64_t r = first; r < end; ++r) {
      const float mean = means != nullptr ? load(means, r) : 0.0f;
      const float d = as_float(load(dy, r * columns + c));
      dw += d * (as_float(load(x, r * columns + c)) - mean) * load(rstds, r);
      db += d;
    }
    store(partial, (2 * int64_t{block_x()}) * columns + c, dw);
    store(partial, (2 * int64_t{block_x()} + 1) * columns + c, db);
  }
};

struct AddBlocks {
  static constexpr const char* kName = "row_norm_add_blocks";
  static constexpr int kMaxThreads = kStripColumns * kStrips;
  GFSA_DEVICE void operator()(Global<const float> partial, int which, int64_t blocks, int64_t columns,
                              Global<float> result, bool accumulate) const {
    GFSA_SHARED(float, sums, kStripColumns* kStrips);
    const int64_t c = int64_t{block_x()} * kStripColumns + thread_x();
    float sum = 0;
    if (c < columns) {
      for (int64_t k = thread_y(); k < blocks; k += kStrips) sum += load(partial, (2 * k + which) * columns + c);
    }
    store(sums, thread_y() * kStripColumns + thread_x(), sum);
    sync_block();
    if (thread_y() != 0 || c >= columns) return;
    for (int k = 1; k < kStrips; ++k) sum += load(sums, k * kStripColumns + thread_x());
    store(result, c, accumulate ? load(result, c) + sum : sum);
  }
};

template <class F>
void dispatch_pair(const char* op, DType in, DType out, F&& f) {
  dispatch_gpu(op, in, [&](auto a) { dispatch_gpu(op, out, [&](auto b) { f(a, b); }); });
}

template <class T>
T* data_or_null(const Tensor& t) {
  return t ? t.data<std::remove_const_t<T>>() : nullptr;
}

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void RowNormKernels<D>::forward(const char* op, const Tensor& x, const Tensor& branch, const Tensor& sum,
                                const Tensor& weight, const Tensor& bias, const Tensor& y, const Tensor& mean,
                                const Tensor& rstd, double eps) {
  const int64_t rows = rstd.numel(), columns = weight.numel();
  if (rows == 0) return;
  dispatch_pair(op, x.dtype(), y.dtype(), [&](auto in, auto out) {
    using In = decltype(in);
    using Out = decltype(out);
    const In* from = x.data<In>();
    Out* to = y.data<Out>();
    const float* w = weight.data<float>();
    const float* b = data_or_null<const float>(bias);
    const Launch how = a_warp_each_row(op, rows, {&x.shape(), &weight.shape()});
    dispatch_branch<In>(branch, [&](auto of_branch) {
      using B = decltype(of_branch);
      const B* added = data_or_null<const B>(branch);
      In* sums = data_or_null<In>(sum);
      const auto start = [&](auto v) {
        launch(Normalize<v, In, B, Out>{}, how, from, added, sums, w, b, to, data_or_null<float>(mean),
               rstd.data<float>(), rows, columns, static_cast<float>(eps));
      };
      with_row_vectors(columns, start, from, added, sums, to, w, b);
    });
  });
}

template <DeviceType D>
void RowNormKernels<D>::backward(const char* op, const Tensor& x, const Tensor& weight, const Tensor& mean,
                                 const Tensor& rstd, const Tensor& dy, const GradOut::Target& dx,
                                 const GradOut::Target& dweight, const GradOut::Target& dbias) {
  const int64_t rows = rstd.numel(), columns = weight.numel(), blocks = (rows + kNormBlockRows - 1) / kNormBlockRows;
  if (columns == 0) return;
  const float* means = data_or_null<const float>(mean);
  const float* rstds = rstd.data<float>();
  const bool sums = dweight.tensor || dbias.tensor;
  const Tensor partial = sums ? Tensor::empty({blocks, 2, columns}, DType::f32, x.device()) : Tensor();
  if (rows > 0) {
    dispatch_pair(op, x.dtype(), dy.dtype(), [&](auto in, auto out) {
      using In = decltype(in);
      using Out = decltype(out);
      const In* xs = x.data<In>();
      const Out* dys = dy.data<Out>();
      if (dx.tensor) {
        In* to = dx.tensor.data<In>();
        const float* w = weight.data<float>();
        const Launch how = a_warp_each_row(op, rows, {&x.shape(), &weight.shape()});
        const auto start = [&](auto v) {
          launch(Slopes<v, In, Out>{}, how, xs, w, means, rstds, dys, to, dx.accumulate, rows, columns);
        };
        with_row_vectors(columns, start, xs, dys, to, w);
      }
      if (sums) {
        launch(SumRows<In, Out>{},
               {.grid = {static_cast<uint32_t>(blocks), blocks_for(columns, kColumns)},
                .block = {kColumns},
                .op = op,
                .shapes = {&x.shape(), &weight.shape()}},
               xs, means, rstds, dys, partial.data<float>(), rows, columns);
      }
    });
  }
  for (int which : {0, 1}) {
    const auto& [tensor, accumulate] = which == 0 ? dweight : dbias;
    if (!tensor) continue;
    launch(AddBlocks{}, {.grid = {blocks_for(columns, kStripColumns)}, .block = {kStripColumns, kStrips}, .op = op},
           partial.data<float>(), which, blocks, columns, tensor.template data<float>(), accumulate);
  }
}

template struct RowNormKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
