#include "attention/decode.h"

#include <algorithm>

#include "core/dispatch.h"
#include "core/expect.h"

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

Tensor attention_step(const AttentionInputs& in, const AttentionOptions&, AttentionCache&,
                      const std::vector<int64_t>&) {
  fail("attention_step: not on device {} yet", (in.qkv ? in.qkv : in.q).device().text());
}

}  // namespace gfsa
