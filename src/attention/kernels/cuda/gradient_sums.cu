#include "attention/kernels/cuda/gradient_sums.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;

// A warp for each sum.
struct SumCoefficientParts {
  static constexpr const char* kName = "attention_sum_coefficient_parts";
  static constexpr int kMaxThreads = 32;
  GFSA_DEVICE void operator()(Global<const float> parts, Global<float> to, int64_t batch, int64_t row,
                              int64_t chunks) const {
    float sum = 0;
    for (int64_t at = lane(); at < batch * chunks; at += 32) {
      sum += load(parts, (at / chunks * row + block_x()) * chunks + at % chunks);
    }
    sum = warp_sum(sum);
    if (lane() == 0) store(to, block_x(), sum);
  }
};

struct SumBiasGroups {
  static constexpr const char* kName = "attention_sum_bias_groups";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const float> copies, Global<float> to, int64_t n, int64_t area, int64_t groups,
                              bool accumulate) const {
    const int64_t at = global_x();
    if (at >= n) return;
    float sum = accumulate ? load(to, at) : 0.0f;
    for (int64_t g = 0; g < groups; ++g) sum += load(copies, (at / area * groups + g) * area + at % area);
    store(to, at, sum);
  }
};

}  // namespace

void sum_coefficient_parts(const Tensor& parts, const Tensor& to) {
  launch(SumCoefficientParts{},
         {.grid = {static_cast<uint32_t>(to.numel())}, .block = {32}, .op = "attention backward"}, parts.data<float>(),
         to.data<float>(), parts.dim(0), to.numel(), parts.dim(3));
}

void sum_bias_groups(const Tensor& copies, const Tensor& to, bool accumulate) {
  launch(SumBiasGroups{}, one_thread_each("attention backward", to.numel(), kThreads), copies.data<float>(),
         to.data<float>(), to.numel(), copies.dim(2), copies.dim(1), accumulate);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
