// tensor.h -- a strided view of typed memory on one device. Copying a Tensor copies the handle, never the elements.
//
// Views made by the members here (view, slice, transpose, expand) carry no autograd record; models use the ops of
// ops/view.h.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/error.h"
#include "core/arena.h"
#include "core/device.h"
#include "core/dtype.h"
#include "core/shape.h"

namespace gfsa {

// What autograd keeps beside a tensor; defined in autograd/.
class GradSlot;

class Storage {
 public:
  Storage(uint64_t bytes, Device device) : device_(device), data_(arena(device).allocate(bytes)), bytes_(bytes) {}
  ~Storage() { arena(device_).release(data_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  void* data() const { return data_; }
  uint64_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Device device_;
  void* data_;
  uint64_t bytes_;
};

class Tensor {
 public:
  Tensor() = default;  // undefined: stands for "no tensor" (an absent bias, mask, ...)
  static Tensor empty(const Shape& shape, DType dtype, Device device = {});
  static Tensor zeros(const Shape& shape, DType dtype, Device device = {});
  static Tensor full(const Shape& shape, double value, DType dtype, Device device = {});
  // Elements in row-major order, on the CPU.
  template <class T>
  static Tensor from(const Shape& shape, const std::vector<T>& values) {
    if (static_cast<int64_t>(values.size()) != shape.numel()) {
      fail("Tensor::from: {} values do not fill shape {}", values.size(), shape.text());
    }
    Tensor t = empty(shape, dtype_of<T>);
    std::copy(values.begin(), values.end(), t.data<T>());
    return t;
  }

  bool defined() const { return storage_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return shape_; }
  const Shape& strides() const { return strides_; }  // in elements; 0 where expanded
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_[i]; }  // negative counts from the end
  int64_t numel() const { return shape_.numel(); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_->device(); }
  uint64_t bytes() const { return static_cast<uint64_t>(numel()) * size_of(dtype_); }
  bool is_contiguous() const;
  // Nobody else holds the storage: its memory may be reused for a result.
  bool is_unique() const { return storage_.use_count() == 1; }
  bool shares_storage_with(const Tensor& other) const { return storage_ && storage_ == other.storage_; }

  // First element. Throws if T is not the dtype. Constness is shallow, as for a pointer.
  template <class T>
  T* data() const {
    if (dtype_ != dtype_of<T>) fail("tensor is {}, not {}", name_of(dtype_), name_of(dtype_of<T>));
    return static_cast<T*>(raw());
  }
  void* raw() const { return static_cast<char*>(storage_->data()) + offset_ * static_cast<int64_t>(size_of(dtype_)); }
  // All elements in row-major order, converted; for tests and host code.
  template <class T>
  std::vector<T> to_vector() const;
  double item() const;  // the only element, as double

  // Views of the same memory.
  Tensor view(const Shape& shape) const;  // needs contiguous(); -1 is not accepted
  Tensor slice(int dim, int64_t begin, int64_t end) const;
  Tensor select(int dim, int64_t index) const;  // drops the dimension
  Tensor transpose(int a, int b) const;
  Tensor expand(const Shape& shape) const;  // broadcast: stride 0
  Tensor detach() const;                    // without the autograd record

  // Copies. contiguous() and to() give back the tensor itself if there is nothing to do.
  Tensor clone() const;
  Tensor contiguous() const;
  Tensor to(DType dtype) const;
  Tensor to(Device device) const;              // to and from the CPU: waits until the bytes have arrived
  void copy_from(const Tensor& source) const;  // same shape; converts the dtype; between devices too
  void fill(double value) const;

  const std::shared_ptr<GradSlot>& slot() const { return slot_; }
  void set_slot(std::shared_ptr<GradSlot> slot) { slot_ = std::move(slot); }

 private:
  std::shared_ptr<Storage> storage_;
  int64_t offset_ = 0;  // elements
  Shape shape_, strides_;
  DType dtype_ = DType::f32;
  std::shared_ptr<GradSlot> slot_;
};

}  // namespace gfsa
