#include "ops/gemm_blocked.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <type_traits>

#include "base/threads.h"
#include "core/dtype.h"
#include "ops/kept_memory.h"
#include "ops/register_tile.h"

namespace gfsa {
namespace {

// The tile that stays in registers, kRows x 2 registers, of the 32 that AVX-512 has and the 16 of the others: the rest
// holds a row of B and one number of A.
template <class A, simd::Isa isa>
struct Tile {
  static constexpr int kWidth = kRegisterWidth<A, isa>;
  static constexpr int kRows = isa == simd::Isa::avx512 ? 14 : 6;
  static constexpr int kColumns = 2 * kWidth;
  using V = typename Register<A, kWidth>::type;
};

// Pieces of at most `most`, about equal, in units.
inline int64_t piece(int64_t n, int64_t most, int64_t unit) {
  const int64_t pieces = (n + most - 1) / most;
  return round_up((n + pieces - 1) / pieces, unit);
}

// Where packed operands stand, and sums that C cannot hold.
struct Panel {};
struct Block {};
struct Totals {};
template <class Use, class A>
A* kept(int64_t elements) {
  return static_cast<A*>(kept_memory<Use>(static_cast<size_t>(elements) * sizeof(A)));
}

template <class In, class Out, simd::Isa isa>
class Blocked {
  using A = acc_t<In>;
  using T = Tile<A, isa>;
  using V = typename T::V;
  static constexpr bool kRounds = !std::is_same_v<Out, A>;  // C cannot hold sums

  static constexpr int64_t kDepth = 1024;                    // of a packed block
  static constexpr int64_t kPanelDepth = 4096;               // of a packed panel, which is shared
  static constexpr int64_t kPanel = (16 << 20) / sizeof(A);  // its elements
  static constexpr int64_t kLeastTiles = 3;                  // of a block of rows
  static constexpr int64_t kGroup = 8;                       // strips that a thread packs at a time
  static constexpr int64_t kLeastFlops = 4 << 20;            // fewer are not worth a team

 public:
  Blocked(const Gemm& g, const void* a, const void* b, void* c, const void* bias)
      : g_(g),
        a_(static_cast<const In*>(a)),
        b_(static_cast<const In*>(b)),
        c_(static_cast<Out*>(c)),
        bias_(g.bias ? static_cast<const A*>(bias) : nullptr) {
    panel_depth_ = piece(g.k, kPanelDepth, 1);
    panel_columns_ = piece(g.n, std::max<int64_t>(kPanel / panel_depth_ / T::kColumns, 1) * T::kColumns, T::kColumns);
    depth_ = piece(panel_depth_, kDepth, 1);
    team_ = omp_in_parallel() != 0 || g.m * g.n * g.k < kLeastFlops ? 1 : threads();
    tiles_ = (g.m + T::kRows - 1) / T::kRows;
    block_rows_ = std::max(block_bytes() / static_cast<int64_t>(sizeof(A)) / depth_ / T::kRows, kLeastTiles) * T::kRows;
    if constexpr (kRounds) {
      if (g.k > depth_) sums_ = kept<Totals, A>(g.m * g.n), sums_step_ = g.n;
    } else {
      sums_ = c_, sums_step_ = g.ldc;
    }
  }

  void run() const {
    const bool by_rows = g_.m <= g_.n && tiles_ * T::kRows * panel_depth_ <= kPanel;
    for (int64_t p0 = 0; by_rows && p0 < g_.k; p0 += panel_depth_) {
      panel_of_rows(p0, std::min(panel_depth_, g_.k - p0));
    }
    for (int64_t j0 = 0; !by_rows && j0 < g_.n; j0 += panel_columns_) {
      for (int64_t p0 = 0; p0 < g_.k; p0 += panel_depth_) {
        panel_of_columns(j0, std::min(panel_columns_, g_.n - j0), p0, std::min(panel_depth_, g_.k - p0));
      }
    }
  }

 private:
  // Of a packed block of A: a quarter of the second cache, which rows of B pass through as well.
  static int64_t block_bytes() {
    static const int64_t bytes = std::clamp<int64_t>(::sysconf(_SC_LEVEL2_CACHE_SIZE) / 4, 128 << 10, 512 << 10);
    return bytes;
  }

  // Work that is independent piece by piece, to whichever thread is free: cores that others use as well are slower.
  template <class Body>
  void share(int64_t pieces, const Body& body) const {
    std::atomic<int64_t> next{0};
    parallel_for(std::min(team_, pieces), 1, [&](int64_t /*begin*/, int64_t /*end*/) {
      for (int64_t i = next++; i < pieces; i = next++) body(i);
    });
  }

  const In* a_at(int64_t i, int64_t p) const { return g_.transpose_a ? a_ + p * g_.lda + i : a_ + i * g_.lda + p; }
  const In* b_at(int64_t p, int64_t j) const { return g_.transpose_b ? b_ + j * g_.ldb + p : b_ + p * g_.ldb + j; }
  void pack_a(int64_t i, int64_t rows, int64_t p, int64_t depth, A* to) const {
    within<isa>([&] { pack_strips<A, In, T::kWidth, T::kRows>(a_at(i, p), g_.lda, !g_.transpose_a, rows, depth, to); });
  }
  void pack_b(int64_t j, int64_t columns, int64_t p, int64_t depth, A* to) const {
    within<isa>(
        [&] { pack_strips<A, In, T::kWidth, T::kColumns>(b_at(p, j), g_.ldb, g_.transpose_b, columns, depth, to); });
  }

  // All of A's rows are packed for all threads, columns of B by the thread that multiplies them: the larger operand is
  // then read once from memory and never written there.
  void panel_of_rows(int64_t p0, int64_t depth) const {
    A* const packed_a = kept<Panel, A>(tiles_ * T::kRows * depth);
    share((tiles_ + kGroup - 1) / kGroup, [&](int64_t group) {
      const int64_t i = group * kGroup * T::kRows;
      pack_a(i, std::min(kGroup * T::kRows, g_.m - i), p0, depth, packed_a + i * depth);
    });
    const int64_t strips = (g_.n + T::kColumns - 1) / T::kColumns;
    const int64_t group = std::clamp<int64_t>(strips / (8 * team_), 1, kGroup);
    share((strips + group - 1) / group, [&](int64_t task) {
      const int64_t j0 = task * group * T::kColumns, columns = std::min(group * T::kColumns, g_.n - j0);
      A* const packed_b = kept<Block, A>(group * T::kColumns * depth_);
      for (int64_t q = 0; q < depth; q += depth_) {
        const int64_t now = std::min(depth_, depth - q);
        pack_b(j0, columns, p0 + q, now, packed_b);
        multiply({0, g_.m, packed_a + q * T::kRows, depth}, {j0, columns, packed_b, now}, p0 + q, now);
      }
    });
  }

  // The other way round: columns of B for all threads, blocks of rows of A by one.
  void panel_of_columns(int64_t j0, int64_t columns, int64_t p0, int64_t depth) const {
    const int64_t strips = (columns + T::kColumns - 1) / T::kColumns;
    A* const packed_b = kept<Panel, A>(strips * T::kColumns * depth);
    share((strips + kGroup - 1) / kGroup, [&](int64_t group) {
      const int64_t j = group * kGroup * T::kColumns;
      pack_b(j0 + j, std::min(kGroup * T::kColumns, columns - j), p0, depth, packed_b + j * depth);
    });
    const int64_t block = std::clamp(tiles_ / (4 * team_), kLeastTiles, block_rows_ / T::kRows);
    const int64_t blocks = std::min(tiles_, round_up((tiles_ + block - 1) / block, team_));
    share(blocks, [&](int64_t task) {
      const int64_t i0 = tiles_ * task / blocks * T::kRows, i1 = tiles_ * (task + 1) / blocks * T::kRows;
      const int64_t rows = std::min(i1, g_.m) - i0;
      A* const packed_a = kept<Block, A>((i1 - i0) * depth_);
      for (int64_t q = 0; q < depth; q += depth_) {
        const int64_t now = std::min(depth_, depth - q);
        pack_a(i0, rows, p0 + q, now, packed_a);
        multiply({i0, rows, packed_a, now}, {j0, columns, packed_b + q * T::kColumns, depth}, p0 + q, now);
      }
    });
  }

  // Some rows of A or columns of B, packed in strips that are `step` deep.
  struct Packed {
    int64_t first, count;
    const A* strips;
    int64_t step;
  };
  void multiply(const Packed& a, const Packed& b, int64_t p, int64_t depth) const {
    const Stage stage{p == 0, p + depth == g_.k};
    within<isa>([&] {
      // A block of rows stays in the second cache for all columns.
      for (int64_t i0 = 0; i0 < a.count; i0 += block_rows_) {
        const int64_t i1 = std::min(i0 + block_rows_, a.count);
        for (int64_t j = 0; j < b.count; j += T::kColumns) {
          for (int64_t i = i0; i < i1; i += T::kRows) {
            tile(a.strips + i * a.step, a.strips + (i + T::kRows) * a.step, b.strips + j * b.step, depth, a.first + i,
                 b.first + j, std::min<int64_t>(T::kRows, a.count - i), std::min<int64_t>(T::kColumns, b.count - j),
                 stage);
          }
        }
      }
    });
  }

  struct Stage {
    bool first, last;  // of the blocks along k
  };

  [[gnu::always_inline]] void tile(const A* a, const A* next_a, const A* b, int64_t depth, int64_t row, int64_t column,
                                   int64_t rows, int64_t columns, Stage stage) const {
    A* const sums = sums_ != nullptr ? sums_ + row * sums_step_ + column : nullptr;
    const A* const from = stage.first && !(g_.accumulate && !kRounds) ? nullptr : sums;
    const A* const add = stage.last && bias_ != nullptr ? bias_ + column : nullptr;
    if (rows == T::kRows && columns == T::kColumns && !(kRounds && stage.last)) {
      return whole_tile(a, next_a, b, depth, from, add, sums, sums_step_);
    }
    A square[T::kRows * T::kColumns];
    whole_tile(a, next_a, b, depth, nullptr, nullptr, square, T::kColumns);
    for (int64_t r = 0; r < rows; ++r) {
      A* const line = square + r * T::kColumns;
      for (int64_t j = 0; j < columns; ++j) {
        if (from != nullptr) line[j] += from[r * sums_step_ + j];
        if (add != nullptr) line[j] += add[j];
      }
      if (kRounds && stage.last) {
        Out* const to = c_ + (row + r) * g_.ldc + column;
        for (int64_t j = 0; j < columns; ++j) {
          to[j] = static_cast<Out>(g_.accumulate ? static_cast<A>(to[j]) + line[j] : line[j]);
        }
      } else {
        for (int64_t j = 0; j < columns; ++j) sums[r * sums_step_ + j] = line[j];
      }
    }
  }

  // The lines of `bytes` bytes of memory from `at` on, for reading or (kWrite) writing.
  template <int kBytes, int kWrite = 0>
  [[gnu::always_inline]] static void prefetch(const A* at) {
#pragma GCC unroll 4
    for (int line = 0; line < (kBytes + 63) / 64; ++line) {
      __builtin_prefetch(reinterpret_cast<const char*>(at) + line * 64, kWrite);
    }
  }

  // to = from + a b + add; a is kRows wide, b kColumns. What the processor does not fetch by itself in time: the place
  // of the result, rows of b some steps ahead, and the strip of a that the next tile reads.
  [[gnu::always_inline]] static void whole_tile(const A* a, const A* next_a, const A* b, int64_t depth, const A* from,
                                                const A* add, A* to, int64_t step) {
    constexpr int kStepsAhead = 24;
    V sums[T::kRows][2];
#pragma GCC unroll 16
    for (int r = 0; r < T::kRows; ++r) {
      sums[r][0] = sums[r][1] = V{};
      prefetch<2 * sizeof(V), 1>(to + r * step);
    }
    for (int64_t p = 0; p < depth; ++p) {
      prefetch<T::kRows * sizeof(A)>(next_a + p * T::kRows);
      prefetch<2 * sizeof(V)>(b + (p + kStepsAhead) * T::kColumns);
      const V b0 = *reinterpret_cast<const V*>(b + p * T::kColumns);
      const V b1 = *reinterpret_cast<const V*>(b + p * T::kColumns + T::kWidth);
#pragma GCC unroll 16
      for (int r = 0; r < T::kRows; ++r) {
        const A x = a[p * T::kRows + r];
        sums[r][0] += x * b0;
        sums[r][1] += x * b1;
      }
    }
#pragma GCC unroll 16
    for (int r = 0; r < T::kRows; ++r) {
#pragma GCC unroll 2
      for (int h = 0; h < 2; ++h) {
        V value = sums[r][h];
        if (from != nullptr) value += *reinterpret_cast<const V*>(from + r * step + h * T::kWidth);
        if (add != nullptr) value += *reinterpret_cast<const V*>(add + h * T::kWidth);
        *reinterpret_cast<V*>(to + r * step + h * T::kWidth) = value;
      }
    }
  }

  const Gemm& g_;
  const In* a_;
  const In* b_;
  Out* c_;
  const A* bias_;
  int64_t panel_depth_, panel_columns_, depth_, team_, tiles_, block_rows_;
  A* sums_ =
      nullptr;  // what is summed so far: C itself, or a copy in the accumulator's type; null where one block is all
  int64_t sums_step_ = 0;
};

template <class In, class Out>
void run(const Gemm& g, const void* a, const void* b, void* c, const void* bias) {
  dispatch_isa([&](auto isa) { Blocked<In, Out, isa>(g, a, b, c, bias).run(); });
}

}  // namespace

void gemm_blocked(const Gemm& g, const void* a, const void* b, void* c, const void* bias) {
  if (g.a_type == DType::f64) return run<double, double>(g, a, b, c, bias);
  if (g.a_type == DType::f32) return run<float, float>(g, a, b, c, bias);
  if (g.c_type == DType::f32) return run<bfloat16, float>(g, a, b, c, bias);
  run<bfloat16, bfloat16>(g, a, b, c, bias);
}

}  // namespace gfsa
