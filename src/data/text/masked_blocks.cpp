#include "data/text/masked_blocks.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "core/philox.h"

namespace gfsa::data {

MaskedBlocks::MaskedBlocks(std::shared_ptr<const TokenStream> stream, std::string name, const MaskOptions& options)
    : stream_(std::move(stream)), name_(std::move(name)), options_(options) {
  const auto tokens = static_cast<int64_t>(stream_->ids().size());
  const int64_t text = options_.block - 2;
  size_ = tokens / text;
  if (size_ == 0) {
    bad_input("{}: has {} tokens, which do not fill a block of {}; lower data.block", name_, human_count(tokens), text);
  }
  hidden_ = std::max<int64_t>(1, std::llround(options_.share * static_cast<double>(text)));
}

std::string MaskedBlocks::sample_name(int64_t index) const {
  return fmt::format("{}: block {} (token {} on)", name_, index, index * (options_.block - 2));
}

void MaskedBlocks::allocate(Batch& batch, std::span<const SampleRef>) {
  batch.set("ids", Tensor::empty({batch.size, options_.block}, DType::i64));
  batch.set("rows", Tensor::empty({batch.size * hidden_}, DType::i64));
  batch.set("labels", Tensor::empty({batch.size * hidden_}, DType::i64));
  batch.set("sample_ids", Tensor::empty({batch.size}, DType::i64));
}

void MaskedBlocks::fill(Batch& batch, int64_t slot, const SampleRef& ref) {
  const int64_t text = options_.block - 2;
  auto* ids = batch.at("ids").data<int64_t>() + slot * options_.block;
  const auto source = stream_->ids().subspan(static_cast<size_t>(ref.index * text), static_cast<size_t>(text));
  ids[0] = options_.first;
  std::copy(source.begin(), source.end(), ids + 1);
  ids[text + 1] = options_.last;

  RandomSequence rng(RandomKey(options_.seed, "data.mask", static_cast<uint64_t>(batch.epoch)),
                     static_cast<uint32_t>(ref.position));
  std::vector<int64_t> places(static_cast<size_t>(text));
  std::iota(places.begin(), places.end(), int64_t{0});
  for (int64_t i = 0; i < hidden_; ++i) {  // the first steps of a shuffle choose without repetition
    std::swap(places[static_cast<size_t>(i)],
              places[static_cast<size_t>(i) + rng.below(static_cast<uint64_t>(text - i))]);
  }
  std::sort(places.begin(), places.begin() + hidden_);
  auto* rows = batch.at("rows").data<int64_t>() + slot * hidden_;
  auto* labels = batch.at("labels").data<int64_t>() + slot * hidden_;
  for (int64_t i = 0; i < hidden_; ++i) {
    const int64_t place = places[static_cast<size_t>(i)] + 1;
    rows[i] = slot * options_.block + place;
    labels[i] = ids[place];
    const double u = rng.uniform();
    const auto other = static_cast<int64_t>(rng.below(static_cast<uint64_t>(options_.vocabulary)));
    if (u < 0.9) ids[place] = u < 0.8 ? options_.mask : other;
  }
  batch.at("sample_ids").data<int64_t>()[slot] = ref.index;
}

}  // namespace gfsa::data
