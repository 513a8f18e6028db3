#include "meta/examples/squared_relu.h"

#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "ops/pointwise.h"

namespace gfsa {
namespace {

template <class A>
inline A positive(A x) {
  return x < A(0) ? A(0) : x;  // NaN is not smaller than 0: it stays
}

}  // namespace

Tensor squared_relu(const Tensor& x) {
  Expect("squared_relu").floating("x", x);
  const Tensor input = x.detach().contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_floating("squared_relu", x, [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    pointwise(
        x.numel(), y.data<T>(), [](A v) { return positive(v) * positive(v); }, input.data<T>());
  });
  return record("squared_relu", y, {x}, [input](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);  // dy's own memory, unless somebody else holds it
    dispatch_floating("squared_relu", dx, [&](auto t) {
      using T = decltype(t);
      using A = acc_t<T>;
      pointwise(
          dx.numel(), dx.data<T>(), [](A v, A d) { return A(2) * positive(v) * d; }, input.data<T>(), dy.data<T>());
    });
    out.give(0, dx);
  });
}

}  // namespace gfsa
