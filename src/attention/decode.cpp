#include "attention/decode.h"

#include <algorithm>
#include <cmath>

#include "attention/arguments.h"
#include "attention/kernels/decode.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"

namespace gfsa {

AttentionCache::AttentionCache(const Spec& spec, int64_t capacity)
    : spec_(spec), lengths_(static_cast<size_t>(spec.sequences), 0) {
  Expect e("attention cache");
  e.that(spec.sequences >= 0 && spec.heads >= 1 && spec.head_size >= 1 && spec.degree >= 1,
         "{} sequences, {} heads of size {}, degree {}", spec.sequences, spec.heads, spec.head_size, spec.degree);
  std::vector<int64_t> none;
  rebuild(std::max<int64_t>(capacity, 0), none);
  sums_.fill(0);
  if (device_lengths_) device_lengths_.fill(0);
}

int64_t AttentionCache::longest() const {
  return lengths_.empty() ? 0 : *std::max_element(lengths_.begin(), lengths_.end());
}

// Sequences beyond from.size() are left as they are allocated.
void AttentionCache::rebuild(int64_t tokens, const std::vector<int64_t>& from) {
  const int64_t b = spec_.sequences, h = spec_.heads, d = spec_.head_size;
  const Tensor keys = Tensor::empty({b, h, tokens, d}, spec_.dtype, spec_.device);
  const Tensor values = Tensor::empty({b, h, tokens, spec_.degree * d}, spec_.dtype, spec_.device);
  const Tensor sums = Tensor::empty({b, h, d}, accumulator_of(spec_.dtype), spec_.device);
  const bool on_cpu = spec_.device.type == DeviceType::cpu;
  const Tensor lengths = on_cpu ? Tensor() : Tensor::empty({b}, DType::i64, spec_.device);
  std::vector<int64_t> host_lengths(static_cast<size_t>(b), 0);
  for (size_t i = 0; i < from.size(); ++i) {
    const auto to = static_cast<int64_t>(i), old = from[i];
    host_lengths[i] = lengths_[static_cast<size_t>(old)];
    const int64_t n = host_lengths[i];
    for (const auto& [x, y] : {std::pair{keys_, keys}, std::pair{values_, values}}) {
      if (n > 0) y.select(0, to).slice(1, 0, n).copy_from(x.select(0, old).slice(1, 0, n));
    }
    sums.select(0, to).copy_from(sums_.select(0, old));
    if (lengths) lengths.slice(0, to, to + 1).copy_from(device_lengths_.slice(0, old, old + 1));
  }
  keys_ = keys;
  values_ = values;
  sums_ = sums;
  device_lengths_ = lengths;
  lengths_ = std::move(host_lengths);
  capacity_ = tokens;
}

void AttentionCache::reserve(int64_t tokens) {
  if (tokens <= capacity_) return;
  std::vector<int64_t> same;
  for (int64_t b = 0; b < spec_.sequences; ++b) same.push_back(b);
  rebuild(tokens, same);
}

void AttentionCache::select(const std::vector<int64_t>& from) {
  for (const int64_t old : from) {
    Expect("attention cache")
        .that(old >= 0 && old < spec_.sequences, "there is no sequence {} of {}", old, spec_.sequences);
  }
  spec_.sequences = static_cast<int64_t>(from.size());
  rebuild(capacity_, from);
}

Tensor attention_step(const AttentionInputs& in, const AttentionOptions& options, AttentionCache& cache,
                      const std::vector<int64_t>& counts) {
  const AttentionCache::Spec& spec = cache.spec_;
  kernels::Step step;
  kernels::Problem& p = step.p;
  Expect e("attention_step");
  kernels::take_queries_keys_values(in, options.heads, e, p);
  kernels::take_coefficients(in, e, p);
  e.that(!in.bias && !in.key_mask && !in.key_lengths && !in.offsets, "takes no bias, masks or offsets");
  e.that(options.causal, "is causal; options.causal must say so");
  e.that(options.dropout == 0, "has no dropout");
  e.that(p.rows == p.keys && p.batch == spec.sequences && p.heads == spec.heads && p.head_size == spec.head_size,
         "q has shape {} and k has {}, with {} heads; the cache has {} sequences and {} heads of size {}",
         p.q.shape().text(), p.k.shape().text(), p.heads, spec.sequences, spec.heads, spec.head_size);
  e.that(p.dtype == spec.dtype && p.q.device() == spec.device, "q is {} on {}, the cache {} on {}", name_of(p.dtype),
         p.q.device().text(), name_of(spec.dtype), spec.device.text());
  e.that(p.degree == spec.degree, "the filter's degree is {}, the cache's {}", p.degree, spec.degree);
  e.that(spec.device.type == DeviceType::cpu || (spec.degree + 1) * spec.head_size <= 16384,
         "on a GPU (degree + 1) x head size is at most 16384, not {} x {}", spec.degree + 1, spec.head_size);
  e.that(counts.empty() || static_cast<int64_t>(counts.size()) == p.batch, "{} counts for {} sequences", counts.size(),
         p.batch);
  step.counts = counts.empty() ? std::vector<int64_t>(static_cast<size_t>(p.batch), p.rows) : counts;
  step.before = cache.lengths_;
  int64_t longest = 0;
  for (size_t b = 0; b < step.counts.size(); ++b) {
    const int64_t count = step.counts[b];
    e.that(count >= 0 && count <= p.rows, "counts[{}] is {}, expected 0 to {}", b, count, p.rows);
    longest = std::max(longest, step.before[b] + count);
  }
  const Tensor out = Tensor::empty(p.q.shape(), p.dtype, p.q.device());
  if (out.numel() == 0) return out;
  p.scale = options.scale.value_or(1.0 / std::sqrt(static_cast<double>(p.head_size)));
  if (longest > cache.capacity_) cache.reserve(std::max({longest, 2 * cache.capacity_, int64_t{64}}));
  step.keys = cache.keys_;
  step.values = cache.values_;
  step.sums = cache.sums_;
  step.device_before = cache.device_lengths_;
  if (!counts.empty() && !is_on_cpu(out)) {
    step.device_counts = Tensor::from<int64_t>({p.batch}, counts).to(out.device());
  }
  on_device("attention_step", out, [&](auto d) { kernels::DecodeKernels<d>::step(step, out); });
  for (size_t b = 0; b < step.counts.size(); ++b) cache.lengths_[b] += step.counts[b];
  return out;
}

}  // namespace gfsa
