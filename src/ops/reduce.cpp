#include "ops/reduce.h"

#include <array>
#include <cmath>

#include "core/dispatch.h"
#include "core/expect.h"
#include "ops/pointwise.h"
#include "ops/reduce_kernels.h"

namespace gfsa {
namespace {

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

enum class Map { identity, square };

// factor * sum of map(x) over the reduced dimensions, as `dtype`, in the shape with 1s. One pass for each run of
// neighbouring reduced dimensions, the innermost first; what lies between passes has the accumulator's type.
Tensor sum_over(const Tensor& strided, const Reduced& reduced, Map map, double factor, DType dtype) {
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
    dispatch_floating("sum", x, [&](auto t) {
      using T = decltype(t);
      using A = acc_t<T>;
      const T* from = x.data<T>();
      const auto run = [&](auto* to) {
        const double f = last ? factor : 1.0;
        if (first && map == Map::square) {
          sum_middle<A>(
              outer, groups[k].size, inner, f, [from](int64_t i) { return widen(from[i]) * widen(from[i]); }, to);
        } else {
          sum_middle<A>(
              outer, groups[k].size, inner, f, [from](int64_t i) { return widen(from[i]); }, to);
        }
      };
      if (y.dtype() == dtype_of<T>) {
        run(y.data<T>());
      } else if (y.dtype() == dtype_of<A>) {
        run(y.data<A>());
      } else if constexpr (std::is_same_v<T, float>) {
        run(y.data<bfloat16>());
      } else {
        fail("sum: {} into {}", name_of(x.dtype()), name_of(y.dtype()));
      }
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
  dispatch_floating("sum backward", dx, [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    const A f = static_cast<A>(factor);
    if (target.accumulate) {
      pointwise_strided(
          StridedLoop({dx, dx, dy}), dx.data<T>(), [f](auto old, auto d) { return old + f * d; }, dx.data<T>(),
          dy.data<T>());
    } else {
      pointwise_strided(
          StridedLoop({dx, dx, dy}), dx.data<T>(), [f](auto, auto d) { return f * d; }, dx.data<T>(), dy.data<T>());
    }
  });
}

Tensor sum_or_mean(const char* op, const Tensor& x, const std::vector<int>& dims, bool keepdim, bool is_mean) {
  const Reduced reduced = reduced_dims(op, x, dims);
  const double factor = is_mean ? 1.0 / static_cast<double>(reduced_count(x.shape(), reduced)) : 1.0;
  const Tensor y = sum_over(x, reduced, Map::identity, factor, x.dtype());
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

template <class T>
inline int64_t first_maximum(const T* x, int64_t n) {
  using A = acc_t<T>;
  constexpr int64_t kLanes = 32;
  A lanes[kLanes];
  int32_t nan_lanes[kLanes];
  for (int64_t l = 0; l < kLanes; ++l) lanes[l] = load(x), nan_lanes[l] = 0;
  const auto visit = [&](int64_t l, A v) {
    lanes[l] = v > lanes[l] ? v : lanes[l];
    nan_lanes[l] |= v != v ? 1 : 0;
  };
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (int64_t l = 0; l < kLanes; ++l) visit(l, load(x + i + l));
  }
  for (int64_t l = 0; i + l < n; ++l) visit(l, load(x + i + l));
  A largest = lanes[0];
  int32_t nan = 0;
  for (int64_t l = 0; l < kLanes; ++l) {
    largest = lanes[l] > largest ? lanes[l] : largest;
    nan |= nan_lanes[l];
  }
  for (int64_t k = 0; k < n; ++k) {
    const A v = load(x + k);
    if (nan != 0 ? v != v : v == largest) return k;
  }
  return 0;
}

// Of each row of x [outer, n]: the position of the first maximum.
Tensor first_maxima(const char* op, const Tensor& x, int64_t outer, int64_t n) {
  if (n == 0 && outer > 0) fail("{}: no elements to take the maximum of", op);
  const Tensor positions = Tensor::empty({outer}, DType::i64, x.device());
  dispatch_floating(op, x, [&](auto t) {
    using T = decltype(t);
    const T* from = x.data<T>();
    int64_t* to = positions.data<int64_t>();
    parallel_for(outer, std::max<int64_t>(1, kSumGrain / std::max<int64_t>(1, n)), [&](int64_t begin, int64_t end) {
      simd::run([=] {
        for (int64_t o = begin; o < end; ++o) to[o] = first_maximum(from + o * n, n);
      });
    });
  });
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
  const Reduced reduced = reduced_dims("sum_squares", x, dims);
  const Tensor y = sum_over(x, reduced, Map::square, 1.0, accumulator_of(x.dtype()));
  const Shape with_ones = y.shape();
  const Tensor saved = x.detach();
  return record("sum_squares", y.view(kept_shape(x.shape(), reduced, keepdim)), {x},
                [with_ones, saved](Tensor dy, GradOut& out) {
                  const Tensor d = dy.contiguous().view(with_ones).expand(saved.shape());
                  const Tensor dx = Tensor::empty(saved.shape(), saved.dtype(), saved.device());
                  dispatch_floating("sum_squares", saved, [&](auto t) {
                    using T = decltype(t);
                    using A = acc_t<T>;
                    pointwise_strided(
                        StridedLoop({dx, saved, d}), dx.data<T>(), [](auto v, auto g) { return A(2) * v * g; },
                        saved.data<T>(), d.data<A>());
                  });
                  out.give(0, dx);
                });
}

Tensor max(const Tensor& x, const std::vector<int>& dims, bool keepdim) {
  const Reduced reduced = reduced_dims("max", x, dims);
  std::vector<int> order;
  const Tensor rows = reduced_last(x, reduced, order);
  const int64_t n = reduced_count(x.shape(), reduced), outer = kept_shape(x.shape(), reduced, false).numel();
  const Tensor positions = first_maxima("max", rows, outer, n);
  const Tensor y = Tensor::empty(kept_shape(x.shape(), reduced, keepdim), x.dtype(), x.device());
  dispatch_any(x.dtype(), [&](auto t) {
    using T = decltype(t);
    for (int64_t o = 0; o < outer; ++o) y.data<T>()[o] = rows.data<T>()[o * n + positions.data<int64_t>()[o]];
  });
  const Shape moved = rows.shape();
  return record("max", y, {x}, [positions, order, moved, n, outer](Tensor dy, GradOut& out) {
    dy = dy.contiguous();
    Tensor dx = Tensor::zeros(moved, dy.dtype(), dy.device());
    dispatch_any(dy.dtype(), [&](auto t) {
      using T = decltype(t);
      for (int64_t o = 0; o < outer; ++o) dx.data<T>()[o * n + positions.data<int64_t>()[o]] = dy.data<T>()[o];
    });
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
  return first_maxima("argmax", rows, kept_shape(x.shape(), reduced, false).numel(), n)
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
  return sum_over(x, reduced, Map::identity, 1.0, dtype).view(shape);
}

}  // namespace gfsa
