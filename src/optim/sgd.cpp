// sgd.cpp -- torch.optim.SGD:
//
//   g = g + weight_decay p
//   b = g at the first step, momentum b + (1 - dampening) g afterwards      (only with momentum)
//   p = p - lr (g + momentum b if nesterov, else b)
//
// Traffic: value and buffer read and written, gradient read (20 bytes an element in f32; 12 without momentum).

#include "core/cpu/simd.h"
#include "optim/registry.h"
#include "optim/update_math.h"

namespace gfsa {
namespace {

template <class T>
struct Coefficients {
  T factor, limit, lr, decay, momentum, blend;
  bool nesterov;
};

template <class T>
inline void plain(const Coefficients<T> c, int64_t n, T* value, const T* grad) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T p = value[i];
    value[i] = p - c.lr * (update::scaled_gradient(grad[i], c.factor, c.limit) + c.decay * p);
  }
}

template <class T>
inline void with_momentum(const Coefficients<T> c, int64_t n, T* value, const T* grad, T* buffer) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T p = value[i];
    const T g = update::scaled_gradient(grad[i], c.factor, c.limit) + c.decay * p;
    const T b = c.momentum * buffer[i] + c.blend * g;
    buffer[i] = b;
    value[i] = p - c.lr * (c.nesterov ? g + c.momentum * b : b);
  }
}

class Sgd : public Optimizer {
 public:
  Sgd() : Optimizer(1e-3, 0) {}

  void describe(config::Schema& s) override {
    Optimizer::describe(s);
    s.field("momentum", momentum_).at_least(0).below(1).doc("Factor of the momentum buffer; 0: no buffer.");
    s.field("dampening", dampening_).in(0, 1).doc("The gradient enters the buffer times 1 - dampening.");
    s.field("nesterov", nesterov_).doc("Look ahead by one momentum step.");
    s.check(!nesterov_ || (momentum_ > 0 && dampening_ == 0), "nesterov", "needs momentum above 0 and dampening 0");
  }

 protected:
  void make_state() override { buffer_ = momentum_ > 0 ? add_state("momentum_buffer") : Tensor(); }

  void update(const Update& u) override {
    update::dispatch_master("sgd", values(), [&](auto zero) { run<decltype(zero)>(u); });
  }

 private:
  template <class T>
  void run(const Update& u) {
    T* value = values().data<T>();
    const T* grad = grads().data<T>();
    T* buffer = buffer_ ? buffer_.data<T>() : nullptr;
    for_each_segment(segments(), [&](int64_t, const Segment& s) {
      const ParameterGroup& group = group_of(s);
      const Coefficients<T> c{T(u.scale.factor),
                              T(u.scale.limit),
                              T(u.lr * group.lr_factor),
                              T(group.weight_decay),
                              T(momentum_),
                              T(u.step == 1 ? 1 : 1 - dampening_),
                              nesterov_};
      simd::run([&] {
        if (buffer == nullptr) {
          plain(c, s.count, value + s.begin, grad + s.begin);
        } else {
          with_momentum(c, s.count, value + s.begin, grad + s.begin, buffer + s.begin);
        }
      });
    });
  }

  double momentum_ = 0, dampening_ = 0;
  bool nesterov_ = false;
  Tensor buffer_;
};

}  // namespace

void register_sgd(config::Registry<Optimizer>& registry) {
  registry.add<Sgd>("sgd", "Stochastic gradient descent with momentum, dampening and Nesterov's form.");
}

}  // namespace gfsa
