// A block for each segment's worth of elements, then one block that adds their sums.
#include "optim/clip_kernels.h"
#include "optim/cuda/segments.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

template <int V>
struct SumSquares {
  static constexpr const char* kName = "sum_squares";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<const float> x, Global<double> sums, int64_t n) const {
    GFSA_SHARED(double, scratch, 32);
    const int64_t begin = block_x() * kSegmentElements;
    const int64_t end = begin + kSegmentElements < n ? begin + kSegmentElements : n;
    double sum = 0;
    for (int64_t i = begin + int64_t{thread_x()} * V; i < end; i += kUpdateThreads * V) {
      const Floats<V> v = load_floats<V, float>(x, i);
      for (int k = 0; k < V; ++k) sum += static_cast<double>(v[k]) * static_cast<double>(v[k]);
    }
    sum = block_sum(sum, scratch);
    if (thread_x() == 0) store(sums, block_x(), sum);
  }
};

struct Finish {
  static constexpr const char* kName = "clip";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<const double> sums, int64_t blocks, double factor, double clip_norm,
                              Global<const double> loss, Global<double> figures) const {
    GFSA_SHARED(double, scratch, 32);
    double sum = 0;
    for (int64_t b = thread_x(); b < blocks; b += kUpdateThreads) sum += load(sums, b);
    const double norm = sqrt(block_sum(sum, scratch));
    if (thread_x() != 0) return;
    const double of_scaled = norm * fabs(factor), at_loss = loss != nullptr ? load(loss, 0) : 0.0;
    store(figures, 0, norm);
    // Infinity and NaN less themselves are NaN.
    store(figures, 1, clipped_factor(of_scaled, factor, clip_norm) + (of_scaled - of_scaled) + (at_loss - at_loss));
    store(figures, 2, at_loss);
  }
};

struct AddLoss {
  static constexpr const char* kName = "add_loss";
  GFSA_DEVICE void operator()(Global<const float> loss, Global<double> sum) const {
    store(sum, 0, load(sum, 0) + static_cast<double>(load(loss, 0)));
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void ClipKernels<D>::run(const Tensor& flat, double factor, double clip_norm, const Tensor& loss,
                         const Tensor& figures) {
  if (flat.dtype() != DType::f32) fail("l2_norm: on a GPU takes f32, not {}; use device: cpu", name_of(flat.dtype()));
  const int64_t n = flat.numel(), blocks = blocks_for(n, kSegmentElements);
  const float* x = flat.data<float>();
  const Tensor sums = Tensor::empty({blocks}, DType::f64, flat.device());
  if (blocks > 0) {
    const auto start = [&](auto v) {
      launch(SumSquares<v>{}, a_block_each("l2_norm", blocks), x, sums.data<double>(), n);
    };
    with_row_vectors(n, start, x);
  }
  launch(Finish{}, a_block_each("l2_norm", 1), sums.data<double>(), blocks, factor, clip_norm,
         loss.defined() ? loss.data<double>() : nullptr, figures.data<double>());
}

template <DeviceType D>
void ClipKernels<D>::add_loss(const Tensor& loss, const Tensor& sum) {
  launch(AddLoss{}, {.grid = {1}, .block = {1}, .op = "loss"}, loss.data<float>(), sum.data<double>());
}

template struct ClipKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
