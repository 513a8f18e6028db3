#include "data/image/mixup.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "core/cpu/simd.h"

namespace gfsa::data {
namespace {

// Gamma(shape, 1) by Marsaglia and Tsang 2000; shape < 1 through Gamma(shape + 1) U^(1 / shape).
double draw_gamma(RandomSequence& rng, double shape) {
  if (shape < 1) return draw_gamma(rng, shape + 1) * std::pow(1.0 - rng.uniform(), 1.0 / shape);
  const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  while (true) {
    const double x = rng.normal(), t = 1.0 + c * x;
    if (t <= 0) continue;
    const double v = t * t * t, u = 1.0 - rng.uniform();
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

// a = lambda a + (1 - lambda) b and the reverse, as timm's mul_ and add_ round it.
inline void mix_pair(float* __restrict a, float* __restrict b, size_t n, float own, float other) {
  for (size_t i = 0; i < n; ++i) {
    const float x = a[i], y = b[i];
    a[i] = x * own + y * other;
    b[i] = y * own + x * other;
  }
}

}  // namespace

double draw_beta(RandomSequence& rng, double a, double b) {
  if (a <= 1 && b <= 1) {  // Johnk 1964, in logarithms where both powers vanish (as numpy does)
    while (true) {
      const double u = rng.uniform(), v = rng.uniform();
      const double x = std::pow(u, 1.0 / a), y = std::pow(v, 1.0 / b);
      if (x + y > 1.0 || u + v == 0.0) continue;
      if (x + y > 0) return x / (x + y);
      const double log_x = std::log(u) / a, log_y = std::log(v) / b, m = std::max(log_x, log_y);
      return std::exp(log_x - m - std::log(std::exp(log_x - m) + std::exp(log_y - m)));
    }
  }
  const double x = draw_gamma(rng, a), y = draw_gamma(rng, b);
  return x / (x + y);
}

MixDraw draw_cutmix_box(RandomSequence& rng, double lambda, int height, int width) {
  const double ratio = std::sqrt(1.0 - lambda);
  const int cut_h = static_cast<int>(height * ratio), cut_w = static_cast<int>(width * ratio);
  const int cy = static_cast<int>(rng.below(static_cast<uint64_t>(height)));
  const int cx = static_cast<int>(rng.below(static_cast<uint64_t>(width)));
  const int top = std::clamp(cy - cut_h / 2, 0, height), bottom = std::clamp(cy + (cut_h + 1) / 2, 0, height);
  const int left = std::clamp(cx - cut_w / 2, 0, width), right = std::clamp(cx + (cut_w + 1) / 2, 0, width);
  MixDraw draw;
  draw.cutmix = true;
  draw.box = {left, top, right - left, bottom - top};
  draw.lambda = 1.0 - static_cast<double>(static_cast<int64_t>(bottom - top) * (right - left)) /
                          (static_cast<double>(height) * width);
  return draw;
}

MixDraw draw_mix(RandomSequence& rng, const MixConfig& config, int height, int width) {
  if (!config.enabled() || rng.uniform() >= config.probability) return {};
  const bool cutmix = config.cutmix_alpha > 0 && (config.mixup_alpha <= 0 || rng.uniform() < config.switch_probability);
  const double alpha = cutmix ? config.cutmix_alpha : config.mixup_alpha;
  const double lambda = draw_beta(rng, alpha, alpha);
  if (cutmix && lambda < 1) return draw_cutmix_box(rng, lambda, height, width);
  MixDraw draw;
  draw.lambda = lambda;
  return draw;
}

void apply_mix(const MixDraw& draw, std::span<float> images, int batch, int channels, int height, int width) {
  const size_t plane = static_cast<size_t>(height) * width, sample = plane * channels;
  if (images.size() != sample * batch) {
    fail("apply_mix: {} values, expected {} x {} x {} x {}", images.size(), batch, channels, height, width);
  }
  if (draw.lambda == 1) return;
  const float own = static_cast<float>(draw.lambda), other = static_cast<float>(1.0 - draw.lambda);
  for (int64_t i = 0; i < (batch + 1) / 2; ++i) {
    float* a = images.data() + static_cast<size_t>(i) * sample;
    float* b = images.data() + static_cast<size_t>(batch - 1 - i) * sample;
    if (a == b) continue;
    if (!draw.cutmix) {
      simd::run([&] { mix_pair(a, b, sample, own, other); });
      continue;
    }
    for (int c = 0; c < channels; ++c) {
      for (int y = 0; y < draw.box.height; ++y) {
        const size_t at = c * plane + static_cast<size_t>(draw.box.top + y) * width + draw.box.left;
        std::swap_ranges(a + at, a + at + draw.box.width, b + at);
      }
    }
  }
}

void mix_targets(double lambda, double smoothing, std::span<const int64_t> labels, int classes,
                 std::span<float> targets) {
  const size_t batch = labels.size();
  if (targets.size() != batch * classes) {
    fail("mix_targets: {} values, expected {} x {}", targets.size(), batch, classes);
  }
  const double off = smoothing / classes;
  const float off_value = static_cast<float>(off), on_value = static_cast<float>(1.0 - smoothing + off);
  const float own = static_cast<float>(lambda), other = static_cast<float>(1.0 - lambda);
  const auto mixed = [&](float first, float second) { return first * own + second * other; };
  for (size_t i = 0; i < batch; ++i) {
    const int64_t label = labels[i], partner = labels[batch - 1 - i];
    if (label < 0 || label >= classes) bad_input("label {} of sample {} is outside [0, {})", label, i, classes);
    if (partner < 0 || partner >= classes) {
      bad_input("label {} of sample {} is outside [0, {})", partner, batch - 1 - i, classes);
    }
    float* row = targets.data() + i * classes;
    std::fill_n(row, classes, mixed(off_value, off_value));
    row[partner] = mixed(off_value, on_value);
    row[label] = label == partner ? mixed(on_value, on_value) : mixed(on_value, off_value);
  }
}

}  // namespace gfsa::data
