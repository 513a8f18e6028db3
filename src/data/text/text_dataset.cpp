#include "data/text/text_dataset.h"

#include <algorithm>

namespace gfsa::data {
namespace {

// Where each text of a batch begins (packed) and how long it is.
struct Layout {
  std::vector<int64_t> begins, lengths;
};

}  // namespace

TextDataset::TextDataset(std::shared_ptr<const TextSource> source, const tokenizers::Tokenizer& tokenizer,
                         const Options& options)
    : source_(std::move(source)), texts_(*source_, tokenizer, options.max_length), options_(options) {}

void TextDataset::allocate(Batch& batch, std::span<const SampleRef> samples) {
  auto layout = std::make_shared<Layout>();
  int64_t longest = 0, all = 0;
  for (const SampleRef& ref : samples) {
    const int64_t length = texts_.length(ref.index);
    layout->begins.push_back(all);
    layout->lengths.push_back(length);
    longest = std::max(longest, length);
    all += length;
  }
  const Shape shape = options_.packed ? Shape{1, all} : Shape{batch.size, longest};
  batch.set("ids", Tensor::full(shape, options_.pad_id, DType::i64));
  if (texts_.has_types()) batch.set("segments", Tensor::zeros(shape, DType::i64));
  if (options_.packed) {
    batch.set("positions", Tensor::empty(shape, DType::i64));
    batch.set("offsets", Tensor::empty({batch.size + 1}, DType::i64));
  } else {
    batch.set("lengths", Tensor::empty({batch.size}, DType::i64));
  }
  if (source_->is_labelled()) {
    batch.set("labels", Tensor::empty({batch.size}, source_->class_names().empty() ? DType::f32 : DType::i64));
  }
  batch.set("sample_ids", Tensor::empty({batch.size}, DType::i64));
  batch.scratch = std::move(layout);
}

void TextDataset::fill(Batch& batch, int64_t slot, const SampleRef& ref) {
  const auto& layout = *std::static_pointer_cast<Layout>(batch.scratch);
  const auto at = static_cast<size_t>(slot);
  const auto ids = texts_.ids(ref.index);
  const auto types = texts_.types(ref.index);
  const int64_t begin = options_.packed ? layout.begins[at] : slot * batch.at("ids").dim(1);
  std::copy(ids.begin(), ids.end(), batch.at("ids").data<int64_t>() + begin);
  if (batch.has("segments")) std::copy(types.begin(), types.end(), batch.at("segments").data<int64_t>() + begin);
  const TextSample& sample = source_->get(ref.index);
  if (batch.has("labels")) {
    const Tensor& labels = batch.at("labels");
    if (labels.dtype() == DType::f32) {
      labels.data<float>()[at] = static_cast<float>(sample.score);
    } else {
      labels.data<int64_t>()[at] = sample.label;
    }
  }
  batch.at("sample_ids").data<int64_t>()[at] = ref.index;
}

void TextDataset::finish(Batch& batch) {
  const auto& layout = *std::static_pointer_cast<Layout>(batch.scratch);
  if (!options_.packed) {
    std::copy(layout.lengths.begin(), layout.lengths.end(), batch.at("lengths").data<int64_t>());
    return;
  }
  auto* positions = batch.at("positions").data<int64_t>();
  auto* offsets = batch.at("offsets").data<int64_t>();
  for (size_t i = 0; i < layout.lengths.size(); ++i) {
    offsets[i] = layout.begins[i];
    for (int64_t k = 0; k < layout.lengths[i]; ++k) positions[layout.begins[i] + k] = k;
  }
  offsets[layout.lengths.size()] = batch.at("ids").dim(1);
}

}  // namespace gfsa::data
