#include "ops/gemm_blocked.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <type_traits>

#include "base/threads.h"
#include "core/dtype.h"
#include "ops/activation.h"
#include "ops/blocked_tile.h"
#include "ops/kept_memory.h"

namespace gfsa {
namespace {

// Pieces of at most `most`, about equal, in units.
inline int64_t piece(int64_t n, int64_t most, int64_t unit) {
  const int64_t pieces = (n + most - 1) / most;
  return round_up((n + pieces - 1) / pieces, unit);
}

// Where operands stand as tiles read them, the last few rows of A, and sums that C cannot hold.
struct Panel {};
struct Block {};
struct Rest {};
struct Totals {};
template <class Use, class A>
A* kept(int64_t elements) {
  return static_cast<A*>(kept_memory<Use>(static_cast<size_t>(elements) * sizeof(A)));
}

template <class In, class Out, simd::Isa isa>
class Blocked {
  using A = acc_t<In>;
  using T = BlockedTile<A, isa>;
  static constexpr bool kRounds = !std::is_same_v<Out, A>;  // C cannot hold sums

  static constexpr int64_t kDepth = 1024;                    // of a packed block
  static constexpr int64_t kPanelDepth = 4096;               // of a packed panel, which is shared
  static constexpr int64_t kPanel = (16 << 20) / sizeof(A);  // its elements
  static constexpr int64_t kLeastTiles = 3;                  // of a block of rows
  static constexpr int64_t kGroup = 8;                       // strips that a thread packs at a time
  static constexpr int64_t kPieceLanes = kGroup * T::kColumns, kPieceDepth = 16;  // of what is looked at twice
  static constexpr int64_t kWholeLines = 64 / sizeof(A);                          // numbers: between copied rows
  static constexpr int64_t kLeastFlops = 4 << 20;                                 // fewer are not worth a team

 public:
  Blocked(const Gemm& g, const void* a, const void* b, void* c, const void* bias, const ColumnSums& sums)
      : g_(g),
        a_(static_cast<const In*>(a)),
        b_(static_cast<const In*>(b)),
        c_(static_cast<Out*>(c)),
        bias_(g.bias ? static_cast<const A*>(bias) : nullptr),
        column_sums_(sums) {
    if constexpr (std::is_same_v<In, A>) {
      reads_a_in_place_ = !g.transpose_a && g.activation_a == Activation::none && first_cache_holds(g.lda);
    }
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
  static int64_t second_cache() {
    static const int64_t bytes = std::clamp<int64_t>(::sysconf(_SC_LEVEL2_CACHE_SIZE), 512 << 10, 2 << 20);
    return bytes;
  }
  // Of a packed block of A: rows of B pass through the second cache as well.
  static int64_t block_bytes() { return second_cache() / 4; }

  // Work that is independent piece by piece, to whichever thread is free: cores that others use as well are slower.
  template <class Body>
  void share(int64_t pieces, const Body& body) const {
    std::atomic<int64_t> next{0};
    parallel_for(std::min(team_, pieces), 1, [&](int64_t /*begin*/, int64_t /*end*/) {
      for (int64_t i = next++; i < pieces; i = next++) body(i);
    });
  }

  // The same of `count` strips, at most `most` at a time, in equal pieces and as many for each thread: body(first,
  // end).
  template <class Body>
  void share_strips(int64_t count, int64_t most, const Body& body) const {
    const int64_t pieces = std::min(count, round_up((count + most - 1) / most, team_));
    share(pieces, [&](int64_t i) { body(count * i / pieces, count * (i + 1) / pieces); });
  }

  // Rows of A that are a multiple of a page apart, or of some part of it, share few places of the first cache, and a
  // line must stay there until its last number is read.
  static bool first_cache_holds(int64_t row_step) {
    static const int64_t ways = std::max<int64_t>(::sysconf(_SC_LEVEL1_DCACHE_ASSOC), 8);
    constexpr int64_t kPage = 4096;
    const int64_t places = kPage / std::gcd(kPage, row_step * static_cast<int64_t>(sizeof(A)));
    return (T::kRows + places - 1) / places <= ways - 4;
  }

  const In* a_at(int64_t i, int64_t p) const { return g_.transpose_a ? a_ + p * g_.lda + i : a_ + i * g_.lda + p; }
  const In* b_at(int64_t p, int64_t j) const { return g_.transpose_b ? b_ + j * g_.ldb + p : b_ + p * g_.ldb + j; }

  // Packs lanes of an operand, through its activation; adds their numbers to sums unless it is null (k_runs: it is).
  template <int kLanes>
  void pack(const In* x, int64_t step, bool k_runs, Activation activation, int64_t lanes, int64_t depth, A* to,
            float* sums) const {
    const auto strips = [&](const In* from, int64_t from_step, int64_t some, int64_t now, A* place) {
      within<isa>(
          [&] { pack_strips<A, In, T::kWidth, kLanes>(from, from_step, k_runs, some, now, place, kLanes * depth); });
    };
    if (activation == Activation::none && sums == nullptr) return strips(x, step, lanes, depth, to);
    alignas(64) In piece[kPieceLanes * kPieceDepth];
    constexpr int64_t kSome = kPieceLanes / kLanes * kLanes;
    for (int64_t p = 0; p < depth; p += kPieceDepth) {
      const int64_t now = std::min(kPieceDepth, depth - p);
      for (int64_t i = 0; i < lanes; i += kSome) {
        const int64_t some = std::min(kSome, lanes - i);
        const auto at = [&](int64_t k) { return x + (k_runs ? i * step + k : k * step + i); };
        const In* from = at(p);
        const In* const next = p + now < depth ? at(p + now) : nullptr;
        if (sums != nullptr) add_columns(from, step, some, now, sums + i, next);
        int64_t from_step = step;
        if (activation != Activation::none) {
          from_step = k_runs ? kPieceDepth : kPieceLanes;
          activation_block(activation, k_runs ? some : now, k_runs ? now : some, from, step, piece, from_step, next);
          from = piece;
        }
        strips(from, from_step, some, now, to + i * depth + p * kLanes);
      }
    }
  }
  static void add_columns(const In* x, int64_t step, int64_t columns, int64_t rows, float* sums, const In* next) {
    within<isa>([&] {
      constexpr int64_t kSome = 32;
      for (int64_t j = 0; j < columns; j += kSome) {
        const int64_t some = std::min(kSome, columns - j);
        float total[kSome] = {};
        for (int64_t r = 0; r < rows; ++r) {
          const In* const row = x + r * step + j;
          if (next != nullptr) fetch_rows(next + r * step + j, 0, 1, some);
          if (some == kSome) {
            for (int64_t i = 0; i < kSome; ++i) total[i] += static_cast<float>(row[i]);
          } else {
            for (int64_t i = 0; i < some; ++i) total[i] += static_cast<float>(row[i]);
          }
        }
        for (int64_t i = 0; i < some; ++i) sums[j + i] += total[i];
      }
    });
  }

  // Where the sums of some lanes are collected: at the first of k they become 0.
  float* sums_at(ColumnSums::Of of, int64_t first, int64_t lanes, int64_t p) const {
    if (column_sums_.of != of) return nullptr;
    if (p == 0) std::fill_n(column_sums_.to + first, lanes, 0.0f);
    return column_sums_.to + first;
  }

  void pack_b(int64_t j, int64_t columns, int64_t p, int64_t depth, A* to) const {
    pack<T::kColumns>(b_at(p, j), g_.ldb, g_.transpose_b, g_.activation_b, columns, depth, to,
                      sums_at(ColumnSums::Of::b, j, columns, p));
  }

  // Some rows of A as tiles read them, `depth` of k: packed in strips (row_step 0), or rows as they lie, in A itself or
  // in a copy, where the last few rows, too few for a tile, have a place of their own.
  struct Left {
    int64_t first, count;
    const A* tiles;
    int64_t tile_step, row_step;
    const A* rest = nullptr;
    int64_t rest_step = 0;
  };
  int64_t copy_step(int64_t depth) const { return round_up(depth, kWholeLines) + kWholeLines; }
  int64_t left_size(int64_t tiles, int64_t depth) const {
    return reads_a_in_place_ ? 0 : tiles * T::kRows * (g_.transpose_a ? depth : copy_step(depth));
  }
  // `memory`: left_size() of them; later, at k = p + q of the same rows, tiles begin q or (packed) q kRows further on.
  Left left_at(int64_t i, int64_t rows, int64_t p, int64_t depth, const A* memory) const {
    if (g_.transpose_a) return {i, rows, memory, T::kRows * depth, 0};
    if (!reads_a_in_place_) return {i, rows, memory, T::kRows * copy_step(depth), copy_step(depth)};
    return {i, rows, reinterpret_cast<const A*>(a_at(i, p)), T::kRows * g_.lda, g_.lda};
  }
  Left advanced(Left left, int64_t q) const {
    left.tiles += left.row_step == 0 ? q * T::kRows : q;
    if (left.rest != nullptr) left.rest += q;
    return left;
  }
  void make_left(int64_t i, int64_t rows, int64_t p, int64_t depth, A* to, bool with_sums) const {
    if (g_.transpose_a) {
      return pack<T::kRows>(a_at(i, p), g_.lda, false, g_.activation_a, rows, depth, to,
                            with_sums ? sums_at(ColumnSums::Of::a, i, rows, p) : nullptr);
    }
    copy_rows(i, rows, p, depth, to, copy_step(depth));
  }
  // The rows that are too few for a tile, filled up with zeros, if tiles read A where it lies.
  void add_rest(Left& left, int64_t p, int64_t depth) const {
    const int64_t rows = left.count % T::kRows;
    if (!reads_a_in_place_ || rows == 0) return;
    left.rest_step = copy_step(depth);
    A* const rest = kept<Rest, A>(T::kRows * left.rest_step);
    copy_rows(left.first + left.count - rows, rows, p, depth, rest, left.rest_step);
    left.rest = rest;
  }
  // Whole tiles of rows; those that A does not have are 0.
  void copy_rows(int64_t i, int64_t rows, int64_t p, int64_t depth, A* to, int64_t step) const {
    for (int64_t r = 0; r < round_up(rows, T::kRows); ++r) {
      A* const row = to + r * step;
      if (r >= rows) {
        std::fill_n(row, depth, A(0));
        continue;
      }
      const In* const from = a_at(i + r, p);
      if constexpr (std::is_same_v<In, A>) {
        if (g_.activation_a != Activation::none) {
          activation_block(g_.activation_a, 1, depth, from, depth, row, depth, r + 1 < rows ? from + g_.lda : nullptr);
        } else {
          std::copy_n(from, depth, row);
        }
      } else {
        alignas(64) In piece[kPieceLanes * kPieceDepth];
        for (int64_t k = 0; k < depth; k += std::size(piece)) {
          const int64_t now = std::min<int64_t>(std::size(piece), depth - k);
          const In* source = from + k;
          if (g_.activation_a != Activation::none) {
            activation_block(g_.activation_a, 1, now, source, now, piece, now);
            source = piece;
          }
          within<isa>([&] {
            for (int64_t x = 0; x < now; ++x) row[k + x] = static_cast<A>(source[x]);
          });
        }
      }
    }
  }

  // All of A's rows are made ready for all threads, columns of B by the thread that multiplies them: the larger operand
  // is then read once from memory and never written there.
  void panel_of_rows(int64_t p0, int64_t depth) const {
    A* const memory = kept<Panel, A>(left_size(tiles_, depth));
    if (!reads_a_in_place_) {
      share_strips(tiles_, kGroup, [&](int64_t first, int64_t end) {
        const int64_t i = first * T::kRows;
        make_left(i, std::min(end * T::kRows, g_.m) - i, p0, depth, memory + left_size(first, depth), true);
      });
    }
    Left left = left_at(0, g_.m, p0, depth, memory);
    add_rest(left, p0, depth);
    const int64_t strips = (g_.n + T::kColumns - 1) / T::kColumns;
    share_strips(strips, std::clamp<int64_t>(strips / (8 * team_), 1, kGroup), [&](int64_t first, int64_t end) {
      const int64_t j0 = first * T::kColumns, columns = std::min(end * T::kColumns, g_.n) - j0;
      A* const packed_b = kept<Block, A>((end - first) * T::kColumns * depth_);
      for (int64_t q = 0; q < depth; q += depth_) {
        const int64_t now = std::min(depth_, depth - q);
        pack_b(j0, columns, p0 + q, now, packed_b);
        multiply(advanced(left, q), {j0, columns, packed_b, now}, p0 + q, now);
      }
    });
  }

  // The other way round: columns of B for all threads, blocks of rows of A by one.
  void panel_of_columns(int64_t j0, int64_t columns, int64_t p0, int64_t depth) const {
    const int64_t strips = (columns + T::kColumns - 1) / T::kColumns;
    A* const packed_b = kept<Panel, A>(strips * T::kColumns * depth);
    share_strips(strips, kGroup, [&](int64_t first, int64_t end) {
      const int64_t j = first * T::kColumns;
      pack_b(j0 + j, std::min(end * T::kColumns, columns) - j, p0, depth, packed_b + j * depth);
    });
    // Smaller blocks let threads end together, but pack shorter pieces of the rows of A^T, and read B once more each,
    // for nothing if the second cache holds it.
    const bool costs =
        g_.transpose_a || strips * T::kColumns * depth_ * static_cast<int64_t>(sizeof(A)) > second_cache();
    const int64_t block = std::clamp(tiles_ / ((costs ? 4 : 16) * team_), kLeastTiles, block_rows_ / T::kRows);
    const int64_t blocks = std::min(tiles_, round_up((tiles_ + block - 1) / block, team_));
    share(blocks, [&](int64_t task) {
      const int64_t i0 = tiles_ * task / blocks * T::kRows, i1 = tiles_ * (task + 1) / blocks * T::kRows;
      const int64_t rows = std::min(i1, g_.m) - i0;
      A* const memory = kept<Block, A>(left_size((i1 - i0) / T::kRows, depth_));
      for (int64_t q = 0; q < depth; q += depth_) {
        const int64_t now = std::min(depth_, depth - q);
        if (!reads_a_in_place_) make_left(i0, rows, p0 + q, now, memory, j0 == 0);
        Left left = left_at(i0, rows, p0 + q, now, memory);
        add_rest(left, p0 + q, now);
        multiply(left, {j0, columns, packed_b + q * T::kColumns, depth}, p0 + q, now);
      }
    });
  }

  // Some columns of B, packed in strips that are `step` deep.
  struct Right {
    int64_t first, count;
    const A* strips;
    int64_t step;
  };
  void multiply(const Left& a, const Right& b, int64_t p, int64_t depth) const {
    const Stage stage{p == 0, p + depth == g_.k};
    within<isa>([&] {
      // A block of rows stays in the second cache for all columns.
      for (int64_t i0 = 0; i0 < a.count; i0 += block_rows_) {
        const int64_t i1 = std::min(i0 + block_rows_, a.count);
        for (int64_t j = 0; j < b.count; j += T::kColumns) {
          for (int64_t i = i0; i < i1; i += T::kRows) {
            const int64_t rows = std::min<int64_t>(T::kRows, a.count - i);
            const bool is_rest = a.rest != nullptr && rows < T::kRows;
            const A* const at = a.tiles + i / T::kRows * a.tile_step;
            // Of rows that lie elsewhere, or not at all, there is nothing to fetch.
            const bool has_next = a.count - i >= (a.rest != nullptr ? 2 : 1) * T::kRows;
            tile(is_rest ? typename T::Left{a.rest, a.rest_step} : typename T::Left{at, a.row_step},
                 has_next ? at + a.tile_step : at, b.strips + j * b.step, depth, a.first + i, b.first + j, rows,
                 std::min<int64_t>(T::kColumns, b.count - j), stage);
          }
        }
      }
    });
  }

  struct Stage {
    bool first, last;  // of the blocks along k
  };

  [[gnu::always_inline]] void tile(typename T::Left a, const A* next_a, const A* b, int64_t depth, int64_t row,
                                   int64_t column, int64_t rows, int64_t columns, Stage stage) const {
    A* const sums = sums_ != nullptr ? sums_ + row * sums_step_ + column : nullptr;
    const A* const from = stage.first && !(g_.accumulate && !kRounds) ? nullptr : sums;
    const A* const add = stage.last && bias_ != nullptr ? bias_ + column : nullptr;
    if (rows == T::kRows && columns == T::kColumns && !(kRounds && stage.last)) {
      return T::multiply(a, next_a, b, depth, from, add, sums, sums_step_);
    }
    A square[T::kRows * T::kColumns];
    T::multiply(a, next_a, b, depth, nullptr, nullptr, square, T::kColumns);
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

  const Gemm& g_;
  const In* a_;
  const In* b_;
  Out* c_;
  const A* bias_;
  ColumnSums column_sums_;
  bool reads_a_in_place_ = false;
  int64_t panel_depth_, panel_columns_, depth_, team_, tiles_, block_rows_;
  A* sums_ =
      nullptr;  // what is summed so far: C itself, or a copy in the accumulator's type; null where one block is all
  int64_t sums_step_ = 0;
};

template <class In, class Out>
void run(const Gemm& g, const void* a, const void* b, void* c, const void* bias, const ColumnSums& sums) {
  dispatch_isa([&](auto isa) { Blocked<In, Out, isa>(g, a, b, c, bias, sums).run(); });
}

}  // namespace

void gemm_blocked(const Gemm& g, const void* a, const void* b, void* c, const void* bias, const ColumnSums& sums) {
  if (g.a_type == DType::f64) return run<double, double>(g, a, b, c, bias, sums);
  if (g.a_type == DType::f32) return run<float, float>(g, a, b, c, bias, sums);
  if (g.c_type == DType::f32) return run<bfloat16, float>(g, a, b, c, bias, sums);
  run<bfloat16, bfloat16>(g, a, b, c, bias, sums);
}

}  // namespace gfsa
