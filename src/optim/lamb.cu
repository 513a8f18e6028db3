#include "optim/lamb_kernels.h"

#include "optim/cuda/segments.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

// A block a segment: moments, and the sums of p^2 and u^2.
struct Moments {
  static constexpr const char* kName = "lamb_moments";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<const uint32_t> groups, ScaleOnHost scale, Global<const double> factor,
                              Global<const int64_t> segments, Global<const float> value, Global<const float> grad,
                              Global<float> first, Global<float> second, Global<double> sums) const {
    GFSA_SHARED(double, scratch, 32);
    const float f = factor_of(scale, factor);
    const SegmentOnDevice s = load_segment(segments, block_x());
    if (is_nan(f)) return;
    const update::LambRule<float> rule = load_rule<LambGroup>(groups, s.group).rule;
    double values = 0, directions = 0;
    for (int64_t i = s.begin + thread_x(); i < s.begin + s.count; i += kUpdateThreads) {
      const float p = load(value, i);
      float m = load(first, i), v = load(second, i);
      const double u = rule.move(p, update::scaled_gradient(load(grad, i), f, scale.limit), m, v);
      store(first, i, m);
      store(second, i, v);
      values += static_cast<double>(p) * static_cast<double>(p);
      directions += u * u;
    }
    values = block_sum(values, scratch);
    directions = block_sum(directions, scratch);
    if (thread_x() != 0) return;
    store(sums, 2 * int64_t{block_x()}, values);
    store(sums, 2 * int64_t{block_x()} + 1, directions);
  }
};

// A warp a parameter.
struct Ratios {
  static constexpr const char* kName = "lamb_ratios";
  static constexpr int kMaxThreads = 32;
  GFSA_DEVICE void operator()(ScaleOnHost scale, Global<const double> factor, Global<const int64_t> spans,
                              Global<const double> sums, Global<double> ratios, bool trust_clip) const {
    if (is_nan(factor_of(scale, factor))) return;
    const int64_t begin = load(spans, 2 * int64_t{block_x()}), count = load(spans, 2 * int64_t{block_x()} + 1);
    double values = 0, directions = 0;
    for (int64_t i = begin + lane(); i < begin + count; i += 32) {
      values += load(sums, 2 * i);
      directions += load(sums, 2 * i + 1);
    }
    values = warp_sum(values);
    directions = warp_sum(directions);
    if (lane() == 0) store(ratios, block_x(), lamb_ratio(values, directions, trust_clip));
  }
};

struct Apply {
  static constexpr const char* kName = "lamb_apply";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<const uint32_t> groups, ScaleOnHost scale, Global<const double> factor,
                              Global<const int64_t> segments, Global<float> value, Global<const float> first,
                              Global<const float> second, Global<const double> ratios) const {
    const SegmentOnDevice s = load_segment(segments, block_x());
    if (is_nan(factor_of(scale, factor))) return;
    const LambGroup g = load_rule<LambGroup>(groups, s.group);
    const float step_size = static_cast<float>(g.adapts ? g.lr * load(ratios, s.parameter) : g.lr);
    for (int64_t i = s.begin + thread_x(); i < s.begin + s.count; i += kUpdateThreads) {
      const float p = load(value, i);
      store(value, i, p - step_size * g.rule.direction(p, load(first, i), load(second, i)));
    }
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void LambKernels<D>::update(const LambBuffers& b, const uint32_t* groups, bool trust_clip, const GradientScale& scale) {
  const int64_t segments = b.segments.dim(0), parameters = b.spans.dim(0);
  if (segments == 0) return;
  const int64_t* table = b.segments.data<int64_t>();
  const double* factor = on_device_or_null(scale);
  float* values = b.values.data<float>();
  float* first = b.first.data<float>();
  float* second = b.second.data<float>();
  launch(Moments{}, a_block_each("lamb", segments), groups, on_host(scale), factor, table, values,
         b.grads.data<float>(), first, second, b.sums.data<double>());
  launch(Ratios{}, {.grid = {static_cast<uint32_t>(parameters)}, .block = {32}, .op = "lamb"}, on_host(scale), factor,
         b.spans.data<int64_t>(), b.sums.data<double>(), b.ratios.data<double>(), trust_clip);
  launch(Apply{}, a_block_each("lamb", segments), groups, on_host(scale), factor, table, values, first, second,
         b.ratios.data<double>());
}

template struct LambKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
