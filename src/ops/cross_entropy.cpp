#include "ops/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "autograd/autograd.h"
#include "base/threads.h"
#include "core/cpu/math.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/cross_entropy_kernels.h"
#include "ops/lanes.h"

namespace gfsa {
namespace {

constexpr int64_t kPiece = 2048;  // classes at a time: 8 KiB of f32

using Problem = CrossEntropyProblem;

Problem make_problem(const char* op, const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  Expect e(op);
  e.shape("logits", logits, "M K").floating("logits", logits);
  Problem p;
  p.hard = targets.defined() && targets.dtype() == DType::i64;
  e.shape("targets", targets, p.hard ? "M" : "M K").same_device("targets", targets, logits);
  e.dtype("targets", targets, {p.hard ? DType::i64 : accumulator_of(logits.dtype())});
  e.that(options.label_smoothing >= 0 && options.label_smoothing <= 1, "label_smoothing is {}, expected 0 to 1",
         options.label_smoothing);
  p.logits = logits.detach().contiguous(), p.targets = targets.detach().contiguous();
  p.rows = e["M"], p.classes = e["K"];
  p.smoothing = options.label_smoothing, p.ignore_index = options.ignore_index;
  if (p.hard && is_on_cpu(logits)) {
    const int64_t* t = p.targets.data<int64_t>();
    for (int64_t r = 0; r < p.rows; ++r) {
      e.that(t[r] == p.ignore_index || (t[r] >= 0 && t[r] < p.classes),
             "targets[{}] is {}, expected a class 0 to {} or the ignore_index {}", r, t[r], p.classes - 1,
             p.ignore_index);
    }
  }
  return p;
}

bool counts(const Problem& p, int64_t row) { return !p.hard || p.targets.data<int64_t>()[row] != p.ignore_index; }

int64_t row_grain(int64_t classes) { return std::max<int64_t>(1, (1 << 13) / std::max<int64_t>(1, classes)); }

// What one trip over a row collects; merged piece by piece.
template <class A>
struct RowSums {
  A largest = -std::numeric_limits<A>::infinity();
  double exponentials = 0;  // sum exp(x - largest)
  double logits = 0;        // sum x, for smoothing
  double targets = 0;       // sum t, soft
  double product = 0;       // sum t x, soft; exact where the x are close to each other, however large
};

template <class T, class A = acc_t<T>>
inline void add_piece(RowSums<A>& row, const T* x, const A* t, int64_t n) {
  const A largest = std::max(row.largest, lane_max<A>(n, [=](int64_t c) { return static_cast<A>(x[c]); }));
  // Only -inf so far: nothing to subtract.
  const A shift = largest == -std::numeric_limits<A>::infinity() ? A(0) : largest;
  const auto [exponentials, logits] = lane_sums<A>(n, [=](int64_t c, A& exponential, A& logit) {
    logit = static_cast<A>(x[c]) - shift;
    exponential = math::exp_nonpositive(logit);
  });
  if (row.exponentials != 0)
    row.exponentials *= std::exp(static_cast<double>(row.largest) - static_cast<double>(shift));
  row.exponentials += static_cast<double>(exponentials);
  row.logits += static_cast<double>(logits) + static_cast<double>(n) * static_cast<double>(shift);
  row.largest = largest;
  if (t == nullptr) return;
  const auto [targets, product] = lane_sums<A>(n, [=](int64_t c, A& target, A& with_logit) {
    target = t[c];
    // A class of probability 0 adds nothing, also where its logit is -inf.
    with_logit = target == A(0) ? A(0) : target * (static_cast<A>(x[c]) - shift);
  });
  row.targets += static_cast<double>(targets);
  row.product += static_cast<double>(product) + static_cast<double>(targets) * static_cast<double>(shift);
}

template <class T, class A = acc_t<T>>
void losses_of_rows(const Problem& p, A* losses, CrossEntropyState<A>* states) {
  const T* x = p.logits.data<T>();
  const int64_t* classes = p.hard ? p.targets.data<int64_t>() : nullptr;
  const A* soft = p.hard ? nullptr : p.targets.data<A>();
  parallel_for(p.rows, row_grain(p.classes), [&](int64_t begin, int64_t end) {
    simd::run([&] {
      for (int64_t r = begin; r < end; ++r) {
        losses[r] = 0, states[r] = {0, 0, 0};
        if (p.hard && classes[r] == p.ignore_index) continue;
        const T* xr = x + r * p.classes;
        RowSums<A> row;
        for (int64_t c = 0; c < p.classes; c += kPiece) {
          add_piece<T>(row, xr + c, soft == nullptr ? nullptr : soft + r * p.classes + c,
                       std::min(kPiece, p.classes - c));
        }
        const double log_sum = std::log(row.exponentials), lse = static_cast<double>(row.largest) + log_sum;
        const double target_sum = p.hard ? 1 : row.targets;
        const double target_logit = p.hard ? static_cast<double>(xr[classes[r]]) : row.product;
        double loss = (1 - p.smoothing) * (lse * target_sum - target_logit);
        if (p.smoothing > 0) loss += p.smoothing * (lse - row.logits / static_cast<double>(p.classes));
        losses[r] = static_cast<A>(loss);
        states[r] = {row.largest, static_cast<A>(log_sum),
                     static_cast<A>((1 - p.smoothing) * target_sum + p.smoothing)};
      }
    });
  });
}

template <class T, class A = acc_t<T>>
void slopes(const Problem& p, const CrossEntropyState<A>* states, double scale_of_row, T* dx, bool accumulate) {
  const T* x = p.logits.data<T>();
  const int64_t* classes = p.hard ? p.targets.data<int64_t>() : nullptr;
  const A* soft = p.hard ? nullptr : p.targets.data<A>();
  const A scale = static_cast<A>(scale_of_row), keep = static_cast<A>((1 - p.smoothing) * scale_of_row);
  const A even = static_cast<A>(p.smoothing / static_cast<double>(p.classes) * scale_of_row);
  parallel_for(p.rows, row_grain(p.classes), [&](int64_t begin, int64_t end) {
    simd::run([&] {
      for (int64_t r = begin; r < end; ++r) {
        const T* xr = x + r * p.classes;
        T* dxr = dx + r * p.classes;
        if (p.hard && classes[r] == p.ignore_index) {
          if (!accumulate) std::fill(dxr, dxr + p.classes, T(A(0)));
          continue;
        }
        const A largest = states[r].largest, log_sum = states[r].log_sum, weight = states[r].weight * scale;
        // Hard: the target's element is computed apart, so that it is rounded once. dx may be x itself.
        const int64_t target = p.hard ? classes[r] : 0;
        const A logit = p.classes > 0 ? static_cast<A>(xr[target]) : A(0);
        const A before = p.hard && accumulate ? static_cast<A>(dxr[target]) : A(0);
        if (!accumulate) {
          if (p.hard) {
#pragma omp simd
            for (int64_t c = 0; c < p.classes; ++c)
              dxr[c] = T(math::exp_nonpositive(static_cast<A>(xr[c]) - largest - log_sum) * weight - even);
          } else {
            const A* t = soft + r * p.classes;
#pragma omp simd
            for (int64_t c = 0; c < p.classes; ++c) {
              dxr[c] =
                  T(math::exp_nonpositive(static_cast<A>(xr[c]) - largest - log_sum) * weight - even - t[c] * keep);
            }
          }
        } else {
          const A* t = p.hard ? nullptr : soft + r * p.classes;
#pragma omp simd
          for (int64_t c = 0; c < p.classes; ++c) {
            const A g = math::exp_nonpositive(static_cast<A>(xr[c]) - largest - log_sum) * weight - even -
                        (t == nullptr ? A(0) : t[c] * keep);
            dxr[c] = T(static_cast<A>(dxr[c]) + g);
          }
        }
        if (p.hard) {
          // softmax - 1 without cancellation would need the other classes' sum; the difference is exact enough near 0
          // and 1.
          const A g = math::exp_nonpositive(logit - largest - log_sum) * weight - even - keep;
          dxr[target] = T(before + g);
        }
      }
    });
  });
}

struct Forward {
  Tensor losses, states;  // [M], [M, 3]
};

Forward run_forward(const char* op, const Problem& p) {
  const DType acc = accumulator_of(p.logits.dtype());
  const Device device = p.logits.device();
  Forward f{Tensor::empty({p.rows}, acc, device), Tensor::empty({p.rows, 3}, acc, device)};
  on_device(op, p.logits, [&](auto d) { CrossEntropyKernels<d>::forward(p, f.losses, f.states); });
  return f;
}

}  // namespace

template <>
void CrossEntropyKernels<DeviceType::cpu>::forward(const Problem& p, const Tensor& losses, const Tensor& states) {
  dispatch_floating("cross_entropy", p.logits, [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    losses_of_rows<T>(p, losses.data<A>(), static_cast<CrossEntropyState<A>*>(states.raw()));
  });
}

template <>
void CrossEntropyKernels<DeviceType::cpu>::reduce(const Problem& p, const Tensor& losses, double normalizer,
                                                  const Tensor& factor, const Tensor& y) {
  if (normalizer == 0) {
    for (int64_t r = 0; r < p.rows; ++r) normalizer += counts(p, r) ? 1 : 0;
  }
  double sum = 0;
  for (double loss : losses.to_vector<double>()) sum += loss;
  *factor.data<double>() = normalizer == 0 ? 0 : 1 / normalizer;
  y.fill(sum * *factor.data<double>());
}

template <>
void CrossEntropyKernels<DeviceType::cpu>::backward(const Problem& p, const Tensor& states, const Tensor& factor,
                                                    const Tensor& dy, const GradOut::Target& dx) {
  const double scale = dy.item() * *factor.data<double>();
  dispatch_floating("cross_entropy", p.logits, [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    slopes<T>(p, static_cast<const CrossEntropyState<A>*>(states.raw()), scale, dx.tensor.data<T>(), dx.accumulate);
  });
}

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  const OpRange range("cross_entropy");
  const Problem p = make_problem("cross_entropy", logits, targets, options);
  const Forward f = run_forward("cross_entropy", p);
  const Tensor factor = Tensor::empty({1}, DType::f64, logits.device());
  const Tensor y = Tensor::empty({}, f.losses.dtype(), logits.device());
  on_device("cross_entropy", logits,
            [&](auto d) { CrossEntropyKernels<d>::reduce(p, f.losses, options.normalizer, factor, y); });
  return record("cross_entropy", y, {logits}, [p, states = f.states, factor](const Tensor& dy, GradOut& grads) {
    // Logits that nobody else looks at become their gradient: with a large vocabulary they are the largest of all
    // tensors.
    const bool in_place = p.logits.is_unique();
    const GradOut::Target dx = in_place ? GradOut::Target{p.logits, false} : grads.target(0);
    on_device("cross_entropy", p.logits, [&](auto d) { CrossEntropyKernels<d>::backward(p, states, factor, dy, dx); });
    if (in_place) grads.give(0, p.logits);
  });
}

Tensor cross_entropy_per_row(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  return run_forward("cross_entropy_per_row", make_problem("cross_entropy_per_row", logits, targets, options)).losses;
}

}  // namespace gfsa
