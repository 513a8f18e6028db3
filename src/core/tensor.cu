// Copies and fills on a GPU.
#include "core/cuda/device.h"
#include "core/dispatch.h"
#include "core/strided_loop.h"
#include "core/tensor_kernels.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;

template <class To, class From>
struct Copy {
  static constexpr const char* kName = "copy";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(InPlace<To> to, InPlace<const From> from, StridedLoop loop) const {
    const int64_t i = global_x();
    if (i >= loop.numel) return;
    const auto at = loop.offsets(i);
    store(to, at[0], convert_element<To>(load(from, at[1])));
  }
};

template <class To>
struct Fill {
  static constexpr const char* kName = "fill";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<To> to, To value, StridedLoop loop) const {
    const int64_t i = global_x();
    if (i < loop.numel) store(to, loop.offsets(i)[0], value);
  }
};

template <class T>
struct AddInPlace {
  static constexpr const char* kName = "add_in_place";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<T> to, Global<const T> from, int64_t n) const {
    const int64_t i = global_x();
    if (i >= n) return;
    store(to, i, from_float<T>(as_float(load(to, i)) + as_float(load(from, i))));
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void TensorKernels<D>::copy(const Tensor& to, const Tensor& from) {
  if (to.dtype() == from.dtype() && to.is_contiguous() && from.is_contiguous()) {
    backend(to.device()).copy(to.raw(), from.raw(), to.bytes());
    return;
  }
  dispatch_any(to.dtype(), [&](auto t) {
    dispatch_any(from.dtype(), [&](auto f) {
      using To = decltype(t);
      using From = decltype(f);
      launch(Copy<To, From>{}, one_thread_each("copy", to.numel(), kThreads, {&to.shape()}), to.data<To>(),
             from.data<From>(), StridedLoop({to, from}));
    });
  });
}

template <DeviceType D>
void TensorKernels<D>::fill(const Tensor& to, double value) {
  dispatch_any(to.dtype(), [&](auto t) {
    using To = decltype(t);
    launch(Fill<To>{}, one_thread_each("fill", to.numel(), kThreads, {&to.shape()}), to.data<To>(),
           convert_element<To>(value), StridedLoop({to}));
  });
}

template <DeviceType D>
void TensorKernels<D>::add(const Tensor& to, const Tensor& from) {
  dispatch_gpu("add", to.dtype(), [&](auto t) {
    using T = decltype(t);
    launch(AddInPlace<T>{}, one_thread_each("add", to.numel(), kThreads, {&to.shape()}), to.data<T>(),
           static_cast<const T*>(from.data<T>()), to.numel());
  });
}

template struct TensorKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
