// activation.h -- elementwise nonlinearities: as ops, and as kernels that linear fuses behind its product.
//
//   gelu(x)      = x Phi(x) with the error function (Hendrycks and Gimpel 2016; torch's and timm's default)
//   gelu_tanh(x) = x / 2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))  (GPT-2's gelu_new), computed as x sigmoid(2u)
//   relu, silu(x) = x sigmoid(x), tanh, sigmoid
//
// Any shape; f64, f32, bf16 (computed in f32). Saved for backward: x (relu: its result, which the next op holds
// anyway). Traffic: x and y once; backward x, dy, dx once. NaN in, NaN out; slope of relu at 0 is 0.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include "autograd/autograd.h"
#include "core/cpu/math.h"
#include "core/dtype.h"

namespace gfsa {

enum class Activation : uint8_t { none, gelu, gelu_tanh, relu, silu, tanh, sigmoid };

// "none", "gelu", "gelu_tanh", ...; bad input naming the nearest choice otherwise.
Activation parse_activation(std::string_view text);
std::string_view name_of(Activation activation);

Tensor activation(Activation activation, const Tensor& x);  // none: x itself
Tensor gelu(const Tensor& x);
Tensor gelu_tanh(const Tensor& x);
Tensor relu(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor tanh(const Tensor& x);
Tensor sigmoid(const Tensor& x);

// Kernels on contiguous memory of one shape and dtype, no record. y may be x; dx may be dy. For relu, the forward's
// result may stand for x in the backward.
void activation_forward(Activation activation, const Tensor& x, const Tensor& y);
void activation_backward(Activation activation, const Tensor& x, const Tensor& dy, const Tensor& dx);

// y = activation(x) of a piece of a matrix on the CPU, by the calling thread; rows are x_step and y_step apart. Asks
// meanwhile for the memory of a piece that lies like x and is needed soon.
template <class T>
void activation_block(Activation activation, int64_t rows, int64_t columns, const T* x, int64_t x_step, T* y,
                      int64_t y_step, const T* next = nullptr);

// f(std::integral_constant<Activation, A>{}): the switch, to be taken outside loops.
template <class F>
void dispatch_activation(Activation activation, F&& f) {
  using enum Activation;
  switch (activation) {
    case none:
      f(std::integral_constant<Activation, none>{});
      return;
    case gelu:
      f(std::integral_constant<Activation, gelu>{});
      return;
    case gelu_tanh:
      f(std::integral_constant<Activation, gelu_tanh>{});
      return;
    case relu:
      f(std::integral_constant<Activation, relu>{});
      return;
    case silu:
      f(std::integral_constant<Activation, silu>{});
      return;
    case tanh:
      f(std::integral_constant<Activation, tanh>{});
      return;
    case sigmoid:
      f(std::integral_constant<Activation, sigmoid>{});
      return;
  }
}

namespace activations {

// Phi(x), exactly 0 and 1 in the tails, where erf's approximation is an ulp off and x would magnify it.
template <class T>
constexpr T normal_cdf(T x) {
  const T phi = T(0.5) * (T(1) + math::erf(x * T(0.70710678118654752440)));
  if constexpr (std::is_same_v<T, double>) return phi;
  return x < T(-5.65) ? T(0) : (x > T(5.65) ? T(1) : phi);
}
// The slope's second factor is 0 beyond +-10; the clamp keeps 0 * inf out.
template <class T>
constexpr T clamp10(T x) {
  return x > T(10) ? T(10) : (x < T(-10) ? T(-10) : x);
}
// Phi(x) + x phi(x). In f32 the tail Phi(-|x|) is phi(x) times a polynomial in 1 / (1 + p |x|) (Hastings 1955; in
// Abramowitz and Stegun, 26.2.17: error below 7.5e-8), so that one exponential serves both terms.
template <class T>
constexpr T gelu_slope(T x) {
  const T c = clamp10(x);
  if constexpr (std::is_same_v<T, double>) {
    return normal_cdf(x) + c * T(0.39894228040143267794) * math::exp(T(-0.5) * c * c);
  } else {
    // As one instruction: from a comparison the compiler makes two copies of all that follows.
    const T t = T(1) / (T(1) + T(0.2316419) * __builtin_fabsf(c));
    const T density = T(0.39894228040143267794) * math::exp_nonpositive(T(-0.5) * c * c);
    T p = T(1.330274429);
    p = p * t - T(1.821255978);
    p = p * t + T(1.781477937);
    p = p * t - T(0.356563782);
    p = p * t + T(0.319381530);
    const T tail = density * (p * t);
    return (c > T(0) ? T(1) - tail : tail) + c * density;
  }
}
template <class T>
constexpr T gelu_tanh_gate(T x) {
  return math::sigmoid(T(1.5957691216057308) * (x + T(0.044715) * x * x * x));  // 2 sqrt(2/pi)
}

}  // namespace activations

// T is float or double.
template <Activation A, class T>
constexpr T activate(T x) {
  using namespace activations;
  if constexpr (A == Activation::gelu) return x * normal_cdf(x);
  if constexpr (A == Activation::gelu_tanh) return x * gelu_tanh_gate(x);
  if constexpr (A == Activation::relu) return x < T(0) ? T(0) : x;
  if constexpr (A == Activation::silu) return x * math::sigmoid(x);
  if constexpr (A == Activation::tanh) return math::tanh(x);
  if constexpr (A == Activation::sigmoid) return math::sigmoid(x);
  if constexpr (A == Activation::none) return x;
}

template <Activation A, class T>
constexpr T activation_slope(T x) {
  using namespace activations;
  if constexpr (A == Activation::gelu) return gelu_slope(x);
  if constexpr (A == Activation::gelu_tanh) {
    const T c = clamp10(x), s = gelu_tanh_gate(x);
    return s + c * s * (T(1) - s) * T(1.5957691216057308) * (T(1) + T(3 * 0.044715) * c * c);
  }
  if constexpr (A == Activation::relu) return x <= T(0) ? T(0) : T(1);
  if constexpr (A == Activation::silu) {
    const T s = math::sigmoid(x);
    return s + x * s * (T(1) - s);
  }
  if constexpr (A == Activation::tanh) {
    const T t = math::tanh(x);
    return T(1) - t * t;
  }
  if constexpr (A == Activation::sigmoid) {
    const T s = math::sigmoid(x);
    return s * (T(1) - s);
  }
  if constexpr (A == Activation::none) return T(1);
}

template <Activation A>
struct Activate {
  template <class T>
  constexpr T operator()(T x) const {
    return activate<A>(x);
  }
};
template <Activation A>
struct ActivationBackward {
  template <class T>
  constexpr T operator()(T x, T dy) const {
    return dy * activation_slope<A>(x);
  }
};

// With the activation known at run time only; for references and single values.
template <class T>
T activate(Activation activation, T x) {
  T y{};
  dispatch_activation(activation, [&](auto a) { y = activate<decltype(a)::value>(x); });
  return y;
}

}  // namespace gfsa
