#include "ops/cuda/map.h"
#include "optim/cuda/segments.h"
#include "optim/ema_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

struct Swap {
  static constexpr const char* kName = "swap";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<float> a, Global<float> b, int64_t n) const {
    const int64_t i = global_x();
    if (i >= n) return;
    const float x = load(a, i);
    store(a, i, load(b, i));
    store(b, i, x);
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template struct PointwiseKernel<GFSA_DEVICE_TYPE, Average<float>, float, float, float>;

template <DeviceType D>
void EmaKernels<D>::swap(const Tensor& a, const Tensor& b) {
  if (a.numel() == 0) return;
  launch(Swap{}, a_block_each("ema", blocks_for(a.numel(), kUpdateThreads)), a.data<float>(), b.data<float>(),
         a.numel());
}

template struct EmaKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
