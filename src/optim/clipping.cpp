#include "optim/clipping.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/on_device.h"
#include "ops/lanes.h"
#include "optim/clip_kernels.h"
#include "optim/update_math.h"

namespace gfsa {
namespace {

template <class T>
inline double sum_of_squares(const T* x, int64_t n) {
  // The processor by itself asks for too little ahead where memory is only read.
  constexpr int64_t kAheadBytes = 4096, kLineBytes = 64, kAhead = kAheadBytes / static_cast<int64_t>(sizeof(T));
  return lane_sum<double>(
      n,
      [x](int64_t i) {
        const double value = static_cast<double>(x[i]);
        return value * value;
      },
      [x](int64_t i) {
        for (size_t byte = 0; byte < kLanes * sizeof(T); byte += kLineBytes) {
          __builtin_prefetch(reinterpret_cast<const char*>(x + i + kAhead) + byte);
        }
      });
}

}  // namespace

template <>
void ClipKernels<DeviceType::cpu>::run(const Tensor& flat, double, double, const Tensor& loss, const Tensor& figures) {
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
  figures.data<double>()[0] = std::sqrt(total);
  figures.data<double>()[2] = loss.defined() ? loss.item() : 0;
}

template <>
void ClipKernels<DeviceType::cpu>::add_loss(const Tensor& loss, const Tensor& sum) {
  sum.data<double>()[0] += loss.item();
}

namespace {

Tensor clip_figures(const Tensor& flat, double factor, double clip_norm, const Tensor& loss) {
  if (!flat.is_contiguous()) fail("l2_norm: needs a contiguous tensor, not {}", flat.shape().text());
  const Tensor figures = Tensor::empty({3}, DType::f64, flat.device());
  on_device("l2_norm", flat, [&](auto d) { ClipKernels<d>::run(flat, factor, clip_norm, loss, figures); });
  return figures;
}

}  // namespace

double l2_norm(const Tensor& flat) { return clip_figures(flat, 1, kNoClipNorm, {}).slice(0, 0, 1).item(); }

void LossSum::add(const Tensor& loss) {
  on_device("loss", sum_, [&](auto d) { ClipKernels<d>::add_loss(loss, sum_); });
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

ClipResult clip(const ParameterStore& store, const ClipConfig& config, double factor, const Tensor& loss) {
  const Tensor& grads = store.flat_grads();
  ClipResult result;
  result.clip_norm_ = config.clip_norm.value_or(kNoClipNorm);
  result.factor_ = factor;
  result.figures_ = clip_figures(grads, factor, result.clip_norm_, loss);
  if (config.clip_value) result.scale.limit = *config.clip_value;
  if (is_on_cpu(grads)) {
    result.scale.factor = result.finite() ? clipped_factor(result.norm(), factor, result.clip_norm_)
                                          : std::numeric_limits<double>::quiet_NaN();
  } else {
    result.scale.on_device = result.figures_.slice(0, 1, 2);
  }
  return result;
}

const std::vector<double>& ClipResult::figures() const {
  if (read_.empty()) read_ = figures_.to(Device{}).to_vector<double>();
  return read_;
}
double ClipResult::norm() const { return figures()[0] * std::abs(factor_); }
double ClipResult::loss() const { return figures()[2]; }
bool ClipResult::finite() const { return std::isfinite(norm()) && std::isfinite(loss()); }
bool ClipResult::clipped() const { return shrink_of(norm(), clip_norm_) < 1; }

}  // namespace gfsa
