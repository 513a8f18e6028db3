// philox.h -- counter-based random numbers: no hidden state, the same values on every device, thread count and rank
// count.
//
// A number is a function of (seed, stream name, step, sample, index): Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011,
// "Parallel random numbers: as easy as 1, 2, 3") with key = mix(seed, stream) and counter = (index, sample, step).
#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/strings.h"

namespace gfsa {

// Which numbers: the key of a family of streams. `sample` and `index` are given at each draw.
struct RandomKey {
  uint64_t key = 0;
  uint32_t step = 0;
  // In device memory, for kernels of that device alone (core/cuda/random.h), or null: {step, n}. The step stands in for
  // `step`, n is added to `sample`. So a kernel in a captured graph draws other numbers at each replay.
  const uint32_t* on_device = nullptr;

  RandomKey() = default;
  RandomKey(uint64_t seed, std::string_view stream, uint64_t step_index = 0)
      : key(mix(seed, hash_name(stream))), step(static_cast<uint32_t>(step_index)) {}

  static constexpr uint64_t mix(uint64_t a, uint64_t b) {  // splitmix64 finaliser over both
    uint64_t z = a * 0x9E3779B97F4A7C15ull + b;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
};

// Philox4x32-10: what a round multiplies words 0 and 2 of the counter by, and adds to the two words of the key.
namespace philox_round {
inline constexpr int kRounds = 10;
inline constexpr uint32_t kFactor0 = 0xD2511F53u, kFactor1 = 0xCD9E8D57u;
inline constexpr uint32_t kKeyStep0 = 0x9E3779B9u, kKeyStep1 = 0xBB67AE85u;
}  // namespace philox_round

// Four 32-bit numbers for counter (index, sample, step). Inline and branch-free, so that loops over it vectorise.
constexpr std::array<uint32_t, 4> philox(const RandomKey& k, uint32_t sample, uint64_t index) {
  uint32_t c0 = static_cast<uint32_t>(index), c1 = static_cast<uint32_t>(index >> 32), c2 = sample, c3 = k.step;
  uint32_t k0 = static_cast<uint32_t>(k.key), k1 = static_cast<uint32_t>(k.key >> 32);
  for (int round = 0; round < philox_round::kRounds; ++round) {
    const uint64_t p0 = uint64_t{philox_round::kFactor0} * c0, p1 = uint64_t{philox_round::kFactor1} * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0, n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1), c3 = static_cast<uint32_t>(p0), c0 = n0, c2 = n2;
    k0 += philox_round::kKeyStep0, k1 += philox_round::kKeyStep1;
  }
  return {c0, c1, c2, c3};
}

// [0, 1), 24 bits.
constexpr float uniform_from_bits(uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24f; }

// A sequential reader over one (key, sample): for host code such as augmentation, shuffles and initialisers.
class RandomSequence {
 public:
  RandomSequence(const RandomKey& key, uint32_t sample = 0) : key_(key), sample_(sample) {}
  uint32_t bits() {
    if (used_ == 4) block_ = philox(key_, sample_, index_++), used_ = 0;
    return block_[used_++];
  }
  // [0, 1) with 53 bits.
  double uniform() {
    const uint64_t a = bits() >> 5, b = bits() >> 6;
    return (static_cast<double>(a) * 67108864.0 + static_cast<double>(b)) * 0x1p-53;
  }
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // [0, n), unbiased (rejection); n >= 1.
  uint64_t below(uint64_t n) {
    const uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    while (true) {
      const uint64_t x = static_cast<uint64_t>(bits()) << 32 | bits();
      if (x < limit) return x % n;
    }
  }
  // Standard normal by Box-Muller (one value a call; the second is dropped so that a call's cost in numbers is fixed).
  double normal() {
    const double u = 1.0 - uniform(), v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586476925 * v);
  }

 private:
  RandomKey key_;
  uint32_t sample_;
  uint64_t index_ = 0;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace gfsa
