#include "ops/clip.h"

#include "core/dispatch.h"
#include "core/expect.h"
#include "ops/pointwise.h"

namespace gfsa {
namespace {

// One choice after the other: GCC 12 makes branches of nested ones in front of a conversion to bf16.
template <class A>
inline A limit(A v, A lo, A hi) {
  const A raised = lo > v ? lo : v;
  return hi < raised ? hi : raised;
}

}  // namespace

Tensor clip(const Tensor& x, double low, double high) {
  Expect("clip").floating("x", x).that(low <= high, "low is {}, above high {}", low, high);
  const Tensor input = x.detach().contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_floating("clip", x, [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    const A lo = static_cast<A>(low), hi = static_cast<A>(high);
    pointwise(
        x.numel(), y.data<T>(), [lo, hi](A v) { return limit(v, lo, hi); }, input.data<T>());
  });
  return record("clip", y, {x}, [input, low, high](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);
    dispatch_floating("clip", dx, [&](auto t) {
      using T = decltype(t);
      using A = acc_t<T>;
      const A lo = static_cast<A>(low), hi = static_cast<A>(high);
      pointwise(
          dx.numel(), dx.data<T>(), [lo, hi](A v, A d) { return v < lo || v > hi ? A(0) : d; }, input.data<T>(),
          dy.data<T>());
    });
    out.give(0, dx);
  });
}

}  // namespace gfsa
