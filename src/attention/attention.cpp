#include "attention/attention.h"

#include <cmath>

#include "attention/arguments.h"
#include "attention/flops.h"
#include "attention/implementations.h"
#include "attention/kernels/problem.h"
#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"

namespace gfsa {
namespace {

using kernels::Problem;
using kernels::with_dense_rows;

// Backward must see what forward saw: a copy, unless `made` is ours already.
Tensor own_copy(const Tensor& made, const Tensor& given) {
  return made.shares_storage_with(given) ? made.clone() : made;
}

// From [1, N, C] to sequences.
void take_offsets(const AttentionInputs& in, const AttentionOptions& options, Expect& e, Problem& p) {
  if (!in.offsets) return;
  e.that(!in.key_mask && !in.key_lengths && !in.bias, "offsets come without key_mask, key_lengths and bias");
  e.that(p.batch == 1 && p.rows == p.keys, "with offsets there is one row of sequences, not {} ({} queries, {} keys)",
         p.batch, p.rows, p.keys);
  e.same_device("offsets", in.offsets, p.q);
  e.dtype("offsets", in.offsets, {DType::i64});
  e.that(in.offsets.rank() == 1 && in.offsets.dim(0) >= 1, "offsets have shape {}, expected [sequences + 1]",
         in.offsets.shape().text());
  e.that(options.longest >= 0, "longest is {}", options.longest);
  const int64_t n = p.rows;
  p.batch = in.offsets.dim(0) - 1;
  if (!is_on_cpu(p.q)) {
    p.offsets = own_copy(in.offsets.contiguous(), in.offsets);
    if (options.longest > 0) p.rows = p.keys = std::min(n, options.longest);
    return;
  }
  p.starts = in.offsets.to_vector<int64_t>();
  e.that(p.starts.front() == 0 && p.starts.back() == n, "offsets go from {} to {}, expected 0 to {}", p.starts.front(),
         p.starts.back(), n);
  p.rows = p.keys = 0;
  for (size_t s = 1; s < p.starts.size(); ++s) {
    e.that(p.starts[s] >= p.starts[s - 1], "offsets[{}] is {} after {}", s, p.starts[s], p.starts[s - 1]);
    p.rows = p.keys = std::max(p.rows, p.starts[s] - p.starts[s - 1]);
  }
}

void check_masks(const AttentionInputs& in, Expect& e, const Problem& p) {
  if (in.key_lengths) {
    e.same_device("key_lengths", in.key_lengths, p.q);
    e.dtype("key_lengths", in.key_lengths, {DType::i64, DType::i32});
    e.that(in.key_lengths.shape() == Shape{p.batch}, "key_lengths has shape {}, expected [{}]",
           in.key_lengths.shape().text(), p.batch);
  }
  if (in.key_mask) {
    e.same_device("key_mask", in.key_mask, p.q);
    e.dtype("key_mask", in.key_mask, {DType::boolean});
    e.that(in.key_mask.shape() == Shape{p.batch, p.keys}, "key_mask has shape {}, expected [{}, {}]",
           in.key_mask.shape().text(), p.batch, p.keys);
  }
}

void take_masks_on_device(const AttentionInputs& in, Problem& p) {
  if (in.key_lengths) p.lengths = own_copy(in.key_lengths.to(DType::i64).contiguous(), in.key_lengths);
  if (in.key_mask) p.keep = own_copy(in.key_mask.contiguous(), in.key_mask);
}

// Keys that nobody sees at the end are cut off; masks with holes below that are kept.
void take_masks(const AttentionInputs& in, Expect& e, Problem& p) {
  p.width.assign(static_cast<size_t>(p.batch), p.keys);
  if (in.key_lengths) {
    const auto lengths = in.key_lengths.to_vector<int64_t>();
    for (size_t b = 0; b < lengths.size(); ++b) {
      e.that(lengths[b] >= 0 && lengths[b] <= p.keys, "key_lengths[{}] is {}, expected 0 to {}", b, lengths[b], p.keys);
      p.width[b] = lengths[b];
    }
  }
  if (!in.key_mask) return;
  const Tensor mask = in.key_mask.contiguous();
  bool holes = false;
  for (int64_t b = 0; b < p.batch; ++b) {
    const bool* keep = mask.data<bool>() + b * p.keys;
    int64_t& width = p.width[static_cast<size_t>(b)];
    while (width > 0 && !keep[width - 1]) --width;
    for (int64_t j = 0; j < width; ++j) holes = holes || !keep[j];
  }
  if (holes) p.keep = own_copy(mask, in.key_mask);
}

void take_bias(const AttentionInputs& in, Expect& e, Problem& p) {
  if (!in.bias) return;
  const Shape& s = in.bias.shape();
  e.same_device("bias", in.bias, p.q);
  e.dtype("bias", in.bias, {accumulator_of(p.dtype)});
  e.that(s.rank() == 4 && (s[0] == 1 || s[0] == p.batch) && (s[1] == 1 || s[1] == p.heads) && s[2] == p.rows &&
             s[3] == p.keys,
         "bias has shape {}, expected [1 or {}, 1 or {}, {}, {}]", s.text(), p.batch, p.heads, p.rows, p.keys);
  p.bias = with_dense_rows(in.bias.detach());
}

std::shared_ptr<const Problem> make_problem(const AttentionInputs& in, const AttentionOptions& options) {
  auto p = std::make_shared<Problem>();
  Expect e("attention");
  kernels::take_queries_keys_values(in, options.heads, e, *p);
  take_offsets(in, options, e, *p);
  check_masks(in, e, *p);
  if (is_on_cpu(p->q)) {
    take_masks(in, e, *p);
  } else {
    take_masks_on_device(in, *p);
  }
  take_bias(in, e, *p);
  kernels::take_coefficients(in, e, *p);
  e.that(!options.causal || p->rows == p->keys, "causal attention needs as many queries as keys, here {} and {}",
         p->rows, p->keys);
  e.that(options.dropout >= 0 && options.dropout < 1, "dropout is {}, expected 0 <= p < 1", options.dropout);
  e.that(options.block_rows >= 0, "block_rows is {}", options.block_rows);
  p->scale = options.scale.value_or(1.0 / std::sqrt(static_cast<double>(p->head_size)));
  p->causal = options.causal;
  p->dropout = options.dropout;
  // Of a plain softmax, filter first and dropout first are the same.
  p->dropout_order = in.coefficients ? options.dropout_order : DropoutOrder::dropout_first;
  p->dropout_key = options.dropout_key;
  p->sample0 = options.sample0;
  p->block_rows = options.block_rows;
  return p;
}

kernels::Target target(GradOut& out, size_t i) {
  if (!out.wants(i)) return {};
  const auto t = out.target(i);
  return {t.tensor, t.accumulate};
}

// [B, H, k + 2] -> [H, k + 2], in order.
Tensor sum_over_batch(const std::vector<double>& parts, const Problem& p, DType dtype) {
  const size_t row = static_cast<size_t>(p.heads * (p.degree + 2));
  std::vector<double> sum(row);
  for (size_t e = 0; e < parts.size(); ++e) sum[e % row] += parts[e];
  return Tensor::from<double>({p.heads, p.degree + 2}, sum).to(dtype);
}

}  // namespace

Tensor attention(const AttentionInputs& in, const AttentionOptions& options) {
  const OpRange range("attention");
  const auto problem = make_problem(in, options);
  const AttentionCase attention_case{problem->q.device().type, in.coefficients.defined(), options.dropout,
                                     options.dropout_order,    problem->head_size,        options.causal,
                                     problem->degree};
  const Implementation& implementation = find_implementation(choose_attention(attention_case, options.form).name);

  std::vector<Tensor> inputs = in.qkv ? std::vector<Tensor>{in.qkv} : std::vector<Tensor>{in.q, in.k, in.v};
  const size_t coefficients_at = inputs.size(), bias_at = inputs.size() + 1;
  inputs.push_back(in.coefficients);
  inputs.push_back(in.bias);
  bool recorded = false;
  for (const Tensor& x : inputs) recorded = recorded || (grad_enabled() && requires_grad(x));

  const Tensor out = Tensor::empty(problem->q.shape(), problem->dtype, problem->q.device());
  const kernels::Saved saved = implementation.forward(*problem, out, recorded);
  if (range.is_open()) profile::set_flops(forward_flops(*problem));
  const DType coefficient_type = accumulator_of(problem->dtype);
  const bool packed = in.qkv.defined();
  return record("attention", out, inputs, [=, backward = implementation.backward](Tensor dy, GradOut& grad) {
    const Problem& p = *problem;
    if (profile::is_on()) profile::set_flops(2 * forward_flops(p));
    kernels::Gradients to;
    if (!packed) {
      to.q = target(grad, 0);
      to.k = target(grad, 1);
      to.v = target(grad, 2);
    } else if (grad.wants(0)) {
      const auto t = grad.target(0);
      const int64_t width = p.heads * p.head_size;
      to.q = {t.tensor.slice(2, 0, width), t.accumulate};
      to.k = {t.tensor.slice(2, width, 2 * width), t.accumulate};
      to.v = {t.tensor.slice(2, 2 * width, 3 * width), t.accumulate};
    }
    to.bias = target(grad, bias_at);
    std::vector<double> parts;
    if (grad.wants(coefficients_at) && !is_on_cpu(dy)) {
      to.device_coefficients = Tensor::empty({p.heads, p.degree + 2}, DType::f32, dy.device());
    } else if (grad.wants(coefficients_at)) {
      parts.resize(static_cast<size_t>(p.batch * p.heads * (p.degree + 2)));
      to.coefficients = parts.data();
    }
    backward(p, saved, with_dense_rows(dy), to);
    if (to.coefficients != nullptr) grad.give(coefficients_at, sum_over_batch(parts, p, coefficient_type));
    if (to.device_coefficients) grad.give(coefficients_at, to.device_coefficients);
  });
}

}  // namespace gfsa
