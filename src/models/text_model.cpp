#include "models/text_model.h"

#include <algorithm>

#include "autograd/autograd.h"
#include "base/error.h"
#include "models/decode_state.h"

namespace gfsa {

void DecodeState::select(const std::vector<int64_t>& from) {
  for (auto& [place, cache] : caches_) cache.select(from);
  std::vector<int64_t> lengths;
  for (const int64_t row : from) lengths.push_back(lengths_.at(static_cast<size_t>(row)));
  lengths_ = std::move(lengths);
}

Tensor DecodeState::attend(const FilteredAttention& attention, const Tensor& qkv, const std::string& use) {
  const std::pair place{&attention, use};
  auto it = caches_.find(place);
  if (it == caches_.end()) {
    const auto rows = static_cast<int64_t>(lengths_.size());
    it = caches_.emplace(place, attention.make_cache(rows, qkv.dtype(), qkv.device(), capacity_)).first;
  }
  AttentionInputs in;
  in.qkv = qkv;
  return attention.step(in, it->second, counts_);
}

std::unique_ptr<DecodeState> TextModel::start_decoding(int64_t rows, int64_t capacity) const {
  if (!generates()) fail("this model does not generate text");
  return std::make_unique<DecodeState>(rows, capacity);
}

Tensor TextModel::decode(const Tensor& ids, const std::vector<int64_t>& counts, DecodeState& state,
                         const ForwardContext& context) const {
  const NoGrad guard;
  const WeightCopies::Use copies(state.weights_);
  ForwardContext c = context;
  c.training = false;
  const int64_t rows = ids.dim(0), tokens = ids.dim(1);
  std::vector<int64_t> lengths = state.lengths(), positions, last;
  for (int64_t b = 0; b < rows; ++b) {
    int64_t& length = lengths[static_cast<size_t>(b)];
    const int64_t before = length, count = counts.empty() ? tokens : counts[static_cast<size_t>(b)];
    length += count;
    // Padding takes any position that exists.
    for (int64_t i = 0; i < tokens; ++i) positions.push_back(std::min(before + i, std::max<int64_t>(length - 1, 0)));
    last.push_back(b * tokens + std::max<int64_t>(count, 1) - 1);
  }
  TextInputs in;
  in.ids = ids;
  in.positions = Tensor::from<int64_t>({rows, tokens}, positions).to(c.device);
  in.rows = Tensor::from<int64_t>({rows}, last).to(c.device);
  in.longest = *std::max_element(lengths.begin(), lengths.end());
  in.past = &state;
  state.counts_ = counts;
  Tensor logits = forward(in, c);
  state.lengths_ = std::move(lengths);
  return logits;
}

ParameterStore::LoadOptions TextModel::load_options() const {
  ParameterStore::LoadOptions o;
  for (const auto& [name, value] : coefficients()) o.optional_patterns.push_back(name);
  return o;
}

}  // namespace gfsa
