// adam.cpp -- torch.optim.Adam and AdamW, which differ in one line:
//
//   adam:  g = g + weight_decay p          adamw:  p = (1 - lr weight_decay) p
//   m = beta1 m + (1 - beta1) g
//   v = beta2 v + (1 - beta2) g^2
//   p = p - lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps)
//
// Traffic: value, m and v read and written, gradient read: 28 bytes an element in f32.

#include <array>
#include <cmath>

#include "core/cpu/simd.h"
#include "optim/registry.h"
#include "optim/update_math.h"

namespace gfsa {
namespace {

template <class T>
struct Coefficients {
  T factor, limit;  // of the gradient
  T keep, decay;    // decoupled: 1 - lr weight_decay; coupled: weight_decay
  T weight1, beta2, weight2;
  T step_size, root_scale, eps;
};

template <class T>
inline void adam_kernel(const Coefficients<T> c, int64_t n, T* value, const T* grad, T* first, T* second) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T p = value[i];
    const T g = update::scaled_gradient(grad[i], c.factor, c.limit) + c.decay * p;
    const T m = update::lerp(first[i], g, c.weight1);
    const T v = c.beta2 * second[i] + c.weight2 * g * g;
    first[i] = m;
    second[i] = v;
    value[i] = c.keep * p - c.step_size * (m / (std::sqrt(v) * c.root_scale + c.eps));
  }
}

class Adam : public Optimizer {
 public:
  explicit Adam(bool decoupled) : Optimizer(1e-3, decoupled ? 0.01 : 0), decoupled_(decoupled) {}

  void describe(config::Schema& s) override {
    Optimizer::describe(s);
    s.field("betas", betas_).at_least(0).below(1).doc("Decay of the first and second moment.");
    s.field("eps", eps_).at_least(0).doc("Added to the root of the second moment.");
  }

 protected:
  void make_state() override {
    first_ = add_state("exp_avg");
    second_ = add_state("exp_avg_sq");
  }

  void update(const Update& u) override {
    update::dispatch_master("adam", values(), [&](auto zero) { run<decltype(zero)>(u); });
  }

 private:
  template <class T>
  void run(const Update& u) {
    T* value = values().data<T>();
    const T* grad = grads().data<T>();
    T* first = first_.data<T>();
    T* second = second_.data<T>();
    const double t = static_cast<double>(u.step);
    const double correction1 = 1 - std::pow(betas_[0], t), correction2 = 1 - std::pow(betas_[1], t);
    for_each_segment(segments(), [&](int64_t, const Segment& s) {
      const ParameterGroup& group = group_of(s);
      const double lr = u.lr * group.lr_factor;
      Coefficients<T> c;
      c.factor = T(u.scale.factor);
      c.limit = T(u.scale.limit);
      c.keep = T(decoupled_ ? 1 - lr * group.weight_decay : 1);
      c.decay = T(decoupled_ ? 0 : group.weight_decay);
      c.weight1 = T(1 - betas_[0]);
      c.beta2 = T(betas_[1]);
      c.weight2 = T(1 - betas_[1]);
      c.step_size = T(lr / correction1);
      c.root_scale = T(1 / std::sqrt(correction2));
      c.eps = T(eps_);
      simd::run([&] { adam_kernel(c, s.count, value + s.begin, grad + s.begin, first + s.begin, second + s.begin); });
    });
  }

  bool decoupled_;
  std::array<double, 2> betas_{0.9, 0.999};
  double eps_ = 1e-8;
  Tensor first_, second_;
};

// Types of their own, so that the registry can tell them apart.
class CoupledAdam : public Adam {
 public:
  CoupledAdam() : Adam(false) {}
};
class AdamW : public Adam {
 public:
  AdamW() : Adam(true) {}
};

}  // namespace

void register_adam(config::Registry<Optimizer>& registry) {
  registry.add<CoupledAdam>("adam", "Adam (Kingma, Ba 2015); weight decay is added to the gradient.");
  registry.add<AdamW>("adamw", "Adam with decoupled weight decay (Loshchilov, Hutter 2019).");
}

}  // namespace gfsa
