// dispatch.h -- the one place that turns a run-time dtype into a template argument.
//
//   dispatch_floating("gelu", x, [&](auto t) { using T = decltype(t); ... });
//
// Devices: core/on_device.h.
#pragma once

#include <type_traits>

#include "base/error.h"
#include "core/tensor.h"

namespace gfsa {

inline bool is_on_cpu(const Tensor& x) { return x.device().type == DeviceType::cpu; }

inline void require_cpu(const char* op, const Tensor& x) {
  if (!is_on_cpu(x)) fail("{}: has no kernel for device {}", op, x.device().text());
}

// f(T{}) with T = float or bfloat16: what kernels for GPUs are made for.
template <class F>
void dispatch_gpu(const char* op, DType dtype, F&& f) {
  if (dtype == DType::f32) return f(float{});
  if (dtype == DType::bf16) return f(bfloat16{});
  fail("{}: on a GPU takes f32 or bf16, not {}; use device: cpu", op, name_of(dtype));
}

// f(T{}) with T = double, float or bfloat16.
template <class F>
void dispatch_floating(const char* op, DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      f(double{});
      return;
    case DType::f32:
      f(float{});
      return;
    case DType::bf16:
      f(bfloat16{});
      return;
    default:
      fail("{}: takes f64, f32 or bf16, not {}", op, name_of(dtype));
  }
}
template <class F>
void dispatch_floating(const char* op, const Tensor& x, F&& f) {
  require_cpu(op, x);
  dispatch_floating(op, x.dtype(), f);
}

// f(From{}, To{}) for an op that reads one floating type and writes another of the same accumulator type (f32 with
// bf16).
template <class F>
void dispatch_floating_pair(const char* op, DType from, DType to, F&& f) {
  if (from == DType::f64 && to == DType::f64) return f(double{}, double{});
  if (from == DType::f32 && to == DType::f32) return f(float{}, float{});
  if (from == DType::f32 && to == DType::bf16) return f(float{}, bfloat16{});
  if (from == DType::bf16 && to == DType::f32) return f(bfloat16{}, float{});
  if (from == DType::bf16 && to == DType::bf16) return f(bfloat16{}, bfloat16{});
  fail("{}: cannot go from {} to {}; f32 and bf16 go together, f64 stays among itself", op, name_of(from), name_of(to));
}

// f(T{}) with any element type.
template <class F>
void dispatch_any(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      f(double{});
      return;
    case DType::f32:
      f(float{});
      return;
    case DType::bf16:
      f(bfloat16{});
      return;
    case DType::i64:
      f(int64_t{});
      return;
    case DType::i32:
      f(int32_t{});
      return;
    case DType::u8:
      f(uint8_t{});
      return;
    case DType::boolean:
      f(bool{});
      return;
  }
}

}  // namespace gfsa
