#include "meta/examples/squared_relu.h"

#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/profile.h"
#include "ops/pointwise.h"

namespace gfsa {

Tensor squared_relu(const Tensor& x) {
  const OpRange range("squared_relu");
  Expect("squared_relu").floating("x", x);
  const Tensor input = x.detach().contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype(), x.device());
  dispatch_floating("squared_relu", x.dtype(), [&](auto t) {
    using T = decltype(t);
    map<T, T>("squared_relu", SquaredRelu{}, y, input);
  });
  return record("squared_relu", y, {x}, [input](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);  // dy's own memory, unless somebody else holds it
    dispatch_floating("squared_relu", dx.dtype(), [&](auto t) {
      using T = decltype(t);
      map<T, T, T>("squared_relu", SquaredReluBackward{}, dx, input, dy);
    });
    out.give(0, dx);
  });
}

}  // namespace gfsa
