#include "ops/embedding.h"

#include <algorithm>
#include <vector>

#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/gather_kernels.h"

namespace gfsa {
namespace {

int64_t row_grain(int64_t columns) { return std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, columns)); }

template <class W, class Out>
void take_rows(const W* weight, const int64_t* indices, Out* y, int64_t rows, int64_t columns) {
  using A = acc_t<W>;
  parallel_for(rows, row_grain(columns), [&](int64_t begin, int64_t end) {
    simd::run([&] {
      for (int64_t r = begin; r < end; ++r) {
        const W* from = weight + indices[r] * columns;
        Out* to = y + r * columns;
#pragma omp simd
        for (int64_t c = 0; c < columns; ++c) to[c] = Out(static_cast<A>(from[c]));
      }
    });
  });
}

void forward(const Tensor& table, const Tensor& index, const Tensor& y, int64_t columns) {
  dispatch_floating_pair("embedding", table.dtype(), y.dtype(), [&](auto from, auto to) {
    using W = decltype(from);
    using Out = decltype(to);
    take_rows<W, Out>(table.data<W>(), index.data<int64_t>(), y.data<Out>(), index.numel(), columns);
  });
}

// Positions grouped by index (a counting sort, so positions of one index stay in order): those of index v are
// positions[starts[v]] up to positions[starts[v + 1]].
struct Groups {
  std::vector<int64_t> starts, positions;
};

Groups group(const Tensor& index, int64_t vocabulary) {
  const int64_t* indices = index.data<int64_t>();
  const int64_t rows = index.numel();
  Groups g{std::vector<int64_t>(static_cast<size_t>(vocabulary) + 1, 0),
           std::vector<int64_t>(static_cast<size_t>(rows))};
  for (int64_t r = 0; r < rows; ++r) ++g.starts[static_cast<size_t>(indices[r]) + 1];
  for (size_t v = 0; v < static_cast<size_t>(vocabulary); ++v) g.starts[v + 1] += g.starts[v];
  std::vector<int64_t> next(g.starts.begin(), g.starts.end() - 1);
  for (int64_t r = 0; r < rows; ++r) g.positions[static_cast<size_t>(next[static_cast<size_t>(indices[r])]++)] = r;
  return g;
}

template <class W, class Out>
void add_rows(const Groups& g, const Out* dy, W* dweight, bool accumulate, int64_t vocabulary, int64_t columns) {
  using A = acc_t<W>;
  parallel_for(vocabulary, row_grain(columns), [&](int64_t begin, int64_t end) {
    std::vector<A> buffer(static_cast<size_t>(columns));
    A* sum = buffer.data();
    simd::run([&] {
      for (int64_t v = begin; v < end; ++v) {
        const int64_t first = g.starts[static_cast<size_t>(v)], last = g.starts[static_cast<size_t>(v) + 1];
        W* to = dweight + v * columns;
        if (first == last) {
          if (!accumulate) std::fill(to, to + columns, W(A(0)));
          continue;
        }
        std::fill(sum, sum + columns, A(0));
        for (int64_t i = first; i < last; ++i) {
          const Out* from = dy + g.positions[static_cast<size_t>(i)] * columns;
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) sum[c] += static_cast<A>(from[c]);
        }
        if (accumulate) {
#pragma omp simd
          for (int64_t c = 0; c < columns; ++c) sum[c] += static_cast<A>(to[c]);
        }
#pragma omp simd
        for (int64_t c = 0; c < columns; ++c) to[c] = W(sum[c]);
      }
    });
  });
}

void backward(const Groups& groups, const Tensor& dy, const GradOut::Target& dweight, const GatherShape& shape) {
  dispatch_floating_pair("embedding", dweight.tensor.dtype(), dy.dtype(), [&](auto from, auto to) {
    using W = decltype(from);
    using Out = decltype(to);
    add_rows<W, Out>(groups, dy.data<Out>(), dweight.tensor.data<W>(), dweight.accumulate, shape.rows, shape.inner);
  });
}

}  // namespace

Tensor embedding(const Tensor& weight, const Tensor& indices, std::optional<DType> out) {
  const OpRange range("embedding");
  Expect e("embedding");
  e.shape("weight", weight, "V C").floating("weight", weight).shape("indices", indices, "...");
  e.dtype("indices", indices, {DType::i64}).same_device("indices", indices, weight);
  const int64_t vocabulary = e["V"], columns = e["C"], rows = indices.numel();
  const Tensor index = indices.detach().contiguous(), table = weight.detach().contiguous();
  if (is_on_cpu(weight)) {
    const int64_t* at = index.data<int64_t>();
    for (int64_t r = 0; r < rows; ++r) {
      e.that(at[r] >= 0 && at[r] < vocabulary, "indices {}: element {} is {}, expected 0 to {}", indices.shape().text(),
             r, at[r], vocabulary - 1);
    }
  }
  Shape shape = indices.shape();
  shape.push_back(columns);
  const Tensor y = Tensor::empty(shape, out.value_or(weight.dtype()), weight.device());
  const GatherShape gather{.rows = vocabulary, .indices = rows, .inner = columns};
  on_device("embedding", weight, [&](auto d) {
    if constexpr (d == DeviceType::cpu) {
      forward(table, index, y, columns);
    } else {
      GatherKernels<d>::forward("embedding", gather, table, index, y);
    }
  });

  profile::set_bytes(2 * y.bytes());
  return record("embedding", y, {weight}, [index, gather](const Tensor& dy, GradOut& grads) {
    const Tensor dyc = dy.contiguous();
    const GradOut::Target dweight = grads.target(0);
    profile::set_bytes(dyc.bytes() + (dweight.accumulate ? 2 * dyc.bytes() : dweight.tensor.bytes()));
    on_device("embedding", dyc, [&](auto d) {
      if constexpr (d == DeviceType::cpu) {
        backward(group(index, gather.rows), dyc, dweight, gather);
      } else {
        GatherKernels<d>::backward("embedding", gather, dyc, index, dweight);
      }
    });
  });
}

}  // namespace gfsa
