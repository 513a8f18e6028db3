#include "ops/activation.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/strings.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/profile.h"
#include "ops/pointwise.h"

namespace gfsa {
namespace {

constexpr std::pair<Activation, std::string_view> kNames[] = {
    {Activation::none, "none"},      {Activation::gelu, "gelu"}, {Activation::gelu_tanh, "gelu_tanh"},
    {Activation::relu, "relu"},      {Activation::silu, "silu"}, {Activation::tanh, "tanh"},
    {Activation::sigmoid, "sigmoid"}};

void check_alike(const char* what, const Tensor& t, const Tensor& x) {
  if (!t.is_contiguous() || t.numel() != x.numel() || t.dtype() != x.dtype()) {
    fail("{}: needs contiguous tensors of one size and dtype, got {} {} beside {} {}", what, name_of(t.dtype()),
         t.shape().text(), name_of(x.dtype()), x.shape().text());
  }
}

}  // namespace

Activation parse_activation(std::string_view text) {
  std::vector<std::string> names;
  for (const auto& [activation, name] : kNames) {
    if (name == text) return activation;
    names.emplace_back(name);
  }
  bad_input("activation: '{}' is unknown, expected {}{}", text, one_of(names), did_you_mean(text, names));
}

std::string_view name_of(Activation activation) {
  for (const auto& [known, name] : kNames) {
    if (known == activation) return name;
  }
  return "unknown";
}

Tensor activation(Activation kind, const Tensor& x) {
  if (kind == Activation::none) return x;
  const OpRange range(name_of(kind).data());
  Expect(name_of(kind).data()).floating("x", x);
  const Tensor input = x.detach().contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  activation_forward(kind, input, y);
  // y's sign says all that relu's slope needs, and the op behind keeps y alive anyway.
  const Tensor saved = kind == Activation::relu ? y : input;
  return record(name_of(kind).data(), y, {x}, [kind, saved](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);
    activation_backward(kind, saved, dy, dx);
    out.give(0, dx);
  });
}

void activation_forward(Activation kind, const Tensor& x, const Tensor& y) {
  check_alike("activation_forward", x, x);
  check_alike("activation_forward", y, x);
  dispatch_activation(kind, [&](auto a) {
    dispatch_floating("activation_forward", x.dtype(), [&](auto t) {
      using T = decltype(t);
      map<T, T>("activation_forward", Activate<a>{}, y, x);
    });
  });
}

template <class T>
void activation_block(Activation kind, int64_t rows, int64_t columns, const T* x, int64_t x_step, T* y, int64_t y_step,
                      const T* next) {
  dispatch_activation(kind, [&](auto a) {
    simd::run([=] {
      constexpr int64_t kLine = 64 / sizeof(T);
      const int64_t some = next != nullptr ? 4 * kLine : columns;
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t begin = 0; begin < columns; begin += some) {
          const int64_t end = std::min(begin + some, columns);
          if (next != nullptr) {
            for (int64_t i = begin; i < end; i += kLine) __builtin_prefetch(next + r * x_step + i);
          }
#pragma omp simd
          for (int64_t i = begin; i < end; ++i) store(y + r * y_step + i, Activate<a>{}(load(x + r * x_step + i)));
        }
      }
    });
  });
}
template void activation_block(Activation, int64_t, int64_t, const double*, int64_t, double*, int64_t, const double*);
template void activation_block(Activation, int64_t, int64_t, const float*, int64_t, float*, int64_t, const float*);
template void activation_block(Activation, int64_t, int64_t, const bfloat16*, int64_t, bfloat16*, int64_t,
                               const bfloat16*);

void activation_backward(Activation kind, const Tensor& x, const Tensor& dy, const Tensor& dx) {
  check_alike("activation_backward", x, x);
  check_alike("activation_backward", dy, x);
  check_alike("activation_backward", dx, x);
  dispatch_activation(kind, [&](auto a) {
    dispatch_floating("activation_backward", x.dtype(), [&](auto t) {
      using T = decltype(t);
      map<T, T, T>("activation_backward", ActivationBackward<a>{}, dx, x, dy);
    });
  });
}

Tensor gelu(const Tensor& x) { return activation(Activation::gelu, x); }
Tensor gelu_tanh(const Tensor& x) { return activation(Activation::gelu_tanh, x); }
Tensor relu(const Tensor& x) { return activation(Activation::relu, x); }
Tensor silu(const Tensor& x) { return activation(Activation::silu, x); }
Tensor tanh(const Tensor& x) { return activation(Activation::tanh, x); }
Tensor sigmoid(const Tensor& x) { return activation(Activation::sigmoid, x); }

}  // namespace gfsa
