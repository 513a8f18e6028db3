#include "ops/clip.h"

#include "core/dispatch.h"
#include "core/expect.h"
#include "core/profile.h"
#include "ops/functions.h"
#include "ops/pointwise.h"

namespace gfsa {

Tensor clip(const Tensor& x, double low, double high) {
  const OpRange range("clip");
  Expect("clip").floating("x", x).that(low <= high, "low is {}, above high {}", low, high);
  const Tensor input = x.detach().contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_floating("clip", x.dtype(), [&](auto t) {
    using T = decltype(t);
    map<T, T>("clip", functions::Limit{low, high}, y, input);
  });
  return record("clip", y, {x}, [input, low, high](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);
    dispatch_floating("clip", dx.dtype(), [&](auto t) {
      using T = decltype(t);
      map<T, T, T>("clip", functions::LimitSlope{low, high}, dx, input, dy);
    });
    out.give(0, dx);
  });
}

}  // namespace gfsa
