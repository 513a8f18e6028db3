#include "core/tensor.h"

#include <algorithm>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "core/on_device.h"
#include "core/tensor_kernels.h"

namespace gfsa {
namespace {

// Offset of the row (all dimensions but the last) with running number `row`.
int64_t row_offset(const Shape& shape, const Shape& strides, int64_t row) {
  int64_t offset = 0;
  for (int i = shape.rank() - 2; i >= 0; --i) {
    offset += row % shape[i] * strides[i];
    row /= shape[i];
  }
  return offset;
}

template <class To, class From>
void copy_elements(const Tensor& to, const Tensor& from) {
  To* y = to.data<To>();
  const From* x = from.data<From>();
  constexpr int64_t kGrain = 1 << 14;
  if (to.is_contiguous() && from.is_contiguous()) {
    parallel_for(to.numel(), kGrain, [&](int64_t begin, int64_t end) {
      simd::run([&] {
        for (int64_t i = begin; i < end; ++i) y[i] = convert_element<To>(x[i]);
      });
    });
    return;
  }
  if (to.rank() == 0) {
    *y = convert_element<To>(*x);
    return;
  }
  const int64_t columns = to.dim(-1), rows = columns == 0 ? 0 : to.numel() / columns;
  const int64_t y_step = to.strides()[-1], x_step = from.strides()[-1];
  parallel_for(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, columns)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      To* yr = y + row_offset(to.shape(), to.strides(), r);
      const From* xr = x + row_offset(from.shape(), from.strides(), r);
      for (int64_t c = 0; c < columns; ++c) yr[c * y_step] = convert_element<To>(xr[c * x_step]);
    }
  });
}

// Bytes travel between devices; strides and dtypes change on a device, before or after.
void copy_between_devices(const Tensor& to, const Tensor& from) {
  if (to.dtype() != from.dtype()) return to.copy_from(from.to(to.dtype()));
  if (!from.is_contiguous()) return copy_between_devices(to, from.contiguous());
  if (!to.is_contiguous()) return to.copy_from(from.to(to.device()));
  if (is_on_cpu(from)) {
    backend(to.device()).copy_from_host(to.raw(), from.raw(), to.bytes());
  } else if (is_on_cpu(to)) {
    backend(from.device()).copy_to_host(to.raw(), from.raw(), to.bytes());
  } else {
    to.copy_from(from.to(Device{}));
  }
}

}  // namespace

template <>
void TensorKernels<DeviceType::cpu>::copy(const Tensor& to, const Tensor& from) {
  dispatch_any(to.dtype(), [&](auto t) {
    dispatch_any(from.dtype(), [&](auto f) { copy_elements<decltype(t), decltype(f)>(to, from); });
  });
}

template <>
void TensorKernels<DeviceType::cpu>::fill(const Tensor& to, double value) {
  const Tensor one = Tensor::empty({}, to.dtype());
  dispatch_any(to.dtype(), [&](auto t) { *one.data<decltype(t)>() = convert_element<decltype(t)>(value); });
  to.copy_from(one.expand(to.shape()));
}

template <>
void TensorKernels<DeviceType::cpu>::add(const Tensor& to, const Tensor& from) {
  dispatch_floating("add", to, [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    T* y = to.data<T>();
    const T* x = from.data<T>();
    parallel_for(to.numel(), 1 << 14, [&](int64_t begin, int64_t end) {
      simd::run([&] {
        for (int64_t i = begin; i < end; ++i) y[i] = T(static_cast<A>(y[i]) + static_cast<A>(x[i]));
      });
    });
  });
}

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor t;
  t.shape_ = shape;
  t.strides_ = shape.contiguous_strides();
  t.dtype_ = dtype;
  t.storage_ = std::make_shared<Storage>(static_cast<uint64_t>(shape.numel()) * size_of(dtype), device);
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  backend(device).zero(t.raw(), t.bytes());
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  t.fill(value);
  return t;
}

bool Tensor::is_contiguous() const {
  int64_t expected = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != expected) return false;
    expected *= std::max<int64_t>(1, shape_[i]);
  }
  return true;
}

Tensor Tensor::view(const Shape& shape) const {
  if (shape.numel() != numel()) fail("view: shape {} has not as many elements as {}", shape.text(), shape_.text());
  if (!is_contiguous()) fail("view: the tensor {} is strided; call contiguous() first", shape_.text());
  Tensor t = detach();
  t.shape_ = shape;
  t.strides_ = shape.contiguous_strides();
  return t;
}

Tensor Tensor::slice(int d, int64_t begin, int64_t end) const {
  if (begin < 0 || end < begin || end > shape_[d])
    fail("slice: [{}, {}) is outside dimension {} of {}", begin, end, d, shape_.text());
  Tensor t = detach();
  t.offset_ += begin * strides_[d];
  t.shape_[d] = end - begin;
  return t;
}

Tensor Tensor::select(int d, int64_t index) const {
  Tensor t = slice(d, index, index + 1);
  const int drop = d < 0 ? d + rank() : d;
  Shape shape, strides;
  for (int i = 0; i < rank(); ++i) {
    if (i != drop) shape.push_back(t.shape_[i]), strides.push_back(t.strides_[i]);
  }
  t.shape_ = shape, t.strides_ = strides;
  return t;
}

Tensor Tensor::transpose(int a, int b) const {
  Tensor t = detach();
  std::swap(t.shape_[a], t.shape_[b]);
  std::swap(t.strides_[a], t.strides_[b]);
  return t;
}

Tensor Tensor::expand(const Shape& shape) const {
  Tensor t = detach();
  t.shape_ = shape;
  t.strides_ = shape;
  for (int i = 0; i < shape.rank(); ++i) {
    const int own = i - (shape.rank() - rank());
    const int64_t d = own < 0 ? 1 : shape_[own];
    if (d != shape[i] && d != 1) fail("expand: {} does not stretch to {}", shape_.text(), shape.text());
    t.strides_[i] = d == shape[i] && own >= 0 ? strides_[own] : 0;
  }
  return t;
}

Tensor Tensor::detach() const {
  Tensor t = *this;
  t.slot_.reset();
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_, device());
  t.copy_from(*this);
  return t;
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor t = empty(shape_, dtype, device());
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Device target) const {
  if (target == device()) return *this;
  Tensor t = empty(shape_, dtype_, target);
  t.copy_from(*this);
  return t;
}

void Tensor::copy_from(const Tensor& source) const {
  if (!(source.shape() == shape_)) fail("copy: shape {} into {}", source.shape().text(), shape_.text());
  if (numel() == 0) return;
  if (!(source.device() == device())) return copy_between_devices(*this, source);
  on_device("copy", *this, [&](auto d) { TensorKernels<d>::copy(*this, source); });
}

void Tensor::fill(double value) const {
  if (numel() == 0) return;
  on_device("fill", *this, [&](auto d) { TensorKernels<d>::fill(*this, value); });
}

double Tensor::item() const {
  if (numel() != 1) fail("item: the tensor {} has not exactly one element", shape_.text());
  return to_vector<double>()[0];
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor t = to(Device{}).to(dtype_of<T>).contiguous();
  return std::vector<T>(t.data<T>(), t.data<T>() + t.numel());
}
template std::vector<double> Tensor::to_vector() const;
template std::vector<float> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;
template std::vector<uint8_t> Tensor::to_vector() const;

}  // namespace gfsa
