#include "ops/reduce.h"

#include <array>
#include <cmath>

#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/functions.h"
#include "ops/pointwise.h"
#include "ops/reduce_kernels.h"

namespace gfsa {
namespace {

using namespace functions;

using Reduced = std::array<bool, Shape::kMaxRank>;

Reduced reduced_dims(const char* op, const Tensor& x, const std::vector<int>& dims) {
  Expect(op).floating("x", x);
  Reduced reduced{};
  if (dims.empty()) reduced.fill(true);
  for (int d : dims) {
    const int at = d < 0 ? d + x.rank() : d;
    if (at < 0 || at >= x.rank()) fail("{}: dimension {} does not exist in x {}", op, d, x.shape().text());
    if (reduced[at]) fail("{}: dimension {} of x {} is named twice", op, d, x.shape().text());
    reduced[at] = true;
  }
  return reduced;
}

Shape kept_shape(const Shape& shape, const Reduced& reduced, bool keepdim) {
  Shape kept;
  for (int d = 0; d < shape.rank(); ++d) {
    if (!reduced[d]) kept.push_back(shape[d]);
    if (reduced[d] && keepdim) kept.push_back(1);
  }
  return kept;
}

int64_t reduced_count(const Shape& shape, const Reduced& reduced) {
  int64_t n = 1;
  for (int d = 0; d < shape.rank(); ++d) n *= reduced[d] ? shape[d] : 1;
  return n;
}

// factor * sum of x, or of its squares, over the reduced dimensions, as `dtype`, in the shape with 1s. One pass for
// each run of neighbouring reduced dimensions, the innermost first; what lies between passes has the accumulator's
// type.
Tensor sum_over(const Tensor& strided, const Reduced& reduced, bool squares, double factor, DType dtype) {
  Tensor x = strided.detach().contiguous();
  struct Group {
    int64_t size;
    bool reduced;
  };
  std::vector<Group> groups{{1, false}};
  for (int d = 0; d < x.rank(); ++d) {
    if (x.dim(d) == 1) continue;
    if (groups.back().reduced == reduced[d]) {
      groups.back().size *= x.dim(d);
    } else {
      groups.push_back({x.dim(d), reduced[d]});
    }
  }
  if (groups.size() == 1) groups.push_back({1, true});  // nothing to add up: one pass converts and maps
  const Shape result = kept_shape(strided.shape(), reduced, true);
  bool first = true;
  while (true) {
    size_t k = groups.size() - 1;
    if (!groups[k].reduced) --k;
    const int64_t inner = k + 1 < groups.size() ? groups[k + 1].size : 1;
    int64_t outer = 1;
    for (size_t i = 0; i < k; ++i) outer *= groups[i].size;
    const bool last = k <= 1;
    const Tensor y = Tensor::empty({outer * inner}, last ? dtype : accumulator_of(x.dtype()), x.device());
    on_device("sum", x, [&](auto d) {
      ReduceKernels<d>::sum("sum", x, first && squares ? x : Tensor(), outer, groups[k].size, inner,
                            last ? factor : 1.0, y);
    });
    if (last) return y.view(result);
    // The groups around the one that is gone become one.
    if (k + 1 < groups.size()) {
      groups[k - 1].size *= groups[k + 1].size;
      groups.erase(groups.begin() + static_cast<int64_t>(k) + 1);
    }
    groups.erase(groups.begin() + static_cast<int64_t>(k));
    x = y;
    first = false;
  }
}

// Writes or adds factor * gradient, stretched from the shape with 1s.
void give_stretched(GradOut& out, const Tensor& gradient, double factor) {
  const GradOut::Target target = out.target(0);
  const Tensor& dx = target.tensor;
  if (dx.numel() == 0) return;
  const Tensor dy = gradient.expand(dx.shape());
  dispatch_floating("sum backward", dx.dtype(), [&](auto t) {
    using T = decltype(t);
    if (target.accumulate) {
      map<T, T, T>("sum backward", AddScaled{factor}, dx, dx, dy);
    } else {
      map<T, T>("sum backward", Scale{factor}, dx, dy);
    }
  });
}

Tensor sum_or_mean(const char* op, const Tensor& x, const std::vector<int>& dims, bool keepdim, bool is_mean) {
  const OpRange range(op);
  const Reduced reduced = reduced_dims(op, x, dims);
  const double factor = is_mean ? 1.0 / static_cast<double>(reduced_count(x.shape(), reduced)) : 1.0;
  const Tensor y = sum_over(x, reduced, false, factor, x.dtype());
  const Shape with_ones = y.shape();
  return record(op, y.view(kept_shape(x.shape(), reduced, keepdim)), {x}, [with_ones, factor](Tensor dy, GradOut& out) {
    give_stretched(out, dy.contiguous().view(with_ones), factor);
  });
}

// x with the reduced dimensions moved to the end, contiguous: [outer, reduced].
Tensor reduced_last(const Tensor& x, const Reduced& reduced, std::vector<int>& order) {
  order.clear();
  for (int d = 0; d < x.rank(); ++d) {
    if (!reduced[d]) order.push_back(d);
  }
  for (int d = 0; d < x.rank(); ++d) {
    if (reduced[d]) order.push_back(d);
  }
  Tensor t = x.detach();
  std::vector<int> now;
  for (int d = 0; d < x.rank(); ++d) now.push_back(d);
  for (int d = 0; d < x.rank(); ++d) {
    const int from = static_cast<int>(std::find(now.begin(), now.end(), order[d]) - now.begin());
    t = t.transpose(d, from);
    std::swap(now[d], now[from]);
  }
  return t.contiguous();
}

// Of each row of x [outer, n]: the position of the first maximum and, where wanted, its value.
Tensor first_maxima(const char* op, const Tensor& x, int64_t outer, int64_t n, const Tensor& values) {
  if (n == 0 && outer > 0) fail("{}: no elements to take the maximum of", op);
  const Tensor positions = Tensor::empty({outer}, DType::i64, x.device());
  on_device(op, x, [&](auto d) { ReduceKernels<d>::maxima(op, x, n, positions, values); });
  return positions;
}

}  // namespace

Tensor sum(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return sum_or_mean("sum", x, dims, keepdim, false);
}
Tensor mean(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  return sum_or_mean("mean", x, dims, keepdim, true);
}

Tensor sum_squares(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  const OpRange range("sum_squares");
  const Reduced reduced = reduced_dims("sum_squares", x, dims);
  const Tensor y = sum_over(x, reduced, true, 1.0, accumulator_of(x.dtype()));
  const Shape with_ones = y.shape();
  const Tensor saved = x.detach();
  return record("sum_squares", y.view(kept_shape(x.shape(), reduced, keepdim)), {x},
                [with_ones, saved](Tensor dy, GradOut& out) {
                  const Tensor d = dy.contiguous().view(with_ones).expand(saved.shape());
                  const Tensor dx = Tensor::empty(saved.shape(), saved.dtype(), saved.device());
                  dispatch_floating("sum_squares", saved.dtype(), [&](auto t) {
                    using T = decltype(t);
                    map<T, T, acc_t<T>>("sum_squares", SquareSlope{}, dx, saved, d);
                  });
                  out.give(0, dx);
                });
}

Tensor max(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  const OpRange range("max");
  const Reduced reduced = reduced_dims("max", x, dims);
  std::vector<int> order;
  const Tensor rows = reduced_last(x, reduced, order);
  const int64_t n = reduced_count(x.shape(), reduced), outer = kept_shape(x.shape(), reduced, false).numel();
  const Tensor y = Tensor::empty(kept_shape(x.shape(), reduced, keepdim), x.dtype(), x.device());
  const Tensor positions = first_maxima("max", rows, outer, n, y);
  const Shape moved = rows.shape();
  return record("max", y, {x}, [positions, order, moved, n](Tensor dy, GradOut& out) {
    dy = dy.contiguous();
    Tensor dx = Tensor::zeros(moved, dy.dtype(), dy.device());
    on_device("max", dy, [&](auto d) { ReduceKernels<d>::put(dy, n, positions, dx); });
    // Back to x's order of dimensions.
    std::vector<int> now = order;
    for (int d = 0; d < dx.rank(); ++d) {
      const int from = static_cast<int>(std::find(now.begin(), now.end(), d) - now.begin());
      dx = dx.transpose(d, from);
      std::swap(now[d], now[from]);
    }
    out.give(0, dx);
  });
}

Tensor argmax(const Tensor& x, int dim, bool keepdim) {
  const Reduced reduced = reduced_dims("argmax", x, {dim});
  std::vector<int> order;
  const Tensor rows = reduced_last(x, reduced, order);
  const int64_t n = reduced_count(x.shape(), reduced);
  return first_maxima("argmax", rows, kept_shape(x.shape(), reduced, false).numel(), n, {})
      .view(kept_shape(x.shape(), reduced, keepdim));
}

Tensor sum_to(const Tensor& x, const Shape& shape, DType dtype) {
  Reduced reduced{};
  const int lead = x.rank() - shape.rank();
  for (int d = 0; d < x.rank(); ++d) {
    reduced[d] = d < lead || (shape[d - lead] == 1 && x.dim(d) != 1);
    if (!reduced[d] && shape[d - lead] != x.dim(d))
      fail("sum_to: {} does not broadcast to {}", shape.text(), x.shape().text());
  }
  return sum_over(x, reduced, false, 1.0, dtype).view(shape);
}

}  // namespace gfsa
