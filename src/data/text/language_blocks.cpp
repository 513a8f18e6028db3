#include "data/text/language_blocks.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "core/philox.h"

namespace gfsa::data {

LanguageBlocks::LanguageBlocks(std::shared_ptr<const TokenStream> stream, std::string name, const BlockOptions& options)
    : stream_(std::move(stream)), name_(std::move(name)), options_(options) {
  const auto tokens = static_cast<int64_t>(stream_->ids().size());
  const int64_t block = options_.block;
  if (options_.stride == 0) options_.stride = block;
  if (options_.grouped) {
    const auto groups = stream_->groups();
    for (size_t g = 0; g + 1 < groups.size(); ++g) {
      for (int64_t at = groups[g]; at + block <= groups[g + 1]; at += block) begins_.push_back(at);
    }
    size_ = static_cast<int64_t>(begins_.size());
  } else if (options_.training) {
    size_ = (tokens - 1 - (options_.shift ? block - 1 : 0)) / block;
  } else {
    // The first sample counts a whole block, each further one `stride` tokens more.
    size_ = tokens < 2 ? 0 : 1 + std::max<int64_t>(0, (tokens - 1 - block + options_.stride - 1) / options_.stride);
  }
  if (size_ <= 0) {
    bad_input("{}: has {} tokens, which do not fill {}; lower data.block", name_, human_count(tokens),
              options_.grouped ? fmt::format("a block of {} within 1,000 lines", block)
                               : fmt::format("a block of {} and the token after it", block));
  }
}

std::string LanguageBlocks::sample_name(int64_t index) const {
  return fmt::format("{}: block {} (token {} on)", name_, index, begin_of(index, 0));
}

int64_t LanguageBlocks::begin_of(int64_t index, int64_t epoch) const {
  if (options_.grouped) return begins_[static_cast<size_t>(index)];
  if (!options_.training) return index * options_.stride;
  if (!options_.shift) return index * options_.block;
  RandomSequence rng(RandomKey(options_.seed, "data.block_shift", static_cast<uint64_t>(epoch)));
  return static_cast<int64_t>(rng.below(static_cast<uint64_t>(options_.block))) + index * options_.block;
}

void LanguageBlocks::allocate(Batch& batch, std::span<const SampleRef>) {
  batch.set("ids", Tensor::zeros({batch.size, options_.block}, DType::i64));
  batch.set("labels", Tensor::full({batch.size, options_.block}, kIgnored, DType::i64));
  batch.set("sample_ids", Tensor::empty({batch.size}, DType::i64));
}

void LanguageBlocks::fill(Batch& batch, int64_t slot, const SampleRef& ref) {
  const auto tokens = stream_->ids();
  const auto total = static_cast<int64_t>(tokens.size());
  const int64_t begin = begin_of(ref.index, batch.epoch), block = options_.block;
  const int64_t predicted = std::min(block, (options_.grouped ? begin + block : total) - 1 - begin);
  auto* ids = batch.at("ids").data<int64_t>() + slot * block;
  auto* labels = batch.at("labels").data<int64_t>() + slot * block;
  // With a stride, what samples before this one have counted is context.
  const int64_t counted_from = options_.training || ref.index == 0 ? 0 : block - options_.stride;
  for (int64_t i = 0; i < std::min(block, total - begin); ++i) ids[i] = tokens[static_cast<size_t>(begin + i)];
  for (int64_t i = counted_from; i < predicted; ++i) labels[i] = tokens[static_cast<size_t>(begin + i + 1)];
  batch.at("sample_ids").data<int64_t>()[slot] = ref.index;
}

}  // namespace gfsa::data
