// register_tile.h -- what matrix products of our own are made of: vector registers by width and instruction set, and
// operands packed into the order in which a tile of registers reads them.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/cpu/simd.h"
#include "core/dtype.h"

namespace gfsa {

inline int64_t round_up(int64_t x, int64_t unit) { return (x + unit - 1) / unit * unit; }

// Asks for rows of memory that are needed soon: they stand so far apart that the processor does not guess the next one.
template <class In>
[[gnu::always_inline]] inline void fetch_rows(const In* x, int64_t step, int64_t rows, int64_t columns) {
  constexpr int64_t kLine = 64 / sizeof(In);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t k = 0; k < columns; k += kLine) __builtin_prefetch(x + r * step + k);
  }
}

// Numbers in a register.
template <class A, simd::Isa isa>
inline constexpr int kRegisterWidth = static_cast<int>((isa == simd::Isa::avx512 ? 64
                                                        : isa == simd::Isa::avx2 ? 32
                                                                                 : 16) /
                                                       sizeof(A));

// W registers of W numbers, transposed: log W steps that exchange halves between pairs of registers.
template <class A, int W>
struct Square {
  using V = typename Register<A, W>::type;
  template <int kHalf, int... i>
  [[gnu::always_inline]] static void exchange(V& x, V& y, std::integer_sequence<int, i...> /*lanes*/) {
    const V low = __builtin_shufflevector(x, y, ((i & kHalf) != 0 ? W + i - kHalf : i)...);
    const V high = __builtin_shufflevector(x, y, ((i & kHalf) != 0 ? W + i : i + kHalf)...);
    x = low, y = high;
  }
  template <int kHalf = W / 2>
  [[gnu::always_inline]] static void transpose(V (&rows)[W]) {
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) {
      if ((i & kHalf) == 0) exchange<kHalf>(rows[i], rows[i + kHalf], std::make_integer_sequence<int, W>{});
    }
    if constexpr (kHalf > 1) transpose<kHalf / 2>(rows);
  }
  template <class In>
  [[gnu::always_inline]] static void load(const In* from, V& to) {
    A wide[W];
    for (int i = 0; i < W; ++i) wide[i] = static_cast<A>(from[i]);
    std::memcpy(&to, wide, sizeof to);
  }
};

// Packs `lanes` columns of an operand over `depth` steps of k, x[p * step + i], or rows of it, x[i * step + p]
// (k_runs), in strips of kLanes, the last one filled up with zeros: out[i / kLanes * strip_step + p * kLanes + i %
// kLanes].
template <class A, class In, int W, int kLanes>
[[gnu::always_inline]] inline void pack_strips(const In* x, int64_t step, bool k_runs, int64_t lanes, int64_t depth,
                                               A* out, int64_t strip_step) {
  const auto one_by_one = [&](A* to, int64_t p, int64_t first, int64_t end) {
    for (int64_t i = first; i < end; ++i) {
      to[i % kLanes] = i >= lanes ? A(0) : static_cast<A>(k_runs ? x[i * step + p] : x[p * step + i]);
    }
  };
  if (!k_runs) {  // rows are read whole, as memory likes it
    constexpr int64_t kRowsAhead = 8, kLine = 64 / sizeof(In);
    for (int64_t p = 0; p < depth; ++p) {
      A* to = out + p * kLanes;
      const In* from = x + p * step;
      for (int64_t i = 0; i < lanes; i += kLine) __builtin_prefetch(from + kRowsAhead * step + i);
      int64_t i = 0;
      for (; i + kLanes <= lanes; i += kLanes, to += strip_step) {
        // By registers, the last two of which overlap: by way of memory, what is read there would have to wait for
        // several stores before it.
        constexpr int kPiece = kLanes % W == 0 ? W : static_cast<int>(std::bit_floor(static_cast<unsigned>(kLanes)));
        constexpr int kPieces = (kLanes + kPiece - 1) / kPiece;
        typename Register<A, kPiece>::type pieces[kPieces];
        const auto place = [](int n) { return std::min(n * kPiece, kLanes - kPiece); };
#pragma GCC unroll 16
        for (int n = 0; n < kPieces; ++n) Square<A, kPiece>::load(from + i + place(n), pieces[n]);
#pragma GCC unroll 16
        for (int n = 0; n < kPieces; ++n) std::memcpy(to + place(n), &pieces[n], sizeof pieces[n]);
      }
      if (i < lanes) one_by_one(to, p, i, i + kLanes);
    }
    return;
  }
  constexpr int64_t kAhead = 256 / sizeof(In);  // so far that the next lines of W rows arrive in time
  for (int64_t strip = 0; strip < lanes; strip += kLanes, out += strip_step) {
    for (int64_t first = 0; first < kLanes; first += W) {
      const int64_t end = std::min<int64_t>(first + W, kLanes);
      int64_t p = 0;
      for (; p + W <= depth; p += W) {
        typename Register<A, W>::type rows[W];
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
          rows[i] = decltype(rows[i] + rows[i]){};
          if (strip + first + i >= lanes) continue;
          const In* from = x + (strip + first + i) * step + p;
          __builtin_prefetch(from + kAhead);
          Square<A, W>::load(from, rows[i]);
        }
        Square<A, W>::transpose(rows);
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
          std::memcpy(out + (p + i) * kLanes + first, &rows[i], static_cast<size_t>(end - first) * sizeof(A));
        }
      }
      for (; p < depth; ++p) one_by_one(out + p * kLanes, p, strip + first, strip + end);
    }
  }
}

// f(constant) with the active instruction set, for what is compiled for each of them.
template <class F>
void dispatch_isa(const F& f) {
  switch (simd::active()) {
    case simd::Isa::avx512:
      return f(std::integral_constant<simd::Isa, simd::Isa::avx512>{});
    case simd::Isa::avx2:
      return f(std::integral_constant<simd::Isa, simd::Isa::avx2>{});
    case simd::Isa::baseline:
      return f(std::integral_constant<simd::Isa, simd::Isa::baseline>{});
  }
}

// Runs body compiled for one instruction set.
template <simd::Isa isa, class Body>
void within(const Body& body) {
  if constexpr (isa == simd::Isa::avx512) {
    simd::run_avx512(body);
  } else if constexpr (isa == simd::Isa::avx2) {
    simd::run_avx2(body);
  } else {
    simd::run_baseline(body);
  }
}

}  // namespace gfsa
