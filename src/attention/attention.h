// attention.h -- multi-head attention with a polynomial filter of the attention matrix: the contract.
//
//   out_h = cu U V + c0 V + c1 A V + c2 A A V + ... + ck A^k V            for each head h, its own coefficients
//
//   A  row softmax of scale Q K^T + bias over the keys a row may see; a row that sees none is a row of zeros
//   U  the uniform average over the same keys (AttnScale needs it)
//
// Plain softmax attention is A V. GFSA is the case k = 2 (source: NeurIPS 2024, arXiv 2312.04234). Filters
// (filter.h) make the coefficients; kernels know coefficients only.
//
// Shapes: B batch, N sequence, H heads, D head size, C = H D. Head h owns the columns h D .. h D + D - 1, so the result
// is already concatenated and nothing is transposed in memory. Types: f64, f32, bf16; scores, softmax and sums in f32
// (f64 for f64); for bf16 the probabilities are rounded to bf16 before they multiply V, as in every bf16 attention.
// Saved for backward: the inputs, and k - 1 tensors of the output's size for a filter of degree k (one for GFSA, none
// for softmax or while c2 = ... = ck = 0). On the CPU two numbers a row too, and the output of causal attention. On
// GPUs the output, a number a row, and the k - 1 tensors in any case. No form saves an n x n tensor. GPUs read no input
// on the host. With a cache, token after token: decode.h.
//
// Determinism: each (batch, head) is one thread's work, sums over batch and heads go in order: the same bits on any
// number of threads. A single head (B H = 1) runs on one of them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/philox.h"
#include "core/tensor.h"

namespace gfsa {

enum class AttentionForm {
  automatic,      // the first implementation of the list that accepts the case
  explicit_form,  // A and its powers as n x n matrices (scratch of one head a thread); serves everything; the reference
  one_sweep,      // two_pass for causal attention, all passes visiting a tile of A at once; GPUs: if it is asked for
  two_pass,       // Horner's rule on n x D blocks: never a product of two n x n matrices
};

// Where dropout acts. dropout_first: drop(A) is what the polynomial is of. filter_first: entries of the finished filter
// drop. U and I are not dropped by dropout_first. Without filter the two are the same.
enum class DropoutOrder { filter_first, dropout_first };

// All on one device.
struct AttentionInputs {
  Tensor qkv;      // [B, N, 3 C]: q, k, v side by side, read in place; its gradient is one tensor too. Or instead:
  Tensor q, k, v;  // [B, Nq, C], [B, Nk, C], [B, Nk, C]
  // [H, k + 2] = (cu, c0, c1, ..., ck), f32 (f64 if q is), k >= 1. Undefined: softmax. Needs Nq = Nk.
  Tensor coefficients;
  Tensor bias;      // [1|B, 1|H, Nq, Nk], f32 (f64 if q is); added to the scaled scores; may hold -inf
  Tensor key_mask;  // bool [B, Nk]: true = may be seen
  // i64 or i32 [B]: keys at or beyond it may not be seen; with key_mask, both hold. Not within [0, Nk]: an error on the
  // CPU, cut off on GPUs.
  Tensor key_lengths;
  // i64 [S + 1], from 0 to N, never decreasing: S sequences stand one after the other in a single row without padding,
  // qkv is [1, N, 3 C] or q, k, v are [1, N, C], and sequence s, rows offsets[s] .. offsets[s + 1] - 1, attends to
  // itself alone. The result is [1, N, C]; everything else is as if the sequences were S samples of a batch, each with
  // its own length, dropout's numbers too. Not together with key_mask, key_lengths and bias. Offsets that are not so:
  // an error on the CPU; on GPUs no memory beyond the tensors is touched, but rows may be left unwritten.
  Tensor offsets;
};

struct AttentionOptions {
  int64_t heads = 1;
  std::optional<double> scale;  // of the scores; 1 / sqrt(D) unless given
  bool causal = false;          // row i sees keys 0 .. i; needs Nq = Nk
  // Probability of dropping, 0 in evaluation. Element (b, h, i, j) is number (h Nq + i) Nk + j of sample `sample0 + b`,
  // four numbers a Philox call as in ops/dropout.h: the same mask in every form, pass, chunk of the batch and number of
  // threads. With offsets, b is the sequence and Nq = Nk its own length.
  double dropout = 0;
  DropoutOrder dropout_order = DropoutOrder::filter_first;
  RandomKey dropout_key;
  uint32_t sample0 = 0;
  AttentionForm form = AttentionForm::automatic;
  // With offsets: no sequence is longer; 0: not known. The CPU knows better and ignores it. GPUs lay out their work for
  // S sequences of this length; the explicit form takes memory for as many. Too small: rows are left unwritten.
  int64_t longest = 0;
  // CPU: rows a block of the two-pass form, up to what products take at once (6, 12) and to 96; 0: from the cache
  // sizes. GPUs: rows a super-block of the one-sweep form, up to 32 or a multiple of 64; 0: 256. (Tests force many
  // blocks.)
  int64_t block_rows = 0;
};

// [B, Nq, C] ([1, N, C] with offsets) in q's type. Differentiable in qkv or q, k, v, in coefficients and in bias.
// Errors: misshapen arguments; a form that cannot serve the case (bad input, with the way out).
Tensor attention(const AttentionInputs& inputs, const AttentionOptions& options);

// What decides which implementations may serve, known before any tensor exists (--dry-run, config checks).
struct AttentionCase {
  DeviceType device = DeviceType::cpu;
  bool filtered = false;  // coefficients are given
  double dropout = 0;     // in training
  DropoutOrder dropout_order = DropoutOrder::filter_first;
  int64_t head_size = 0;  // 0: not known yet
  bool causal = false;
  int64_t degree = 1;  // k of the filter
};

struct AttentionChoice {
  std::string name;                                           // "two_pass"
  std::vector<std::pair<std::string, std::string>> rejected;  // (implementation, why not)
  std::string text() const;                                   // "two_pass", "explicit (not two_pass: ...)"
};

// The implementation that `form` gets in this case. Bad input if it must not be used or none is left.
AttentionChoice choose_attention(const AttentionCase& attention_case, AttentionForm form);

AttentionForm parse_attention_form(const std::string& name);  // "auto", "explicit", "two_pass", "one_sweep"
DropoutOrder parse_dropout_order(const std::string& name);    // "filter_first", "dropout_first"

}  // namespace gfsa
