// warp.h -- collectives of a warp, matrix fragments, asynchronous copies and conversions of the emulated device.
#pragma once

#include <cmath>

#include "core/cuda/emulated/pointers.h"
#include "core/dtype.h"

namespace gfsa::emulated {

struct ShuffleOperand {
  uint64_t in = 0, out = 0;
  uint32_t source = 0;  // lane
};
void shuffle_bits(ShuffleOperand& operand, uint32_t mask, const Where& where);
uint32_t vote(bool predicate, uint32_t mask, const Where& where);  // ballot

template <class T>
T shuffle_from(T v, uint32_t source, uint32_t mask, const Where& where) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copy_constructible_v<T>);
  ShuffleOperand operand{.source = source};
  std::memcpy(&operand.in, static_cast<const void*>(&v), sizeof(T));
  shuffle_bits(operand, mask, where);
  std::memcpy(static_cast<void*>(&v), &operand.out, sizeof(T));
  return v;
}
template <class T>
T shuffle(T v, int source, uint32_t mask = kAllLanes, Where where = Where::current()) {
  return shuffle_from(v, static_cast<uint32_t>(source) % kWarpSize, mask, where);
}
template <class T>
T shuffle_up(T v, uint32_t n, uint32_t mask = kAllLanes, Where where = Where::current()) {
  const uint32_t lane = current_thread->lane;
  return shuffle_from(v, n <= lane ? lane - n : lane, mask, where);
}
template <class T>
T shuffle_down(T v, uint32_t n, uint32_t mask = kAllLanes, Where where = Where::current()) {
  const uint32_t lane = current_thread->lane;
  return shuffle_from(v, lane + n < kWarpSize ? lane + n : lane, mask, where);
}
template <class T>
T shuffle_xor(T v, uint32_t bits, uint32_t mask = kAllLanes, Where where = Where::current()) {
  return shuffle_from(v, (current_thread->lane ^ bits) % kWarpSize, mask, where);
}
inline uint32_t vote_ballot(bool predicate, uint32_t mask = kAllLanes, Where where = Where::current()) {
  return vote(predicate, mask, where);
}
inline bool vote_any(bool predicate, uint32_t mask = kAllLanes, Where where = Where::current()) {
  return vote(predicate, mask, where) != 0;
}
inline bool vote_all(bool predicate, uint32_t mask = kAllLanes, Where where = Where::current()) {
  return vote(predicate, mask, where) == mask;
}
void sync_warp(uint32_t mask = kAllLanes, Where where = Where::current());

// One collective instead of five shuffles, with the sums of the butterfly: the same bits.
template <class T, class F>
T butterfly(T v, const Where& where, F) {
  const Complete complete = [](Block&, uint32_t, void* const* operands, uint32_t) {
    T values[kWarpSize], next[kWarpSize];
    for (uint32_t i = 0; i < kWarpSize; ++i) values[i] = *static_cast<T*>(operands[i]);
    for (uint32_t bits = kWarpSize / 2; bits > 0; bits /= 2) {
      for (uint32_t i = 0; i < kWarpSize; ++i) next[i] = F{}(values[i], values[i ^ bits]);
      std::copy(next, next + kWarpSize, values);
    }
    for (uint32_t i = 0; i < kWarpSize; ++i) *static_cast<T*>(operands[i]) = values[i];
  };
  current_block->collective(Collective::reduce, kAllLanes, &v, complete, where);
  return v;
}
template <class T>
T warp_sum(T v, Where where = Where::current()) {
  return butterfly(v, where, [](T a, T b) { return a + b; });
}
template <class T>
T warp_max(T v, Where where = Where::current()) {
  return butterfly(v, where, [](T a, T b) {
    if constexpr (std::is_floating_point_v<T>) return std::fmax(a, b);
    return a < b ? b : a;
  });
}

// Row addresses of lanes from 8 * count on are not looked at.
void load_matrices(uint32_t* registers, int count, bool transposed, Shared<const bfloat16> row, const Where& where);
template <int N>
void ldmatrix(uint32_t (&r)[N], Shared<const bfloat16> row, Where where = Where::current()) {
  static_assert(N == 1 || N == 2 || N == 4);
  load_matrices(r, N, false, row, where);
}
template <int N>
void ldmatrix_transposed(uint32_t (&r)[N], Shared<const bfloat16> row, Where where = Where::current()) {
  static_assert(N == 1 || N == 2 || N == 4);
  load_matrices(r, N, true, row, where);
}
void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Where where = Where::current());
void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], Where where = Where::current());

void start_copy(uint32_t to, AddressRange to_range, uintptr_t from, AddressRange from_range, uint32_t bytes,
                uint32_t valid_bytes, const Where& where);
template <int kBytesOfCopy, class T, class U>
void copy_async(const Shared<T>& to, int64_t i, const Global<U>& from, int64_t j, int valid_bytes = kBytesOfCopy,
                Where where = Where::current()) {
  static_assert(kBytesOfCopy == 4 || kBytesOfCopy == 8 || kBytesOfCopy == 16);
  static_assert(std::is_same_v<std::remove_const_t<U>, T>);
  start_copy(to.address(i), to.range(), from.address(j), from.range(), kBytesOfCopy, static_cast<uint32_t>(valid_bytes),
             where);
}
void copy_async_commit();
void finish_copies(uint32_t groups_left);
template <int kGroupsLeft>
void copy_async_wait() {
  finish_copies(kGroupsLeft);
}
void copy_async_wait_all();

inline uint32_t bits_of(float x) { return std::bit_cast<uint32_t>(x); }
inline float float_of(uint32_t bits) { return std::bit_cast<float>(bits); }
inline float to_float(bfloat16 x) { return float_of(static_cast<uint32_t>(x.bits) << 16); }
// cvt.rn.bf16.f32: to nearest even; every NaN becomes 0x7FFF.
inline bfloat16 to_bfloat16(float x) {
  bfloat16 y(x);
  if (std::isnan(x)) y.bits = 0x7FFF;
  return y;
}
inline uint32_t pack_bf16(float low, float high) {
  return to_bfloat16(low).bits | static_cast<uint32_t>(to_bfloat16(high).bits) << 16;
}
inline float low_of(uint32_t pair) { return float_of(pair << 16); }
inline float high_of(uint32_t pair) { return float_of(pair & 0xFFFF0000u); }
// cvt.rna.tf32.f32: to nearest, ties away from zero; 10 bits of fraction stay. NaN becomes 0x7FFFFFFF.
inline uint32_t to_tf32(float x) {
  if (std::isnan(x)) return 0x7FFFFFFFu;
  if (std::isinf(x)) return bits_of(x);
  return (bits_of(x) + 0x1000u) & 0xFFFFE000u;
}

inline float flush(float x) { return std::fabs(x) < 0x1p-126f ? std::copysign(0.0f, x) : x; }
inline float exp2_fast(float x) { return flush(std::exp2(flush(x))); }
inline float log2_fast(float x) { return std::log2(flush(x)); }
inline float rsqrt_fast(float x) { return static_cast<float>(1.0 / std::sqrt(static_cast<double>(flush(x)))); }

}  // namespace gfsa::emulated
