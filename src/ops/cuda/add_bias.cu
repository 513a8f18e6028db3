#include "ops/cuda/add_bias.h"

#include "core/cuda/device.h"
#include "core/dispatch.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;

template <class T>
struct AddBias {
  static constexpr const char* kName = "add_bias";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<T> c, Global<const float> bias, int64_t m, int64_t n, int64_t ldc) const {
    const int64_t i = global_x();
    if (i >= m * n) return;
    const int64_t at = i / n * ldc + i % n;
    store(c, at, from_float<T>(as_float(load(c, at)) + load(bias, i % n)));
  }
};

struct ToBf16 {
  static constexpr const char* kName = "bias_to_bf16";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const float> x, Global<bfloat16> y, int64_t n) const {
    const int64_t i = global_x();
    if (i < n) store(y, i, to_bfloat16(load(x, i)));
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void add_bias_rows(DType type, void* c, int64_t m, int64_t n, int64_t ldc, const float* bias) {
  dispatch_gpu("gemm", type, [&](auto t) {
    using T = decltype(t);
    launch(AddBias<T>{}, one_thread_each("gemm", m * n, kThreads), static_cast<T*>(c), bias, m, n, ldc);
  });
}
template <DeviceType D>
void to_bf16(const float* x, bfloat16* y, int64_t n) {
  launch(ToBf16{}, one_thread_each("gemm", n, kThreads), x, y, n);
}
template void to_bf16<GFSA_DEVICE_TYPE>(const float*, bfloat16*, int64_t);
template void add_bias_rows<GFSA_DEVICE_TYPE>(DType, void*, int64_t, int64_t, int64_t, const float*);

}  // namespace gfsa
