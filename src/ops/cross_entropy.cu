// A block a row. Sums are of x - largest, so that f32 is as exact as the logits allow.
#include "core/cpu/math.h"
#include "core/dispatch.h"
#include "ops/cross_entropy_kernels.h"
#include "ops/cuda/rows.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;
constexpr float kNan = __builtin_nanf("");

template <int V, class T>
struct Losses {
  static constexpr const char* kName = "cross_entropy";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const T> x, Global<const int64_t> hard, Global<const float> soft,
                              Global<float> losses, Global<float> states, int64_t classes, float smoothing,
                              int64_t ignore_index) const {
    GFSA_SHARED(float, scratch, 32);
    const int64_t row = block_x(), begin = row * classes;
    const int64_t target = hard != nullptr ? load(hard, row) : 0;
    if (hard != nullptr && (target == ignore_index || target < 0 || target >= classes)) {
      const float value = target == ignore_index ? 0.0f : kNan;
      if (thread_x() == 0) write(losses, states, row, value, 0, 0, value);
      return;
    }
    const int64_t first = int64_t{thread_x()} * V, step = int64_t{block_dim_x()} * V;
    float largest = -INFINITY;
    for (int64_t c = first; c < classes; c += step) {
      const Floats<V> v = load_floats<V, T>(x, begin + c);
      for (int k = 0; k < V; ++k) largest = fmaxf(largest, v[k]);
    }
    largest = block_max(largest, scratch);
    const float shift = largest == -INFINITY ? 0.0f : largest;  // only -inf: nothing to subtract
    float exponentials = 0, logits = 0, weight = 0, product = 0;
    for (int64_t c = first; c < classes; c += step) {
      const Floats<V> v = load_floats<V, T>(x, begin + c);
      for (int k = 0; k < V; ++k) {
        exponentials += math::exp_nonpositive(v[k] - shift);
        logits += v[k] - shift;
      }
      if (soft == nullptr) continue;
      const Floats<V> t = load_floats<V, float>(soft, begin + c);
      for (int k = 0; k < V; ++k) {
        weight += t[k];
        // A class of probability 0 adds nothing, also where its logit is -inf.
        if (t[k] != 0.0f) product += t[k] * (v[k] - shift);
      }
    }
    const float log_sum = logf(block_sum(exponentials, scratch));
    if (soft != nullptr) {
      weight = block_sum(weight, scratch);
      product = block_sum(product, scratch);
    } else {
      weight = 1;
      product = as_float(load(x, begin + target)) - shift;
    }
    float loss = (1 - smoothing) * (log_sum * weight - product);
    if (smoothing > 0) loss += smoothing * (log_sum - block_sum(logits, scratch) / static_cast<float>(classes));
    if (thread_x() == 0) write(losses, states, row, loss, shift, log_sum, (1 - smoothing) * weight + smoothing);
  }

 private:
  GFSA_DEVICE static void write(Global<float> losses, Global<float> states, int64_t row, float loss, float largest,
                                float log_sum, float weight, Where where = Where::current()) {
    store(losses, row, loss, where);
    store(states, 3 * row, largest, where);
    store(states, 3 * row + 1, log_sum, where);
    store(states, 3 * row + 2, weight, where);
  }
};

// One block: a thread adds every kThreads-th row, the block adds its threads.
struct Reduce {
  static constexpr const char* kName = "cross_entropy_reduce";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const float> losses, Global<const int64_t> hard, int64_t rows,
                              int64_t ignore_index, double normalizer, Global<double> factor, Global<float> y) const {
    GFSA_SHARED(double, scratch, 32);
    double sum = 0, count = 0;
    for (int64_t r = thread_x(); r < rows; r += block_dim_x()) {
      sum += static_cast<double>(load(losses, r));
      if (hard == nullptr || load(hard, r) != ignore_index) count += 1;
    }
    sum = block_sum(sum, scratch);
    if (normalizer == 0) normalizer = block_sum(count, scratch);
    if (thread_x() != 0) return;
    const double f = normalizer == 0 ? 0 : 1 / normalizer;
    store(factor, 0, f);
    store(y, 0, static_cast<float>(sum * f));
  }
};

template <int V, class T>
struct Slopes {
  static constexpr const char* kName = "cross_entropy_backward";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(InPlace<const T> x, Global<const int64_t> hard, Global<const float> soft,
                              Global<const float> states, Global<const double> factor, Global<const float> dy,
                              InPlace<T> dx, bool accumulate, int64_t classes, double smoothing,
                              int64_t ignore_index) const {
    const int64_t row = block_x(), begin = row * classes;
    const int64_t target = hard != nullptr ? load(hard, row) : -1;
    const bool ignored = hard != nullptr && target == ignore_index;
    if (ignored && accumulate) return;
    const double scale_of_row = static_cast<double>(load(dy, 0)) * load(factor, 0);
    const float keep = static_cast<float>((1 - smoothing) * scale_of_row);
    const float even = static_cast<float>(smoothing / static_cast<double>(classes) * scale_of_row);
    const float largest = load(states, 3 * row), log_sum = load(states, 3 * row + 1);
    const float weight = load(states, 3 * row + 2) * static_cast<float>(scale_of_row);
    for (int64_t c = int64_t{thread_x()} * V; c < classes; c += int64_t{block_dim_x()} * V) {
      Floats<V> g = load_floats<V, T>(x, begin + c);
      for (int k = 0; k < V; ++k) {
        g[k] = ignored ? 0.0f : math::exp_nonpositive(g[k] - largest - log_sum) * weight - even;
        if (c + k == target && !ignored) g[k] -= keep;
      }
      if (soft != nullptr) {
        const Floats<V> t = load_floats<V, float>(soft, begin + c);
        for (int k = 0; k < V; ++k) g[k] -= t[k] * keep;
      }
      if (accumulate) {
        const Floats<V> before = load_floats<V, T>(dx, begin + c);
        for (int k = 0; k < V; ++k) g[k] += before[k];
      }
      store_floats<V, T>(dx, begin + c, g);
    }
  }
};

// Rows of few classes are one warp's work.
Launch a_block_each_row(const CrossEntropyProblem& p) {
  return {.grid = {static_cast<uint32_t>(p.rows)},
          .block = {p.classes <= 256 ? 32u : kThreads},
          .op = "cross_entropy",
          .shapes = {&p.logits.shape(), &p.targets.shape()}};
}

const int64_t* hard_targets(const CrossEntropyProblem& p) { return p.hard ? p.targets.data<int64_t>() : nullptr; }
const float* soft_targets(const CrossEntropyProblem& p) { return p.hard ? nullptr : p.targets.data<float>(); }

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void CrossEntropyKernels<D>::forward(const CrossEntropyProblem& p, const Tensor& losses, const Tensor& states) {
  if (p.rows == 0) return;
  dispatch_gpu("cross_entropy", p.logits.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = p.logits.data<T>();
    const float* soft = soft_targets(p);
    const auto start = [&](auto v) {
      launch(Losses<v, T>{}, a_block_each_row(p), x, hard_targets(p), soft, losses.data<float>(), states.data<float>(),
             p.classes, static_cast<float>(p.smoothing), p.ignore_index);
    };
    with_row_vectors(p.classes, start, x, soft);
  });
}

template <DeviceType D>
void CrossEntropyKernels<D>::reduce(const CrossEntropyProblem& p, const Tensor& losses, double normalizer,
                                    const Tensor& factor, const Tensor& y) {
  launch(Reduce{}, {.grid = {1}, .block = {kThreads}, .op = "cross_entropy"}, losses.data<float>(), hard_targets(p),
         p.rows, p.ignore_index, normalizer, factor.data<double>(), y.data<float>());
}

template <DeviceType D>
void CrossEntropyKernels<D>::backward(const CrossEntropyProblem& p, const Tensor& states, const Tensor& factor,
                                      const Tensor& dy, const GradOut::Target& dx) {
  if (p.rows == 0) return;
  dispatch_gpu("cross_entropy", p.logits.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* x = p.logits.data<T>();
    T* to = dx.tensor.data<T>();
    const float* soft = soft_targets(p);
    const auto start = [&](auto v) {
      launch(Slopes<v, T>{}, a_block_each_row(p), x, hard_targets(p), soft, states.data<float>(), factor.data<double>(),
             dy.data<float>(), to, dx.accumulate, p.classes, p.smoothing, p.ignore_index);
    };
    with_row_vectors(p.classes, start, x, soft, to);
  });
}

template struct CrossEntropyKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
