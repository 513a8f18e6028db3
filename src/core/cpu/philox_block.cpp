#include "core/cpu/philox_block.h"

#include <cstring>
#include <utility>

#include "core/cpu/simd.h"

namespace gfsa {
namespace {

// What the rounds add to the counters, in memory: registers are broadcast from there for nothing.
using Keys = uint64_t[2][philox_round::kRounds];

// kLanes counters, one a 64-bit lane. Upper halves may hold anything: products and results read the lower ones.
template <int kLanes>
struct PhiloxLanes {
  using V = typename Register<uint64_t, kLanes>::type;

  [[gnu::always_inline]] static void multiply(const V& a, const V& b, V& product) {
#ifdef __clang__
    product = (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#else  // GCC would multiply 64 bits by 64
    asm("vpmuludq %2, %1, %0" : "=v"(product) : "v"(a), "v"(b));
#endif
  }
  // Numbers of `low` and `high` in turn, from lane kFirst on.
  template <int kFirst, int... i>
  [[gnu::always_inline]] static void store_pairs(const V& low, const V& high, uint32_t* out,
                                                 std::integer_sequence<int, i...> /*lanes*/) {
    const V pairs = __builtin_shufflevector(low, high, (kFirst + i / 2 + i % 2 * kLanes)...);
    std::memcpy(out, &pairs, sizeof pairs);
  }

  [[gnu::always_inline]] static void draw(const Keys& keys, uint32_t step, uint32_t sample, uint64_t first,
                                          uint32_t* out) {
    static constexpr uint64_t kOffsets[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    V index;
    std::memcpy(&index, kOffsets, sizeof index);
    index += first;
    const V zero{}, m0 = zero + philox_round::kFactor0, m1 = zero + philox_round::kFactor1;
    V c0 = index, c1 = index >> 32, c2 = zero + sample, c3 = zero + step;
#pragma GCC unroll 10
    for (int round = 0; round < philox_round::kRounds; ++round) {
      V p0, p1;
      multiply(m0, c0, p0), multiply(m1, c2, p1);
      c0 = (p1 >> 32) ^ c1 ^ keys[0][round], c2 = (p0 >> 32) ^ c3 ^ keys[1][round];
      c1 = p1, c3 = p0;
    }
    const V low = (c0 & 0xFFFFFFFFu) | c1 << 32, high = (c2 & 0xFFFFFFFFu) | c3 << 32;
    constexpr auto kAll = std::make_integer_sequence<int, kLanes>{};
    store_pairs<0>(low, high, out, kAll);
    store_pairs<kLanes / 2>(low, high, out + 2 * kLanes, kAll);
  }
};

struct Block {
  Keys keys;
  uint32_t step, sample;
  uint64_t first;
  int64_t counters;
  uint32_t* out;
};
template <int kLanes>
[[gnu::always_inline]] inline void draw_all(const Block& b) {
  for (int64_t i = 0; i < b.counters; i += kLanes) {
    PhiloxLanes<kLanes>::draw(b.keys, b.step, b.sample, b.first + static_cast<uint64_t>(i), b.out + 4 * i);
  }
}
// Not by simd::run, whose bodies unoptimised builds also compile for no instruction set in particular.
[[gnu::target("avx512f")]] void draw_avx512(const Block& b) { draw_all<8>(b); }
[[gnu::target("avx2")]] void draw_avx2(const Block& b) { draw_all<4>(b); }

}  // namespace

void philox_block(const RandomKey& key, uint32_t sample, uint64_t first, int64_t counters, uint32_t* out) {
  const simd::Isa isa = simd::active();
  if (isa == simd::Isa::baseline) {
    for (int64_t i = 0; i < counters; ++i) {
      const auto numbers = philox(key, sample, first + static_cast<uint64_t>(i));
      std::memcpy(out + 4 * i, numbers.data(), sizeof numbers);
    }
    return;
  }
  Block block{{}, key.step, sample, first, counters, out};
  for (uint32_t round = 0; round < philox_round::kRounds; ++round) {
    block.keys[0][round] = static_cast<uint32_t>(key.key) + round * philox_round::kKeyStep0;
    block.keys[1][round] = static_cast<uint32_t>(key.key >> 32) + round * philox_round::kKeyStep1;
  }
  isa == simd::Isa::avx512 ? draw_avx512(block) : draw_avx2(block);
}

}  // namespace gfsa
