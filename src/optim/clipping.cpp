#include "optim/clipping.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "optim/update_math.h"

namespace gfsa {
namespace {

template <class T>
inline double sum_of_squares(const T* x, int64_t n) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

}  // namespace

double l2_norm(const Tensor& flat) {
  if (!flat.is_contiguous()) fail("l2_norm: needs a contiguous tensor, not {}", flat.shape().text());
  const int64_t n = flat.numel(), blocks = (n + kSegmentElements - 1) / kSegmentElements;
  std::vector<double> sums(static_cast<size_t>(blocks));
  update::dispatch_master("l2_norm", flat, [&](auto zero) {
    using T = decltype(zero);
    const T* x = flat.data<T>();
    parallel_for(blocks, 4, [&](int64_t begin, int64_t end) {
      simd::run([&] {
        for (int64_t b = begin; b < end; ++b) {
          const int64_t first = b * kSegmentElements;
          sums[static_cast<size_t>(b)] = sum_of_squares(x + first, std::min(kSegmentElements, n - first));
        }
      });
    });
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return std::sqrt(total);
}

void ClipConfig::describe(config::Schema& s) {
  s.field("clip_norm", clip_norm)
      .positive()
      .resume_may_change()
      .doc("Greatest L2 norm of all gradients together; null: none.")
      .source("torch.nn.utils.clip_grad_norm_");
  s.field("clip_value", clip_value)
      .positive()
      .resume_may_change()
      .doc("Greatest magnitude of one gradient element; null: none.")
      .source("torch.nn.utils.clip_grad_value_");
}

ClipResult clip(const ParameterStore& store, const ClipConfig& config, double factor) {
  constexpr double kEps = 1e-6;  // clip_grad_norm_'s
  ClipResult result;
  result.norm = l2_norm(store.flat_grads()) * std::abs(factor);
  result.finite = std::isfinite(result.norm);
  result.scale.factor = factor;
  if (config.clip_norm) {
    const double shrink = *config.clip_norm / (result.norm + kEps);
    result.clipped = shrink < 1;
    result.scale.factor *= std::min(1.0, shrink);
  }
  if (config.clip_value) result.scale.limit = *config.clip_value;
  return result;
}

}  // namespace gfsa
