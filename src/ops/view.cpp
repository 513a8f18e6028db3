#include "ops/view.h"

#include <cstring>

#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/functions.h"
#include "ops/gather_kernels.h"
#include "ops/pointwise.h"
#include "ops/reduce.h"

namespace gfsa {
namespace {

int existing_dim(const char* op, const Tensor& x, int dim) {
  if (!x.defined()) fail("{}: x is missing", op);
  const int d = dim < 0 ? dim + x.rank() : dim;
  if (d < 0 || d >= x.rank()) fail("{}: dimension {} does not exist in x {}", op, dim, x.shape().text());
  return d;
}

void add_into(const Tensor& to, const Tensor& gradient) {
  dispatch_floating("slice", to.dtype(), [&](auto t) {
    using T = decltype(t);
    map<T, T, T>("slice", functions::Add{}, to, to, gradient);
  });
}

Tensor record_slice(const char* op, const Tensor& y, const Tensor& x, int d, int64_t begin, int64_t end) {
  const OpRange range(op);
  return record(op, y, {x}, [d, begin, end](Tensor dy, GradOut& out) {
    const GradOut::Target target = out.target(0);
    const Tensor piece = target.tensor.slice(d, begin, end);
    profile::set_bytes(dy.bytes() + (target.accumulate ? 2 * dy.bytes() : target.tensor.bytes()));
    const Tensor gradient = dy.rank() == piece.rank() ? dy : dy.contiguous().view(piece.shape());
    if (target.accumulate) {
      add_into(piece, gradient);
    } else {
      if (piece.numel() < target.tensor.numel())
        backend(piece.device()).zero(target.tensor.raw(), target.tensor.bytes());
      piece.copy_from(gradient);
    }
  });
}

GatherShape gather_shape(const Shape& shape, int dim, const Tensor& indices) {
  GatherShape g{.rows = shape[dim], .indices = indices.numel()};
  for (int i = 0; i < dim; ++i) g.outer *= shape[i];
  for (int i = dim + 1; i < shape.rank(); ++i) g.inner *= shape[i];
  return g;
}

// to[o, indices[i], :] += dy[o, i, :], in the order of i. A thread owns whole columns.
void scatter_add(const Tensor& to, const Tensor& dy, const Tensor& indices, const GatherShape& g) {
  const int64_t outer = g.outer, inner = g.inner, size = g.rows, n = g.indices;
  if (outer * inner * n == 0) return;
  constexpr int64_t kColumns = 64;
  const int64_t pieces = (inner + kColumns - 1) / kColumns, width = inner;
  dispatch_floating("index_select", dy.dtype(), [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    A* sums = to.data<A>();
    const T* from = dy.data<T>();
    const int64_t* at = indices.data<int64_t>();
    const int64_t unit_size = std::min(width, kColumns) * n;
    parallel_for(outer * pieces, std::max<int64_t>(1, kPointwiseGrain / unit_size), [&](int64_t first, int64_t last) {
      simd::run([=] {
        for (int64_t u = first; u < last; ++u) {
          const int64_t o = u / pieces, column = u % pieces * kColumns, columns = std::min(kColumns, width - column);
          for (int64_t i = 0; i < n; ++i) {
            A* s = sums + (o * size + at[i]) * width + column;
            const T* d = from + (o * n + i) * width + column;
#pragma omp simd
            for (int64_t c = 0; c < columns; ++c) s[c] += widen(d[c]);
          }
        }
      });
    });
  });
}

void check_indices(const Tensor& x, int dim, int64_t size, const Tensor& indices) {
  const int64_t* at = indices.data<int64_t>();
  for (int64_t i = 0; i < indices.numel(); ++i) {
    if (at[i] < 0 || at[i] >= size) {
      fail("index_select: indices[{}] is {}, outside dimension {} of x {}", i, at[i], dim, x.shape().text());
    }
  }
}

// y[o, i, :] = x[o, indices[i], :]
void copy_rows(const Tensor& x, const Tensor& indices, const Tensor& y, const GatherShape& g) {
  const size_t row = static_cast<size_t>(g.inner) * size_of(x.dtype());
  const int64_t grain = std::max<int64_t>(1, kPointwiseGrain / std::max<int64_t>(1, g.inner));
  const int64_t* at = indices.data<int64_t>();
  parallel_for(
      g.outer * g.indices, grain,
      [&, to = static_cast<char*>(y.raw()), from = static_cast<const char*>(x.raw())](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) {
          const int64_t source = r / g.indices * g.rows + at[r % g.indices];
          std::memcpy(to + static_cast<size_t>(r) * row, from + static_cast<size_t>(source) * row, row);
        }
      });
}

// dx[o, indices[i], :] += dy[o, i, :]
void add_rows(const GradOut::Target& target, const Tensor& dy, const Tensor& indices, const GatherShape& g) {
  const Tensor& dx = target.tensor;
  if (dx.dtype() == accumulator_of(dx.dtype())) {
    if (!target.accumulate) backend(dx.device()).zero(dx.raw(), dx.bytes());
    scatter_add(dx, dy, indices, g);
    return;
  }
  const Tensor sums = Tensor::zeros(dx.shape(), accumulator_of(dx.dtype()), dx.device());
  scatter_add(sums, dy, indices, g);
  if (target.accumulate) {
    add_into(dx, sums.to(dx.dtype()));
  } else {
    dx.copy_from(sums);
  }
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  if (!x.defined()) fail("reshape: x is missing");
  if (shape.numel() != x.numel()) fail("reshape: x {} does not fill {}", x.shape().text(), shape.text());
  const OpRange range("reshape");
  return record("reshape", x.contiguous().view(shape), {x}, [from = x.shape()](Tensor dy, GradOut& out) {
    if (dy.is_contiguous()) profile::set_bytes(0);
    out.give(0, dy.contiguous().view(from));
  });
}

Tensor transpose(const Tensor& x, int a, int b) {
  const int da = existing_dim("transpose", x, a), db = existing_dim("transpose", x, b);
  const OpRange range("transpose");
  return record("transpose", x.transpose(da, db), {x}, [da, db](Tensor dy, GradOut& out) {
    profile::set_bytes(0);
    out.give(0, dy.transpose(da, db));
  });
}

Tensor expand(const Tensor& x, const Shape& shape) {
  if (!x.defined()) fail("expand: x is missing");
  if (!(broadcast("expand", x.shape(), shape) == shape)) {
    fail("expand: x {} does not stretch to {}", x.shape().text(), shape.text());
  }
  const OpRange range("expand");
  return record("expand", x.expand(shape), {x},
                [from = x.shape()](Tensor dy, GradOut& out) { out.give(0, sum_to(dy, from, dy.dtype())); });
}

Tensor slice(const Tensor& x, int dim, int64_t begin, int64_t end) {
  const int d = existing_dim("slice", x, dim);
  return record_slice("slice", x.slice(d, begin, end), x, d, begin, end);
}

Tensor select(const Tensor& x, int dim, int64_t index) {
  const int d = existing_dim("select", x, dim);
  if (index < 0 || index >= x.dim(d)) {
    fail("select: index {} is outside dimension {} of x {}", index, dim, x.shape().text());
  }
  return record_slice("select", x.select(d, index), x, d, index, index + 1);
}

Tensor concat(const std::vector<Tensor>& xs, int dim) {
  const OpRange range("concat");
  if (xs.empty()) fail("concat: no tensors given");
  const int d = existing_dim("concat", xs[0], dim);
  Shape shape = xs[0].shape();
  std::vector<int64_t> ends;
  int64_t total = 0;
  for (size_t k = 0; k < xs.size(); ++k) {
    const Tensor& x = xs[k];
    Expect("concat").that(x.defined(), "x[{}] is missing", k).same_device("x", x, xs[0]);
    Shape expected = xs[0].shape();
    if (x.rank() == expected.rank()) expected[d] = x.dim(d);
    if (!(x.shape() == expected) || x.dtype() != xs[0].dtype()) {
      fail("concat: x[{}] is {} {}, expected {} and all dimensions but {} as in x[0] {}", k, name_of(x.dtype()),
           x.shape().text(), name_of(xs[0].dtype()), d, xs[0].shape().text());
    }
    total += x.dim(d);
    ends.push_back(total);
  }
  if (xs.size() == 1) return xs[0];
  shape[d] = total;
  const Tensor y = Tensor::empty(shape, xs[0].dtype(), xs[0].device());
  for (size_t k = 0; k < xs.size(); ++k) y.slice(d, k == 0 ? 0 : ends[k - 1], ends[k]).copy_from(xs[k]);
  return record("concat", y, xs, [d, ends](Tensor dy, GradOut& out) {
    profile::set_bytes(0);
    for (size_t k = 0; k < ends.size(); ++k) {
      if (out.wants(k)) out.give(k, dy.slice(d, k == 0 ? 0 : ends[k - 1], ends[k]));
    }
  });
}

Tensor index_select(const Tensor& x, int dim, const Tensor& indices) {
  const OpRange range("index_select");
  const int d = existing_dim("index_select", x, dim);
  Expect("index_select")
      .shape("indices", indices, "n")
      .dtype("indices", indices, {DType::i64})
      .same_device("indices", indices, x);
  const Tensor from = x.detach().contiguous(), positions = indices.detach().contiguous();
  if (is_on_cpu(x)) check_indices(x, dim, x.dim(d), positions);
  Shape shape = x.shape();
  shape[d] = positions.numel();
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  const GatherShape g = gather_shape(x.shape(), d, positions);
  on_device("index_select", x, [&](auto device) {
    if constexpr (device == DeviceType::cpu) {
      copy_rows(from, positions, y, g);
    } else {
      GatherKernels<device>::forward("index_select", g, from, positions, y);
    }
  });
  profile::set_bytes(2 * y.bytes());
  return record("index_select", y, {x}, [g, positions](Tensor dy, GradOut& out) {
    if (!dy.is_contiguous()) dy = dy.contiguous();
    const GradOut::Target target = out.target(0);
    profile::set_bytes(dy.bytes() + (target.accumulate ? 2 * dy.bytes() : target.tensor.bytes()));
    on_device("index_select", dy, [&](auto device) {
      if constexpr (device == DeviceType::cpu) {
        add_rows(target, dy, positions, g);
      } else {
        GatherKernels<device>::backward("index_select", g, dy, positions, target);
      }
    });
  });
}

Tensor cast(const Tensor& x, DType dtype) {
  if (!x.defined()) fail("cast: x is missing");
  if (x.dtype() == dtype) return x;
  const OpRange range("cast");
  const Tensor y = x.to(dtype);
  if (!is_floating(dtype)) return y;
  return record("cast", y, {x}, [from = x.dtype()](Tensor dy, GradOut& out) { out.give(0, dy.to(from)); });
}

}  // namespace gfsa
