#include "attention/coefficient_table.h"

#include <algorithm>

#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"

namespace gfsa {
namespace {

CoefficientMap make_map(const char* op, const std::vector<double>& constant,
                        const std::vector<std::vector<double>>& weights) {
  CoefficientMap map{.parameters = static_cast<int>(weights.size()), .columns = static_cast<int>(constant.size())};
  Expect e(op);
  e.that(std::max(map.parameters, map.columns) <= CoefficientMap::kMost,
         "{} parameters and {} columns, expected at most {} of each", map.parameters, map.columns,
         CoefficientMap::kMost);
  std::copy(constant.begin(), constant.end(), map.constant.begin());
  for (size_t p = 0; p < weights.size(); ++p) {
    e.that(weights[p].size() == constant.size(), "row {} of weights has {} columns, expected {}", p, weights[p].size(),
           constant.size());
    std::copy(weights[p].begin(), weights[p].end(), map.weights[p].begin());
  }
  return map;
}

}  // namespace

template <>
void CoefficientKernels<DeviceType::cpu>::forward(const CoefficientMap& map, const Tensor& parameters,
                                                  const Tensor& table) {
  const int64_t heads = table.dim(0), columns = map.columns;
  dispatch_floating("coefficient_table", table.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* from = parameters.defined() ? parameters.data<T>() : nullptr;
    T* to = table.data<T>();
    for (int64_t i = 0; i < heads * columns; ++i) {
      const auto j = static_cast<size_t>(i % columns);
      double sum = map.constant[j];
      for (int p = 0; p < map.parameters; ++p) {
        sum += map.weights[static_cast<size_t>(p)][j] * static_cast<double>(from[p * heads + i / columns]);
      }
      to[i] = convert_element<T>(sum);
    }
  });
}

template <>
void CoefficientKernels<DeviceType::cpu>::backward(const CoefficientMap& map, const Tensor& dtable,
                                                   const Tensor& dparameters) {
  const int64_t heads = dtable.dim(0), columns = map.columns;
  dispatch_floating("coefficient_table", dtable.dtype(), [&](auto t) {
    using T = decltype(t);
    const T* d = dtable.data<T>();
    for (int64_t i = 0; i < map.parameters * heads; ++i) {
      const auto& weights = map.weights[static_cast<size_t>(i / heads)];
      double sum = 0;
      for (int64_t j = 0; j < columns; ++j) {
        sum += weights[static_cast<size_t>(j)] * static_cast<double>(d[i % heads * columns + j]);
      }
      dparameters.data<T>()[i] = convert_element<T>(sum);
    }
  });
}

Tensor coefficient_table(const std::vector<Tensor>& parameters, const std::vector<double>& constant,
                         const std::vector<std::vector<double>>& weights) {
  const OpRange range("coefficient_table");
  Expect e("coefficient_table");
  e.that(!parameters.empty() && parameters.size() == weights.size(), "{} parameters for {} rows of weights",
         parameters.size(), weights.size());
  const DType dtype = parameters[0].dtype();
  for (const Tensor& p : parameters) {
    e.dtype("parameter", p, {dtype}).shape("parameter", p, "H").same_device("parameter", p, parameters[0]);
  }
  const CoefficientMap map = make_map("coefficient_table", constant, weights);
  const int64_t heads = e["H"];
  const Device device = parameters[0].device();
  const Tensor values = Tensor::empty({map.parameters, heads}, dtype, device);
  for (int p = 0; p < map.parameters; ++p) values.select(0, p).copy_from(parameters[static_cast<size_t>(p)]);
  const Tensor y = Tensor::empty({heads, map.columns}, dtype, device);
  on_device("coefficient_table", y, [&](auto d) { CoefficientKernels<d>::forward(map, values, y); });
  return record("coefficient_table", y, parameters, [map, heads](const Tensor& dy, GradOut& out) {
    const Tensor dtable = dy.contiguous();
    const Tensor dvalues = Tensor::empty({map.parameters, heads}, dtable.dtype(), dtable.device());
    on_device("coefficient_table", dtable, [&](auto d) { CoefficientKernels<d>::backward(map, dtable, dvalues); });
    for (int p = 0; p < map.parameters; ++p) {
      if (out.wants(static_cast<size_t>(p))) out.give(static_cast<size_t>(p), dvalues.select(0, p));
    }
  });
}

Tensor constant_coefficients(int64_t heads, const std::vector<double>& constant, DType dtype, Device device) {
  const CoefficientMap map = make_map("constant_coefficients", constant, {});
  const Tensor table = Tensor::empty({heads, map.columns}, dtype, device);
  on_device("constant_coefficients", table, [&](auto d) { CoefficientKernels<d>::forward(map, {}, table); });
  return table;
}

}  // namespace gfsa
