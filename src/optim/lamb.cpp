// lamb.cpp -- timm.optim.Lamb (NVIDIA's variant), without its own clipping of the global norm: train.clip_norm 1 is
// timm's max_grad_norm.
//
//   m = beta1 m + beta3 g, v = beta2 v + (1 - beta2) g^2          beta3 = 1 - beta1 with grad_averaging, else 1
//   u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p
//   p = p - lr (|p| / |u|) u            norms over one parameter; ratio 1 if either is 0, and without weight decay
//   unless
//                                       always_adapt
//
// The ratio needs the whole parameter, so that adapted parameters take a second pass that forms u again: 28 + 16 bytes
// an element in f32. Norms: f64 sums over segments, added in order.

#include <array>
#include <cmath>

#include "core/cpu/simd.h"
#include "core/on_device.h"
#include "optim/lamb_kernels.h"
#include "optim/registry.h"
#include "optim/segment_loop.h"

namespace gfsa {
namespace {

// Moments; returns the sums of p^2 and u^2.
template <class T>
inline std::array<double, 2> moments(const update::LambRule<T> rule, T factor, T limit, int64_t n, const T* value,
                                     const T* grad, T* first, T* second) {
  double values = 0, directions = 0;
#pragma omp simd reduction(+ : values, directions)
  for (int64_t i = 0; i < n; ++i) {
    const T p = value[i], g = update::scaled_gradient(grad[i], factor, limit);
    const double u = rule.move(p, g, first[i], second[i]), w = p;
    values += w * w;
    directions += u * u;
  }
  return {values, directions};
}

template <class T>
inline void apply(const update::LambRule<T> rule, T step_size, int64_t n, T* value, const T* first, const T* second) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) value[i] -= step_size * rule.direction(value[i], first[i], second[i]);
}

class Lamb : public Optimizer {
 public:
  Lamb() : Optimizer(1e-3, 0.01) {}

  void describe(config::Schema& s) override {
    Optimizer::describe(s);
    s.field("betas", betas_).at_least(0).below(1).doc("Decay of the first and second moment.");
    s.field("eps", eps_).at_least(0).doc("Added to the root of the second moment.");
    s.field("bias_correction", bias_correction_).doc("Divide the moments by 1 - beta^t.");
    s.field("grad_averaging", grad_averaging_).doc("The gradient enters the first moment times 1 - beta1.");
    s.field("trust_clip", trust_clip_).doc("The trust ratio is at most 1 (LAMBC).");
    s.field("always_adapt", always_adapt_).doc("Trust ratios also for parameters without weight decay.");
  }

 protected:
  void make_state() override {
    first_ = add_state("exp_avg");
    second_ = add_state("exp_avg_sq");
    sums_.assign(segments().size(), {});
    ratios_.assign(parameters().size(), 1);
    if (!is_on_cpu(values())) make_buffers();
  }

  void prepare(const Step& s) override {
    std::vector<LambGroup> rules;
    for (const ParameterGroup& group : groups()) {
      rules.push_back({coefficients<float>(s, group), s.lr * group.lr_factor, adapts(group)});
    }
    set_rules(rules);
  }

  void update(const Step& s, const GradientScale& scale) override {
    on_device("lamb", values(), [&](auto d) {
      if constexpr (d == DeviceType::cpu) {
        update::dispatch_master("lamb", values(), [&](auto zero) { run<decltype(zero)>(s, scale); });
      } else {
        LambKernels<d>::update(buffers_, rules(), trust_clip_, scale);
      }
    });
  }

 private:
  template <class T>
  update::LambRule<T> coefficients(const Step& s, const ParameterGroup& group) const {
    const double t = static_cast<double>(s.number);
    const double correction1 = bias_correction_ ? 1 - std::pow(betas_[0], t) : 1;
    const double correction2 = bias_correction_ ? 1 - std::pow(betas_[1], t) : 1;
    return {T(betas_[0]),       T(grad_averaging_ ? 1 - betas_[0] : 1), T(betas_[1]), T(1 - betas_[1]),
            T(1 / correction1), T(1 / std::sqrt(correction2)),          T(eps_),      T(group.weight_decay)};
  }

  bool adapts(const ParameterGroup& group) const { return always_adapt_ || group.weight_decay != 0; }

  template <class T>
  void run(const Step& now, const GradientScale& scale) {
    T* value = values().data<T>();
    const T* grad = grads().data<T>();
    T* first = first_.data<T>();
    T* second = second_.data<T>();
    for_each_segment(segments(), [&](int64_t index, const Segment& s) {
      const ParameterGroup& group = group_of(s);
      const auto c = coefficients<T>(now, group);
      const bool at_once = !adapts(group);
      simd::run([&] {
        sums_[static_cast<size_t>(index)] = moments(c, T(scale.factor), T(scale.limit), s.count, value + s.begin,
                                                    grad + s.begin, first + s.begin, second + s.begin);
        // Still in the cache.
        if (at_once) {
          apply(c, T(now.lr * group.lr_factor), s.count, value + s.begin, first + s.begin, second + s.begin);
        }
      });
    });
    find_ratios();
    for_each_segment(segments(), [&](int64_t, const Segment& s) {
      const ParameterGroup& group = group_of(s);
      if (!adapts(group)) return;
      const auto c = coefficients<T>(now, group);
      const T step_size = T(now.lr * group.lr_factor * ratios_[static_cast<size_t>(s.parameter)]);
      simd::run([&] { apply(c, step_size, s.count, value + s.begin, first + s.begin, second + s.begin); });
    });
  }

  void find_ratios() {
    for (size_t i = 0; i < segments().size();) {
      const int parameter = segments()[i].parameter;
      double values = 0, directions = 0;
      for (; i < segments().size() && segments()[i].parameter == parameter; ++i) {
        values += sums_[i][0];
        directions += sums_[i][1];
      }
      ratios_[static_cast<size_t>(parameter)] = lamb_ratio(values, directions, trust_clip_);
    }
  }

  void make_buffers() {
    const Device device = values().device();
    std::vector<int64_t> spans(2 * parameters().size());
    for (size_t i = segments().size(); i-- > 0;) {
      int64_t* span = &spans[2 * static_cast<size_t>(segments()[i].parameter)];
      span[0] = static_cast<int64_t>(i), span[1] += 1;
    }
    const int64_t count = std::ssize(parameters());
    buffers_ = {segment_table(),
                Tensor::from({count, 2}, spans).to(device),
                values(),
                grads(),
                first_,
                second_,
                Tensor::empty({std::ssize(segments()), 2}, DType::f64, device),
                Tensor::empty({count}, DType::f64, device)};
  }

  std::array<double, 2> betas_{0.9, 0.999};
  double eps_ = 1e-6;
  bool bias_correction_ = true, grad_averaging_ = true, trust_clip_ = false, always_adapt_ = false;
  Tensor first_, second_;
  std::vector<std::array<double, 2>> sums_;  // by segment
  std::vector<double> ratios_;               // by parameter
  LambBuffers buffers_;
};

}  // namespace

void register_lamb(config::Registry<Optimizer>& registry) {
  registry.add<Lamb>("lamb", "Adam's direction at a length that fits each parameter (You et al. 2020).");
}

}  // namespace gfsa
