// update_segments.h -- UpdateKernel: a block a segment. A rule's .cu includes this and instantiates it.
#pragma once

#include "optim/cuda/segments.h"
#include "optim/update_rules.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

template <class Rule>
GFSA_DEVICE float updated(const Rule& rule, float p, float g, float& first, float& second) {
  if constexpr (Rule::kStates == 0) return rule(p, g);
  if constexpr (Rule::kStates == 1) return rule(p, g, first);
  if constexpr (Rule::kStates == 2) return rule(p, g, first, second);
}

template <class Rule>
struct UpdateSegments {
  static constexpr const char* kName = "update_segments";
  static constexpr int kMaxThreads = kUpdateThreads;
  // first and second are null where the rule has fewer states.
  GFSA_DEVICE void operator()(Global<const uint32_t> rules, ScaleOnHost scale, Global<const double> factor,
                              Global<const int64_t> segments, Global<float> value, Global<const float> grad,
                              Global<float> first, Global<float> second) const {
    const float f = factor_of(scale, factor);
    const SegmentOnDevice s = load_segment(segments, block_x());
    if (is_nan(f)) return;
    const Rule rule = load_rule<Rule>(rules, s.group);
    // Parameters begin at multiples of 64 bytes; their last elements may not fill four.
    const int64_t fours = s.count / 4 * 4, end = s.begin + s.count;
    for (int64_t i = s.begin + int64_t{thread_x()} * 4; i < s.begin + fours; i += 4 * kUpdateThreads) {
      apply<4>(rule, f, scale.limit, i, value, grad, first, second);
    }
    for (int64_t i = s.begin + fours + thread_x(); i < end; i += kUpdateThreads) {
      apply<1>(rule, f, scale.limit, i, value, grad, first, second);
    }
  }

 private:
  template <int V>
  GFSA_DEVICE static void apply(const Rule& rule, float factor, float limit, int64_t i, Global<float> value,
                                Global<const float> grad, Global<float> first, Global<float> second,
                                Where where = Where::current()) {
    Floats<V> p = load_floats<V, float>(value, i, where), a{}, b{};
    const Floats<V> g = load_floats<V, float>(grad, i, where);
    if constexpr (Rule::kStates > 0) a = load_floats<V, float>(first, i, where);
    if constexpr (Rule::kStates > 1) b = load_floats<V, float>(second, i, where);
    for (int k = 0; k < V; ++k) {
      p[k] = updated(rule, p[k], update::scaled_gradient(g[k], factor, limit), a[k], b[k]);
    }
    store_floats<V, float>(value, i, p, where);
    if constexpr (Rule::kStates > 0) store_floats<V, float>(first, i, a, where);
    if constexpr (Rule::kStates > 1) store_floats<V, float>(second, i, b, where);
  }
};

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {

template <DeviceType D, class Rule>
void UpdateKernel<D, Rule>::run(const char* op, const uint32_t* rules, const GradientScale& scale,
                                const Tensor& segments, const Tensor& values, const Tensor& grads,
                                const std::array<Tensor, 2>& states) {
  using namespace GFSA_DEVICE_NAMESPACE;
  if (segments.dim(0) == 0) return;
  const auto data = [](const Tensor& t) { return t ? t.data<float>() : nullptr; };
  launch(UpdateSegments<Rule>{}, a_block_each(op, segments.dim(0)), rules, on_host(scale), on_device_or_null(scale),
         segments.data<int64_t>(), values.data<float>(), grads.data<float>(), data(states[0]), data(states[1]));
}

}  // namespace gfsa
