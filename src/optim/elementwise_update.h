// elementwise_update.h -- one pass over all segments with a rule of update_rules.h, on any device.
#pragma once

#include <atomic>

#include "core/cpu/simd.h"
#include "core/on_device.h"
#include "optim/optimizer.h"
#include "optim/segment_loop.h"
#include "optim/update_kernels.h"
#include "optim/update_math.h"

namespace gfsa {

// Whether all that came out is finite.
template <class Rule, class T, class... State>
inline bool update_elements(const Rule rule, T factor, T limit, int64_t n, T* value, const T* grad, State*... state) {
  T zero = 0;  // times a finite number stays zero
#pragma omp simd reduction(+ : zero)
  for (int64_t i = 0; i < n; ++i) {
    value[i] = rule(value[i], update::scaled_gradient(grad[i], factor, limit), state[i]...);
    zero += T(0) * value[i] + (T(0) + ... + (T(0) * state[i]));
  }
  return zero == T(0);
}

template <class RuleOf>
void Optimizer::prepare_with(const RuleOf& rule_of) {
  std::vector<decltype(rule_of(float{}, groups_[0]))> rules;
  for (const ParameterGroup& group : groups_) rules.push_back(rule_of(float{}, group));
  set_rules(rules);
}

template <class RuleOf, class... State>
void Optimizer::update_with(const char* op, const GradientScale& scale, const RuleOf& rule_of, const State&... state) {
  on_device(op, values_, [&](auto d) {
    if constexpr (d == DeviceType::cpu) {
      update::dispatch_master(op, values_, [&](auto zero) {
        using T = decltype(zero);
        T* value = values_.data<T>();
        const T* grad = grads_.data<T>();
        std::atomic<bool> finite{true};
        for_each_segment(segments_, [&](int64_t, const Segment& s) {
          const auto rule = rule_of(zero, group_of(s));
          simd::run([&] {
            if (!update_elements(rule, T(scale.factor), T(scale.limit), s.count, value + s.begin, grad + s.begin,
                                 state.template data<T>() + s.begin...)) {
              finite = false;
            }
          });
        });
        seen_finite_ = finite;
      });
    } else {
      using Rule = decltype(rule_of(float{}, groups_[0]));
      UpdateKernel<d, Rule>::run(op, rules(), scale, segment_table_, values_, grads_, {state...});
    }
  });
}

}  // namespace gfsa
