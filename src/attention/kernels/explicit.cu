// The explicit form on GPUs: matrices of all heads in memory, [B, H, rows, ld], products by gemm, and between them
// kernels of a warp a row.
#include "attention/kernels/cuda/gradient_sums.h"
#include "attention/kernels/cuda/scores.h"
#include "attention/kernels/cuda/spreading.h"
#include "attention/kernels/kernels.h"
#include "core/dispatch.h"
#include "ops/gemm.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

using kernels::Gradients;
using kernels::Problem;
using kernels::Target;

constexpr int kWarps = 4;

// One row of all matrices, a warp's work.
struct Row {
  int b, h, i, end;  // keys from `end` on are hidden
  int64_t index, first;
  bool exists;

  GFSA_DEVICE Row(const Scores& c, int batch, int ld) : index(int64_t{block_x()} * kWarps + warp()) {
    exists = index < int64_t{batch} * c.heads * c.rows;
    first = index * ld;
    i = static_cast<int>(index % c.rows);
    const int head = static_cast<int>(index / c.rows);
    h = head % c.heads;
    b = head / c.heads;
    end = 0;
    if (!exists) return;
    end = c.length(b);
    if (c.causal && i + 1 < end) end = i + 1;
  }
  GFSA_DEVICE bool sees(const Scores& c, int j) const { return j < end && c.is_kept(b, j); }
  GFSA_DEVICE float inverse_count(const Scores& c) const {
    int count = 0;
    for (int j = static_cast<int>(lane()); j < end; j += 32) count += c.is_kept(b, j) ? 1 : 0;
    count = warp_sum(count);
    return count == 0 ? 0.0f : 1.0f / static_cast<float>(count);
  }
};

// f(j) for all keys, those of one lane.
template <class F>
GFSA_DEVICE void each_key(const Scores& c, F&& f) {
  for (int j = static_cast<int>(lane()); j < c.keys; j += 32) f(j);
}

// a: scores before, probabilities after. m = a, or drop(a), in T.
template <class T>
struct SoftmaxRows {
  static constexpr const char* kName = "attention_softmax_rows";
  static constexpr int kMaxThreads = 32 * kWarps;
  GFSA_DEVICE void operator()(Scores c, int batch, int ld, Global<float> a, Global<T> m, bool drops) const {
    const Row row(c, batch, ld);
    if (!row.exists) return;
    const int64_t bias = row.b * c.bias_batch_step + row.h * c.bias_head_step + row.i * c.bias_row_step;
    float largest = -INFINITY;
    each_key(c, [&](int j) {
      float s = -INFINITY;
      if (row.sees(c, j)) s = load(a, row.first + j) * c.scale + (c.bias == nullptr ? 0.0f : load(c.bias, bias + j));
      store(a, row.first + j, s);
      largest = fmaxf(largest, s);
    });
    largest = warp_max(largest);
    if (largest == -INFINITY) largest = 0;  // nothing to see
    float sum = 0;
    each_key(c, [&](int j) {
      const float e = expf(load(a, row.first + j) - largest);
      store(a, row.first + j, e);
      sum += e;
    });
    sum = warp_sum(sum);
    const float factor = sum == 0 ? 0.0f : 1 / sum;
    each_key(c, [&](int j) {
      const float p = factor * load(a, row.first + j);
      store(a, row.first + j, p);
      store(m, row.first + j, from_float<T>(drops ? p * c.dropout_factor(row.b, row.h, row.i, j) : p));
    });
  }
};

// f = drop(cu U + c0 I + c1 M + ... ); powers: M, M M, ..., `between` elements apart.
template <class T>
struct FilterRows {
  static constexpr const char* kName = "attention_filter_rows";
  static constexpr int kMaxThreads = 32 * kWarps;
  GFSA_DEVICE void operator()(Scores c, int batch, int ld, Global<const T> powers, int64_t between, Global<T> f,
                              bool drops) const {
    const Row row(c, batch, ld);
    if (!row.exists) return;
    const float cu = c.c(row.h, -1), c0 = c.c(row.h, 0), share = cu == 0 ? 0.0f : cu * row.inverse_count(c);
    each_key(c, [&](int j) {
      float x = share != 0 && row.sees(c, j) ? share : 0.0f;
      if (j == row.i) x += c0;
      for (int t = 1; t <= c.degree; ++t) {
        const float ct = c.c(row.h, t);
        if (ct != 0) x += ct * as_float(load(powers, (t - 1) * between + row.first + j));
      }
      if (drops) x *= c.dropout_factor(row.b, row.h, row.i, j);
      store(f, row.first + j, from_float<T>(x));
    });
  }
};

struct DropRows {
  static constexpr const char* kName = "attention_drop_rows";
  static constexpr int kMaxThreads = 32 * kWarps;
  GFSA_DEVICE void operator()(Scores c, int batch, int ld, Global<float> x) const {
    const Row row(c, batch, ld);
    if (!row.exists) return;
    each_key(
        c, [&](int j) { store(x, row.first + j, load(x, row.first + j) * c.dropout_factor(row.b, row.h, row.i, j)); });
  }
};

// What a row adds to the gradient of each coefficient: parts[B, H, k + 2, rows].
template <class T>
struct CoefficientParts {
  static constexpr const char* kName = "attention_coefficient_parts";
  static constexpr int kMaxThreads = 32 * kWarps;
  GFSA_DEVICE void operator()(Scores c, int batch, int ld, Global<const float> df, Global<const T> powers,
                              int64_t between, Global<float> parts) const {
    const Row row(c, batch, ld);
    if (!row.exists) return;
    const float share = row.inverse_count(c);
    for (int t = -1; t <= c.degree; ++t) {
      float sum = 0;
      each_key(c, [&](int j) {
        float x;
        if (t == -1) {
          x = row.sees(c, j) ? share : 0.0f;
        } else if (t == 0) {
          x = j == row.i ? 1.0f : 0.0f;
        } else {
          x = as_float(load(powers, (t - 1) * between + row.first + j));
        }
        sum += x * load(df, row.first + j);
      });
      sum = warp_sum(sum);
      if (lane() == 0) {
        store(parts, ((int64_t{row.b} * c.heads + row.h) * (c.degree + 2) + t + 1) * c.rows + row.i, sum);
      }
    }
  }
};

// y = c_t x
struct ScaleRows {
  static constexpr const char* kName = "attention_scale_rows";
  static constexpr int kMaxThreads = 32 * kWarps;
  GFSA_DEVICE void operator()(Scores c, int batch, int ld, Global<const float> x, Global<float> y, int t) const {
    const Row row(c, batch, ld);
    if (!row.exists) return;
    const float ct = c.c(row.h, t);
    each_key(c, [&](int j) { store(y, row.first + j, ct == 0 ? 0.0f : ct * load(x, row.first + j)); });
  }
};

// Of dM = dm + dw (dm may be null): dw = m o dM - r a, ds = scale of that in T.
template <class T>
struct ScoreGradientRows {
  static constexpr const char* kName = "attention_score_gradient_rows";
  static constexpr int kMaxThreads = 32 * kWarps;
  GFSA_DEVICE void operator()(Scores c, int batch, int ld, Global<const float> a, Global<const T> m, bool dropped,
                              Global<const float> dm, Global<float> dw, Global<T> ds) const {
    const Row row(c, batch, ld);
    if (!row.exists) return;
    float r = 0;
    each_key(c, [&](int j) {
      const int64_t at = row.first + j;
      const float p = dropped ? as_float(load(m, at)) : load(a, at);
      const float g = p * (load(dw, at) + (dm == nullptr ? 0.0f : load(dm, at)));
      store(dw, at, g);
      r += g;
    });
    r = warp_sum(r);
    each_key(c, [&](int j) {
      const int64_t at = row.first + j;
      const float g = load(dw, at) - r * load(a, at);
      store(dw, at, g);
      store(ds, at, from_float<T>(c.scale * g));
    });
  }
};

// One element of a bias: the sum over the heads that share it.
struct SumOverSharers {
  static constexpr const char* kName = "attention_bias_from_scores";
  static constexpr int kMaxThreads = 32 * kWarps;
  GFSA_DEVICE void operator()(Scores c, int batch, int ld, Global<const float> ds, Global<float> to, int bias_batch,
                              int bias_heads, bool accumulate) const {
    const int64_t at = global_x(), area = int64_t{c.rows} * c.keys;
    if (at >= area * bias_batch * bias_heads) return;
    const int slice = static_cast<int>(at / area), i = static_cast<int>(at % area / c.keys),
              j = static_cast<int>(at % c.keys);
    const int b0 = slice / bias_heads, h0 = slice % bias_heads;
    float sum = accumulate ? load(to, at) : 0.0f;
    for (int b = bias_batch > 1 ? b0 : 0; b < (bias_batch > 1 ? b0 + 1 : batch); ++b) {
      for (int h = bias_heads > 1 ? h0 : 0; h < (bias_heads > 1 ? h0 + 1 : c.heads); ++h) {
        sum += load(ds, ((int64_t{b} * c.heads + h) * c.rows + i) * ld + j);
      }
    }
    store(to, at, sum);
  }
};

// The matrices of all heads, made anew in forward and backward.
template <class T>
class Matrices {
 public:
  explicit Matrices(const Problem& p)
      : p_(p),
        scores_(scores_of(p)),
        ld_((p.keys + 7) / 8 * 8),
        filter_first_(p.dropout_order == DropoutOrder::filter_first),
        between_(p.batch * p.heads * p.rows * ld_),
        a_(matrix(DType::f32)),
        powers_(matrix(p.dtype, p.degree)),
        f_(matrix(p.dtype)) {
    over_heads(false, p_.q, true, p_.k, a_);
    by_rows(SoftmaxRows<T>{}, a_.template data<float>(), power(1), p.dropout > 0 && !filter_first_);
    for (int64_t t = 2; t <= p.degree; ++t) multiply(false, power(1), false, power(t - 1), power(t), p.dtype, false);
    by_rows(FilterRows<T>{}, power(1), between_, f_.template data<T>(), drops_filter());
  }

  void forward(const Tensor& out) const { rows_from(false, f_, p_.v, {out, false}); }

  void backward(const Tensor& dout, const Gradients& to) const {
    if (to.v.tensor) rows_from(true, f_, dout, to.v);
    const bool wants_scores = to.q.tensor || to.k.tensor || to.bias.tensor;
    if (!wants_scores && !to.device_coefficients) return;
    const Tensor df = matrix(DType::f32);
    over_heads(false, dout, true, p_.v, df);
    if (drops_filter()) by_rows(DropRows{}, df.data<float>());
    if (to.device_coefficients) {
      const Tensor parts = Tensor::empty({p_.batch, p_.heads, p_.degree + 2, p_.rows}, DType::f32, p_.q.device());
      by_rows(CoefficientParts<T>{}, df.data<float>(), power(1), between_, parts.data<float>());
      sum_coefficient_parts(parts, to.device_coefficients);
    }
    if (!wants_scores) return;

    // dM, from dW_t = c_t df + M^T dW_{t+1} for W_t = M W_{t-1}.
    const Tensor dw = matrix(DType::f32), dm = p_.degree > 1 ? matrix(DType::f32) : Tensor(), t = matrix(p_.dtype);
    by_rows(ScaleRows{}, df.data<float>(), dw.data<float>(), static_cast<int>(p_.degree));
    for (int64_t j = p_.degree; j >= 2; --j) {
      t.copy_from(dw);
      multiply(false, t.data<T>(), true, power(j - 1), dm.data<float>(), DType::f32, j < p_.degree);
      by_rows(ScaleRows{}, df.data<float>(), dw.data<float>(), static_cast<int>(j - 1));
      multiply(true, power(1), false, t.data<T>(), dw.data<float>(), DType::f32, true);
    }
    by_rows(ScoreGradientRows<T>{}, a_.template data<float>(), power(1), p_.dropout > 0 && !filter_first_,
            dm ? dm.data<float>() : nullptr, dw.data<float>(), t.data<T>());
    if (to.q.tensor) rows_from(false, t, p_.k, to.q);
    if (to.k.tensor) rows_from(true, t, p_.q, to.k);
    if (!to.bias.tensor) return;
    const Tensor& bias = to.bias.tensor;
    launch(SumOverSharers{}, how(blocks_for(bias.numel(), 32 * kWarps)), scores_, static_cast<int>(p_.batch),
           static_cast<int>(ld_), dw.data<float>(), bias.data<float>(), static_cast<int>(bias.dim(0)),
           static_cast<int>(bias.dim(1)), to.bias.accumulate);
  }

 private:
  bool drops_filter() const { return p_.dropout > 0 && filter_first_; }
  // Zeros: what lies between keys and ld is copied and converted too.
  Tensor matrix(DType dtype, int64_t count = 1) const {
    return Tensor::zeros({count, p_.batch, p_.heads, p_.rows, ld_}, dtype, p_.q.device());
  }
  T* power(int64_t t) const { return powers_.template data<T>() + (t - 1) * between_; }

  static Launch how(uint32_t blocks) { return {.grid = {blocks}, .block = {32 * kWarps}, .op = "attention explicit"}; }
  template <class K, class... A>
  void by_rows(const K& kernel, A... arguments) const {
    launch(kernel, how(blocks_for(p_.batch * p_.heads * p_.rows, kWarps)), scores_, static_cast<int>(p_.batch),
           static_cast<int>(ld_), arguments...);
  }

  // to[b, h] = x[b, h] y[b, h]^T, from rows of heads in [B, N, H D] to a matrix a head.
  void over_heads(bool transpose_x, const Tensor& x, bool transpose_y, const Tensor& y, const Tensor& to) const {
    for (int64_t b = 0; b < p_.batch; ++b) {
      gemm(p_.q.device(),
           {.a_type = p_.dtype,
            .c_type = DType::f32,
            .transpose_a = transpose_x,
            .transpose_b = transpose_y,
            .m = p_.rows,
            .n = p_.keys,
            .k = p_.head_size,
            .lda = x.strides()[1],
            .ldb = y.strides()[1],
            .ldc = ld_},
           x.data<T>() + b * x.strides()[0], y.data<T>() + b * y.strides()[0],
           to.data<float>() + b * p_.heads * p_.rows * ld_, nullptr,
           {.count = p_.heads, .step_a = p_.head_size, .step_b = p_.head_size, .step_c = p_.rows * ld_});
    }
  }
  // to[b, h] = matrix[b, h] x[b, h], or with the matrix transposed.
  void rows_from(bool transpose, const Tensor& matrix, const Tensor& x, const Target& to) const {
    for (int64_t b = 0; b < p_.batch; ++b) {
      gemm(p_.q.device(),
           {.a_type = p_.dtype,
            .c_type = p_.dtype,
            .transpose_a = transpose,
            .m = transpose ? p_.keys : p_.rows,
            .n = p_.head_size,
            .k = transpose ? p_.rows : p_.keys,
            .lda = ld_,
            .ldb = x.strides()[1],
            .ldc = to.tensor.strides()[1],
            .accumulate = to.accumulate},
           matrix.data<T>() + b * p_.heads * p_.rows * ld_, x.data<T>() + b * x.strides()[0],
           to.tensor.data<T>() + b * to.tensor.strides()[0], nullptr,
           {.count = p_.heads, .step_a = p_.rows * ld_, .step_b = p_.head_size, .step_c = p_.head_size});
    }
  }
  // c = op(x) op(y) (+ c) of square matrices, all heads.
  void multiply(bool transpose_x, const T* x, bool transpose_y, const T* y, void* c, DType c_type,
                bool accumulate) const {
    const int64_t step = p_.rows * ld_;
    gemm(p_.q.device(),
         {.a_type = p_.dtype,
          .c_type = c_type,
          .transpose_a = transpose_x,
          .transpose_b = transpose_y,
          .m = p_.rows,
          .n = p_.rows,
          .k = p_.rows,
          .lda = ld_,
          .ldb = ld_,
          .ldc = ld_,
          .accumulate = accumulate},
         x, y, c, nullptr, {.count = p_.batch * p_.heads, .step_a = step, .step_b = step, .step_c = step});
  }

  const Problem& p_;
  Scores scores_;
  int64_t ld_;
  bool filter_first_;
  int64_t between_;
  Tensor a_, powers_, f_;  // probabilities; M, M M, ...; the filtered matrix
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa::kernels {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
Saved Explicit<D>::forward(const Problem& p, const Tensor& out, bool /*save*/) {
  if (p.is_empty()) {
    out.fill(0);
    return {};
  }
  dispatch_gpu("attention", p.dtype, [&](auto t) {
    using T = decltype(t);
    if (!p.offsets) return Matrices<T>(p).forward(out);
    const Problem wide = spread_problem(p);
    const Tensor spread_out = Tensor::empty(wide.q.shape(), p.dtype, out.device());
    Matrices<T>(wide).forward(spread_out);
    gather(p, spread_out, {out, false});
  });
  return {};
}

template <DeviceType D>
void Explicit<D>::backward(const Problem& p, const Saved& /*saved*/, const Tensor& dout, const Gradients& to) {
  if (p.is_empty()) {
    to.clear();
    return;
  }
  dispatch_gpu("attention", p.dtype, [&](auto t) {
    using T = decltype(t);
    if (!p.offsets) return Matrices<T>(p).backward(dout, to);
    const Problem wide = spread_problem(p);
    Gradients spread_to = to;
    for (Target* target : {&spread_to.q, &spread_to.k, &spread_to.v}) {
      if (target->tensor) *target = {Tensor::empty(wide.q.shape(), p.dtype, dout.device()), false};
    }
    Matrices<T>(wide).backward(spread(p, dout), spread_to);
    gather(p, spread_to.q.tensor, to.q);
    gather(p, spread_to.k.tensor, to.k);
    gather(p, spread_to.v.tensor, to.v);
  });
}

template struct Explicit<GFSA_DEVICE_TYPE>;

}  // namespace gfsa::kernels
