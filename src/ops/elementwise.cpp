#include "ops/elementwise.h"

#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/functions.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/reduce_kernels.h"

namespace gfsa {
namespace {

using namespace functions;

bool is_f32_with_bf16(const Tensor& a, const Tensor& b) {
  return (a.dtype() == DType::f32 && b.dtype() == DType::bf16) || (a.dtype() == DType::bf16 && b.dtype() == DType::f32);
}

void check_pair(const char* op, const Tensor& a, const Tensor& b, bool may_mix) {
  Expect e(op);
  e.that(a.defined() && b.defined(), "an operand is missing").floating("a", a).floating("b", b).same_device("b", b, a);
  if (a.dtype() != b.dtype() && !(may_mix && is_f32_with_bf16(a, b))) {
    fail("{}: a is {}, b is {}, expected one dtype{} (see cast)", op, name_of(a.dtype()), name_of(b.dtype()),
         may_mix ? " or f32 with bf16" : "");
  }
}

// y = f(a, b) with a and b stretched to y's shape; y may be a or b if that has y's shape and dtype.
template <class F>
void apply(const char* op, const Tensor& y, const Tensor& a, const Tensor& b, const F& f) {
  dispatch_floating(op, y.dtype(), [&](auto t) {
    using T = decltype(t);
    map<T, T, T>(op, f, y, a, b);
  });
}
template <class F>
void apply(const char* op, const Tensor& y, const Tensor& a, const F& f) {
  dispatch_floating(op, y.dtype(), [&](auto t) {
    using T = decltype(t);
    map<T, T>(op, f, y, a);
  });
}

template <class F>
Tensor combine(const char* op, const Tensor& a, const Tensor& b, const F& f) {
  check_pair(op, a, b, false);
  const Tensor y = Tensor::empty(broadcast(op, a.shape(), b.shape()), a.dtype(), a.device());
  apply(op, y, a, b, f);
  return y;
}

// Hands over dy, which has the shape of the result, as the gradient of an input of that shape and dtype.
void give_summed(GradOut& out, size_t i, const Tensor& dy, const Shape& shape, DType dtype) {
  if (dy.numel() == shape.numel()) {  // the same elements, maybe under fewer dimensions
    out.give(i, (dy.shape() == shape ? dy : dy.contiguous().view(shape)).to(dtype));
  } else {
    out.give(i, sum_to(dy, shape, dtype));
  }
}

Tensor like(const Tensor& x) { return Tensor::empty(x.shape(), x.dtype(), x.device()); }

// y = f(x)
template <class F>
Tensor applied(const char* op, const Tensor& x, const F& f) {
  Expect(op).floating("x", x);
  const Tensor y = like(x);
  apply(op, y, x, f);
  return y;
}

// y = f(x), dx = slope(saved, dy) with saved x or y.
enum class Saves { input, result };
template <class F, class G>
Tensor unary(const char* op, const Tensor& x, Saves saves, const F& f, const G& slope) {
  const OpRange range(op);
  const Tensor y = applied(op, x, f);
  return record(op, y, {x}, [op, saved = saves == Saves::input ? x.detach() : y, slope](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);
    apply(op, dx, saved, dy, slope);
    out.give(0, dx);
  });
}

// y = f(x), dx = slope(dy)
template <class F, class G>
Tensor linear_unary(const char* op, const Tensor& x, const F& f, const G& slope) {
  const OpRange range(op);
  return record(op, applied(op, x, f), {x}, [op, slope](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);
    profile::set_bytes(2 * dx.bytes());
    apply(op, dx, dy, slope);
    out.give(0, dx);
  });
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  const OpRange range("add");
  check_pair("add", a, b, true);
  const Shape shape = broadcast("add", a.shape(), b.shape());
  const Tensor y = Tensor::empty(shape, a.dtype() == DType::bf16 ? b.dtype() : a.dtype(), a.device());
  if (a.dtype() == b.dtype()) {
    apply("add", y, a, b, Add{});
  } else {
    const Tensor& wide = a.dtype() == DType::f32 ? a : b;
    const Tensor& narrow = a.dtype() == DType::f32 ? b : a;
    map<float, float, bfloat16>("add", Add{}, y, wide, narrow);
  }
  return record_sum("add", y, a, b);
}

Tensor record_sum(const char* op, const Tensor& sum, const Tensor& a, const Tensor& b) {
  return record(op, sum, {a, b},
                [sa = a.shape(), sb = b.shape(), ta = a.dtype(), tb = b.dtype()](Tensor dy, GradOut& out) {
                  if (sa == sb && ta == tb) profile::set_bytes(0);
                  if (out.wants(0)) give_summed(out, 0, dy, sa, ta);
                  if (out.wants(1)) give_summed(out, 1, dy, sb, tb);
                });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  const OpRange range("sub");
  const Tensor y = combine("sub", a, b, Subtract{});
  return record("sub", y, {a, b}, [sa = a.shape(), sb = b.shape()](Tensor dy, GradOut& out) {
    if (out.wants(0)) give_summed(out, 0, dy, sa, dy.dtype());
    if (!out.wants(1)) return;
    Tensor db = sum_to(dy, sb, dy.dtype());
    apply("sub", db, db, Negate{});
    out.give(1, db);
  });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  const OpRange range("mul");
  const Tensor y = combine("mul", a, b, Multiply{});
  const Tensor a_saved = requires_grad(b) ? a.detach() : Tensor(), b_saved = requires_grad(a) ? b.detach() : Tensor();
  return record("mul", y, {a, b}, [a_saved, b_saved, sa = a.shape(), sb = b.shape()](Tensor dy, GradOut& out) {
    if (out.wants(0)) {
      const Tensor da = out.wants(1) ? like(dy) : reuse_or_empty(dy);
      apply("mul", da, dy, b_saved, Multiply{});
      give_summed(out, 0, da, sa, da.dtype());
    }
    if (out.wants(1)) {
      const Tensor db = reuse_or_empty(dy);
      apply("mul", db, dy, a_saved, Multiply{});
      give_summed(out, 1, db, sb, db.dtype());
    }
  });
}

Tensor div(const Tensor& a, const Tensor& b) {
  const OpRange range("div");
  const Tensor y = combine("div", a, b, Divide{});
  const Tensor a_saved = requires_grad(b) ? a.detach() : Tensor(), b_saved = b.detach();
  return record("div", y, {a, b}, [a_saved, b_saved, sa = a.shape(), sb = b.shape()](Tensor dy, GradOut& out) {
    if (out.wants(0)) {
      const Tensor da = out.wants(1) ? like(dy) : reuse_or_empty(dy);
      apply("div", da, dy, b_saved, Divide{});
      give_summed(out, 0, da, sa, da.dtype());
    }
    if (out.wants(1)) {
      const Tensor db = reuse_or_empty(dy);
      dispatch_floating("div", db.dtype(), [&](auto t) {
        using T = decltype(t);
        map<T, T, T, T>("div", DivideSlope{}, db, dy, a_saved, b_saved);
      });
      give_summed(out, 1, db, sb, db.dtype());
    }
  });
}

Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  const OpRange range("where");
  check_pair("where", a, b, false);
  Expect("where")
      .that(mask.defined(), "mask is missing")
      .dtype("mask", mask, {DType::boolean})
      .same_device("mask", mask, a);
  const Shape shape = broadcast("where", mask.shape(), broadcast("where", a.shape(), b.shape()));
  const Tensor y = Tensor::empty(shape, a.dtype(), a.device()), stretched = mask.detach().expand(shape);
  dispatch_floating("where", y.dtype(), [&](auto t) {
    using T = decltype(t);
    map<T, bool, T, T>("where", Select{}, y, stretched, a, b);
  });
  return record("where", y, {a, b}, [stretched, sa = a.shape(), sb = b.shape()](Tensor dy, GradOut& out) {
    for (size_t i : {0, 1}) {
      if (!out.wants(i)) continue;
      const Tensor d = like(dy);
      dispatch_floating("where", d.dtype(), [&](auto t) {
        using T = decltype(t);
        map<T, bool, T>("where", KeepWhere{i == 0}, d, stretched, dy);
      });
      give_summed(out, i, d, i == 0 ? sa : sb, d.dtype());
    }
  });
}

namespace {

// f(X{}, Y{}) for the dtypes of x and y that residual_scale takes.
template <class F>
void dispatch_residual(const Tensor& x, const Tensor& y, F&& f) {
  dispatch_floating("residual_scale", x.dtype(), [&](auto t) {
    if (y.dtype() == x.dtype()) {
      f(t, t);
    } else {
      f(t, bfloat16{});
    }
  });
}

}  // namespace

Tensor residual_scale(const Tensor& x, const Tensor& y, const Tensor& gamma) {
  Expect e("residual_scale");
  e.shape("x", x, "... C").shape("y", y, "... C").optional("gamma", gamma, "C").floating("x", x);
  e.dtype("y", y, {x.dtype(), DType::bf16}).same_device("y", y, x).same_device("gamma", gamma, x);
  if (!gamma.defined() && (y.dtype() == x.dtype() || x.dtype() == DType::f32)) return add(x, y);
  const OpRange range("residual_scale");
  const Tensor g =
      gamma.defined() ? gamma.detach().contiguous() : Tensor::full({e["C"]}, 1, accumulator_of(x.dtype()), x.device());
  e.dtype("gamma", g, {accumulator_of(x.dtype())});
  const Tensor z = like(x), branch = y.detach();
  dispatch_residual(x, y, [&](auto tx, auto ty) {
    using X = decltype(tx);
    map<X, X, decltype(ty), acc_t<X>>("residual_scale", AddProduct{}, z, x, branch, g);
  });
  const Tensor y_saved = requires_grad(gamma) ? branch.contiguous() : Tensor(),
               g_saved = requires_grad(y) ? g : Tensor();
  return record("residual_scale", z, {x, y, gamma}, [y_saved, g_saved, ty = y.dtype()](Tensor dz, GradOut& out) {
    if (!dz.is_contiguous()) dz = dz.contiguous();
    const int64_t columns = dz.dim(-1), rows = columns == 0 ? 0 : dz.numel() / columns;
    if (out.wants(2)) {
      const Tensor dgamma = Tensor::zeros({columns}, accumulator_of(dz.dtype()), dz.device());
      on_device("residual_scale", dz,
                [&](auto d) { ReduceKernels<d>::sum("residual_scale", dz, y_saved, 1, rows, columns, 1.0, dgamma); });
      out.give(2, dgamma);
    }
    if (out.wants(1)) {
      const Tensor dy =
          ty == dz.dtype() && !out.wants(0) ? reuse_or_empty(dz) : Tensor::empty(dz.shape(), ty, dz.device());
      dispatch_residual(dz, dy, [&](auto tx, auto t) {
        using X = decltype(tx);
        map<decltype(t), X, acc_t<X>>("residual_scale", Multiply{}, dy, dz, g_saved);
      });
      out.give(1, dy);
    }
    if (out.wants(0)) out.give(0, dz);
  });
}

Tensor scale(const Tensor& x, double factor) { return linear_unary("scale", x, Scale{factor}, Scale{factor}); }
Tensor add_scalar(const Tensor& x, double value) {
  const OpRange range("add_scalar");
  return record("add_scalar", applied("add_scalar", x, AddScalar{value}), {x}, [](Tensor dy, GradOut& out) {
    profile::set_bytes(0);
    out.give(0, dy);
  });
}
Tensor neg(const Tensor& x) { return linear_unary("neg", x, Negate{}, Negate{}); }
Tensor exp(const Tensor& x) { return unary("exp", x, Saves::result, Exp{}, Multiply{}); }
Tensor log(const Tensor& x) { return unary("log", x, Saves::input, Log{}, LogSlope{}); }
Tensor sqrt(const Tensor& x) { return unary("sqrt", x, Saves::result, Sqrt{}, SqrtSlope{}); }
Tensor square(const Tensor& x) { return unary("square", x, Saves::input, Square{}, SquareSlope{}); }

}  // namespace gfsa
