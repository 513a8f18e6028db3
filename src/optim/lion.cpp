// lion.cpp -- timm.optim.Lion:
//
//   p = (1 - lr weight_decay) p - lr update::sign(beta1 m + (1 - beta1) g)
//   m = beta2 m + (1 - beta2) g
//
// Traffic: value and m read and written, gradient read: 20 bytes an element in f32.

#include <array>

#include "core/cpu/simd.h"
#include "optim/registry.h"
#include "optim/update_math.h"

namespace gfsa {
namespace {

template <class T>
struct Coefficients {
  T factor, limit, keep, lr, weight1, weight2;
};

template <class T>
inline void lion_kernel(const Coefficients<T> c, int64_t n, T* value, const T* grad, T* momentum) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T g = update::scaled_gradient(grad[i], c.factor, c.limit);
    const T m = momentum[i];
    value[i] = c.keep * value[i] - c.lr * update::sign(update::lerp(m, g, c.weight1));
    momentum[i] = update::lerp(m, g, c.weight2);
  }
}

class Lion : public Optimizer {
 public:
  Lion() : Optimizer(1e-4, 0) {}

  void describe(config::Schema& s) override {
    Optimizer::describe(s);
    s.field("betas", betas_).at_least(0).below(1).doc("Interpolation for the step, then decay of the momentum.");
  }

 protected:
  void make_state() override { momentum_ = add_state("exp_avg"); }

  void update(const Update& u) override {
    update::dispatch_master("lion", values(), [&](auto zero) { run<decltype(zero)>(u); });
  }

 private:
  template <class T>
  void run(const Update& u) {
    T* value = values().data<T>();
    const T* grad = grads().data<T>();
    T* momentum = momentum_.data<T>();
    for_each_segment(segments(), [&](int64_t, const Segment& s) {
      const ParameterGroup& group = group_of(s);
      const double lr = u.lr * group.lr_factor;
      const Coefficients<T> c{T(u.scale.factor), T(u.scale.limit), T(1 - lr * group.weight_decay), T(lr),
                              T(1 - betas_[0]),  T(1 - betas_[1])};
      simd::run([&] { lion_kernel(c, s.count, value + s.begin, grad + s.begin, momentum + s.begin); });
    });
  }

  std::array<double, 2> betas_{0.9, 0.99};
  Tensor momentum_;
};

}  // namespace

void register_lion(config::Registry<Optimizer>& registry) {
  registry.add<Lion>("lion", "The sign of an interpolated momentum (Chen et al. 2023).");
}

}  // namespace gfsa
