// decode.h -- causal attention with a cache, for generation: each new token costs O(n D) a head, exactly.
//
// Row t of A^j V is sum over i <= t of A_ti (A^(j-1) V)_i, and under a causal mask no row changes once it is made. So
// the cache holds, beside K and V, Y_j = A^j V for j = 1 .. k - 1 of a filter of degree k (one more vector a token and
// head for GFSA, none for softmax), and for coefficients with cu the running sum of V. Any filter of attention.h.
//
// What comes out is what attention() with `causal` gives for the same rows of the whole sequence, but for rounding.
// Forward alone: nothing is recorded, and there is no dropout. f64 (CPU), f32, bf16; sums in the accumulator's type.
#pragma once

#include <vector>

#include "attention/attention.h"

namespace gfsa {

// The past of one layer: B sequences, each with its own length. Movable; a copy shares the memory, so do not step both.
class AttentionCache {
 public:
  struct Spec {
    int64_t sequences = 0, heads = 1, head_size = 0;
    int64_t degree = 1;  // of the layer's filter; 1 for softmax
    DType dtype = DType::f32;
    Device device = {};
  };
  // Empty, with room for `capacity` tokens a sequence.
  explicit AttentionCache(const Spec& spec, int64_t capacity = 0);

  const Spec& spec() const { return spec_; }
  // Tokens of each sequence, on the host.
  const std::vector<int64_t>& lengths() const { return lengths_; }
  int64_t longest() const;
  // Room for sequences of this many tokens. attention_step() doubles the room where there is none left, so that n
  // tokens are copied O(n) times altogether.
  void reserve(int64_t tokens);
  int64_t capacity() const { return capacity_; }
  uint64_t bytes() const { return keys_.bytes() + values_.bytes() + sums_.bytes(); }
  // Sequence i becomes what sequence from[i] was; there may be more or fewer than before (beams, finished texts).
  void select(const std::vector<int64_t>& from);

 private:
  friend Tensor attention_step(const AttentionInputs&, const AttentionOptions&, AttentionCache&,
                               const std::vector<int64_t>&);
  // New memory for spec_.sequences, `tokens` each, and in it what select() says.
  void rebuild(int64_t tokens, const std::vector<int64_t>& from);

  Spec spec_;
  int64_t capacity_ = 0;
  std::vector<int64_t> lengths_;
  Tensor keys_;            // [B, H, capacity, D]
  Tensor values_;          // [B, H, capacity, k D]: V, Y_1, ..., Y_(k-1) side by side
  Tensor sums_;            // [B, H, D] of the accumulator's type: sums of V
  Tensor device_lengths_;  // i64 [B], on GPUs
};

// The next M >= 1 tokens of every sequence: appended to the cache, and their rows of the result, [B, M, C] in q's type.
// A whole prompt goes in at once; prompts of different lengths are padded at their ends, and counts[b] <= M says how
// many tokens of sequence b are real (empty: all M; 0: a sequence that has ended). Rows of padding are zeros.
//
// inputs: qkv [B, M, 3 C], or q, k, v [B, M, C]; coefficients; nothing else. options: heads, scale; `causal` must be
// set, dropout 0. On GPUs (degree + 1) x head size is at most 16384; the host waits for nothing if counts are empty and
// no room has to be made. Errors: shapes, type, device or degree that are not the cache's; bias, masks or offsets.
Tensor attention_step(const AttentionInputs& inputs, const AttentionOptions& options, AttentionCache& cache,
                      const std::vector<int64_t>& counts = {});

}  // namespace gfsa
