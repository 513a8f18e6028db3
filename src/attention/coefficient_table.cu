#include "attention/coefficient_table.h"

#include "core/cuda/device.h"
#include "core/dispatch.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 128;

// A thread a coefficient.
template <class T>
struct Table {
  static constexpr const char* kName = "coefficient_table";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(CoefficientMap map, Global<const T> parameters, Global<T> table, int64_t heads) const {
    const int64_t i = global_x(), h = i / map.columns;
    if (h >= heads) return;
    const auto j = static_cast<size_t>(i - h * map.columns);
    double sum = map.constant[j];
    for (int p = 0; p < map.parameters; ++p) {
      sum += map.weights[static_cast<size_t>(p)][j] * convert_element<double>(load(parameters, p * heads + h));
    }
    store(table, i, convert_element<T>(sum));
  }
};

// A thread a parameter of a head.
template <class T>
struct Slope {
  static constexpr const char* kName = "coefficient_table_backward";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(CoefficientMap map, Global<const T> dtable, Global<T> dparameters, int64_t heads) const {
    const int64_t i = global_x(), p = i / heads, h = i - p * heads;
    if (p >= map.parameters) return;
    double sum = 0;
    for (int j = 0; j < map.columns; ++j) {
      sum += map.weights[static_cast<size_t>(p)][static_cast<size_t>(j)] *
             convert_element<double>(load(dtable, h * map.columns + j));
    }
    store(dparameters, i, convert_element<T>(sum));
  }
};

Launch how(const Tensor& result) {
  return one_thread_each("coefficient_table", result.numel(), kThreads, {&result.shape()});
}

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void CoefficientKernels<D>::forward(const CoefficientMap& map, const Tensor& parameters, const Tensor& table) {
  if (table.numel() == 0) return;
  dispatch_gpu("coefficient_table", table.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* from = parameters.defined() ? parameters.data<T>() : nullptr;
    launch(Table<T>{}, how(table), map, from, table.data<T>(), table.dim(0));
  });
}

template <DeviceType D>
void CoefficientKernels<D>::backward(const CoefficientMap& map, const Tensor& dtable, const Tensor& dparameters) {
  if (dparameters.numel() == 0) return;
  dispatch_gpu("coefficient_table", dtable.dtype(), [&](auto t) {
    using T = decltype(t);
    launch(Slope<T>{}, how(dparameters), map, dtable.data<T>(), dparameters.data<T>(), dtable.dim(0));
  });
}

template struct CoefficientKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
