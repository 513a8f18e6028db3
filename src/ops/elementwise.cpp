#include "ops/elementwise.h"

#include "core/cpu/math.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"
#include "ops/reduce_kernels.h"

namespace gfsa {
namespace {

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
  if (y.numel() == 0) return;
  const StridedLoop loop({y, a.expand(y.shape()), b.expand(y.shape())});
  dispatch_floating(op, y, [&](auto t) {
    using T = decltype(t);
    pointwise_strided(loop, y.data<T>(), f, a.data<T>(), b.data<T>());
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
  out.give(i, dy.shape() == shape ? dy.to(dtype) : sum_to(dy, shape, dtype));
}

Tensor like(const Tensor& x) { return Tensor::empty(x.shape(), x.dtype(), x.device()); }

// y = f(x); the backward gets (saved, dy), where saved is x or y.
enum class Saves { nothing, input, result };
template <class F, class G>
Tensor unary(const char* op, const Tensor& x, Saves saves, const F& f, const G& slope_times) {
  Expect(op).floating("x", x);
  const Tensor input = x.detach().contiguous();
  const Tensor y = like(input);
  dispatch_floating(op, x, [&](auto t) {
    using T = decltype(t);
    pointwise(x.numel(), y.data<T>(), f, input.data<T>());
  });
  const Tensor saved = saves == Saves::input ? input : saves == Saves::result ? y : Tensor();
  return record(op, y, {x}, [op, saved, slope_times](Tensor dy, GradOut& out) {
    const Tensor dx = reuse_or_empty(dy);
    dispatch_floating(op, dx, [&](auto t) {
      using T = decltype(t);
      const T* from = saved.defined() ? saved.data<T>() : dy.data<T>();
      pointwise(dx.numel(), dx.data<T>(), slope_times, from, dy.data<T>());
    });
    out.give(0, dx);
  });
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  check_pair("add", a, b, true);
  const Shape shape = broadcast("add", a.shape(), b.shape());
  const Tensor y = Tensor::empty(shape, a.dtype() == DType::bf16 ? b.dtype() : a.dtype(), a.device());
  const auto plus = [](auto u, auto v) { return u + v; };
  if (a.dtype() == b.dtype()) {
    apply("add", y, a, b, plus);
  } else if (y.numel() > 0) {
    require_cpu("add", y);
    const Tensor& wide = a.dtype() == DType::f32 ? a : b;
    const Tensor& narrow = a.dtype() == DType::f32 ? b : a;
    pointwise_strided(StridedLoop({y, wide.expand(shape), narrow.expand(shape)}), y.data<float>(), plus,
                      wide.data<float>(), narrow.data<bfloat16>());
  }
  return record("add", y, {a, b},
                [sa = a.shape(), sb = b.shape(), ta = a.dtype(), tb = b.dtype()](Tensor dy, GradOut& out) {
                  if (out.wants(0)) give_summed(out, 0, dy, sa, ta);
                  if (out.wants(1)) give_summed(out, 1, dy, sb, tb);
                });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  const Tensor y = combine("sub", a, b, [](auto u, auto v) { return u - v; });
  return record("sub", y, {a, b}, [sa = a.shape(), sb = b.shape()](Tensor dy, GradOut& out) {
    if (out.wants(0)) give_summed(out, 0, dy, sa, dy.dtype());
    if (!out.wants(1)) return;
    Tensor db = sum_to(dy, sb, dy.dtype());
    apply("sub", db, db, db, [](auto u, auto) { return -u; });
    out.give(1, db);
  });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  const auto times = [](auto u, auto v) { return u * v; };
  const Tensor y = combine("mul", a, b, times);
  const Tensor a_saved = requires_grad(b) ? a.detach() : Tensor(), b_saved = requires_grad(a) ? b.detach() : Tensor();
  return record("mul", y, {a, b}, [a_saved, b_saved, sa = a.shape(), sb = b.shape(), times](Tensor dy, GradOut& out) {
    if (out.wants(0)) {
      const Tensor da = out.wants(1) ? like(dy) : reuse_or_empty(dy);
      apply("mul", da, dy, b_saved, times);
      give_summed(out, 0, da, sa, da.dtype());
    }
    if (out.wants(1)) {
      const Tensor db = reuse_or_empty(dy);
      apply("mul", db, dy, a_saved, times);
      give_summed(out, 1, db, sb, db.dtype());
    }
  });
}

Tensor div(const Tensor& a, const Tensor& b) {
  const auto over = [](auto u, auto v) { return u / v; };
  const Tensor y = combine("div", a, b, over);
  const Tensor a_saved = requires_grad(b) ? a.detach() : Tensor(), b_saved = b.detach();
  return record("div", y, {a, b}, [a_saved, b_saved, sa = a.shape(), sb = b.shape(), over](Tensor dy, GradOut& out) {
    if (out.wants(0)) {
      const Tensor da = out.wants(1) ? like(dy) : reuse_or_empty(dy);
      apply("div", da, dy, b_saved, over);
      give_summed(out, 0, da, sa, da.dtype());
    }
    if (out.wants(1)) {
      const Tensor db = reuse_or_empty(dy);
      if (db.numel() > 0) {
        const StridedLoop loop({db, dy, a_saved.expand(db.shape()), b_saved.expand(db.shape())});
        dispatch_floating("div", db, [&](auto t) {
          using T = decltype(t);
          pointwise_strided(
              loop, db.data<T>(), [](auto d, auto u, auto v) { return -d * (u / v) / v; }, dy.data<T>(),
              a_saved.data<T>(), b_saved.data<T>());
        });
      }
      give_summed(out, 1, db, sb, db.dtype());
    }
  });
}

Tensor where(const Tensor& mask, const Tensor& a, const Tensor& b) {
  check_pair("where", a, b, false);
  Expect("where")
      .that(mask.defined(), "mask is missing")
      .dtype("mask", mask, {DType::boolean})
      .same_device("mask", mask, a);
  const Shape shape = broadcast("where", mask.shape(), broadcast("where", a.shape(), b.shape()));
  const Tensor y = Tensor::empty(shape, a.dtype(), a.device()), stretched = mask.detach().expand(shape);
  if (y.numel() > 0) {
    dispatch_floating("where", y, [&](auto t) {
      using T = decltype(t);
      pointwise_strided(
          StridedLoop({y, stretched, a.expand(shape), b.expand(shape)}), y.data<T>(),
          [](bool m, auto u, auto v) { return m ? u : v; }, mask.data<bool>(), a.data<T>(), b.data<T>());
    });
  }
  return record("where", y, {a, b}, [stretched, sa = a.shape(), sb = b.shape()](Tensor dy, GradOut& out) {
    for (size_t i : {0, 1}) {
      if (!out.wants(i)) continue;
      const Tensor d = like(dy);
      if (d.numel() > 0) {
        dispatch_floating("where", d, [&](auto t) {
          using T = decltype(t);
          using A = acc_t<T>;
          pointwise_strided(
              StridedLoop({d, stretched, dy}), d.data<T>(),
              [keep = i == 0](bool m, A g) { return m == keep ? g : A(0); }, stretched.data<bool>(), dy.data<T>());
        });
      }
      give_summed(out, i, d, i == 0 ? sa : sb, d.dtype());
    }
  });
}

namespace {

// f(X{}, Y{}) for the dtypes of x and y that residual_scale takes.
template <class F>
void dispatch_residual(const Tensor& x, const Tensor& y, F&& f) {
  dispatch_floating("residual_scale", x, [&](auto t) {
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
  const Tensor g =
      gamma.defined() ? gamma.detach().contiguous() : Tensor::full({e["C"]}, 1, accumulator_of(x.dtype()), x.device());
  e.dtype("gamma", g, {accumulator_of(x.dtype())});
  const Tensor z = like(x), branch = y.detach();
  if (z.numel() > 0) {
    dispatch_residual(x, y, [&](auto tx, auto ty) {
      using X = decltype(tx);
      pointwise_strided(
          StridedLoop({z, x, branch, g.expand(z.shape())}), z.data<X>(),
          [](auto u, auto v, auto w) { return u + w * v; }, x.data<X>(), branch.data<decltype(ty)>(),
          g.data<acc_t<X>>());
    });
  }
  const Tensor y_saved = requires_grad(gamma) ? branch.contiguous() : Tensor(),
               g_saved = requires_grad(y) ? g : Tensor();
  return record("residual_scale", z, {x, y, gamma}, [y_saved, g_saved, ty = y.dtype()](Tensor dz, GradOut& out) {
    if (!dz.is_contiguous()) dz = dz.contiguous();
    const int64_t columns = dz.dim(-1), rows = columns == 0 ? 0 : dz.numel() / columns;
    if (out.wants(2)) {
      const Tensor dgamma = Tensor::zeros({columns}, accumulator_of(dz.dtype()), dz.device());
      dispatch_residual(dz, y_saved, [&](auto tx, auto t) {
        using X = decltype(tx);
        using A = acc_t<X>;
        const X* d = dz.data<X>();
        const auto* v = y_saved.data<decltype(t)>();
        sum_middle<A>(
            1, rows, columns, 1.0, [d, v](int64_t i) { return widen(d[i]) * widen(v[i]); }, dgamma.data<A>());
      });
      out.give(2, dgamma);
    }
    if (out.wants(1)) {
      const Tensor dy =
          ty == dz.dtype() && !out.wants(0) ? reuse_or_empty(dz) : Tensor::empty(dz.shape(), ty, dz.device());
      if (dy.numel() > 0) {
        dispatch_residual(dz, dy, [&](auto tx, auto t) {
          using X = decltype(tx);
          pointwise_strided(
              StridedLoop({dy, dz, g_saved.expand(dz.shape())}), dy.data<decltype(t)>(),
              [](auto d, auto w) { return d * w; }, dz.data<X>(), g_saved.data<acc_t<X>>());
        });
      }
      out.give(1, dy);
    }
    if (out.wants(0)) out.give(0, dz);
  });
}

Tensor scale(const Tensor& x, double factor) {
  return unary(
      "scale", x, Saves::nothing, [factor](auto v) { return v * static_cast<decltype(v)>(factor); },
      [factor](auto, auto d) { return d * static_cast<decltype(d)>(factor); });
}

Tensor add_scalar(const Tensor& x, double value) {
  return unary(
      "add_scalar", x, Saves::nothing, [value](auto v) { return v + static_cast<decltype(v)>(value); },
      [](auto, auto d) { return d; });
}

Tensor neg(const Tensor& x) {
  return unary(
      "neg", x, Saves::nothing, [](auto v) { return -v; }, [](auto, auto d) { return -d; });
}

Tensor exp(const Tensor& x) {
  return unary(
      "exp", x, Saves::result, [](auto v) { return math::exp(v); }, [](auto y, auto d) { return y * d; });
}

Tensor log(const Tensor& x) {
  return unary(
      "log", x, Saves::input, [](auto v) { return std::log(v); }, [](auto v, auto d) { return d / v; });
}

Tensor sqrt(const Tensor& x) {
  return unary(
      "sqrt", x, Saves::result, [](auto v) { return std::sqrt(v); }, [](auto y, auto d) { return d / (y + y); });
}

Tensor square(const Tensor& x) {
  return unary(
      "square", x, Saves::input, [](auto v) { return v * v; }, [](auto v, auto d) { return (v + v) * d; });
}

}  // namespace gfsa
