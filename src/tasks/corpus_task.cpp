#include "tasks/corpus_task.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "data/text/language_blocks.h"
#include "data/text/text_file.h"
#include "ops/cross_entropy.h"
#include "ops/view.h"

namespace gfsa::tasks {

void CorpusTask::describe(config::Schema& s) {
  setup_.describe(s);
  s.section("data", data_, "Where the text lies and how blocks are cut out of it.");
}

void CorpusTask::build(ParameterStore& store, uint64_t seed, int64_t batch_size) {
  seed_ = seed;
  batch_size_ = batch_size;
  setup_.prepare([&](const std::function<void(std::string_view)>& take) {
    const auto text = data_.read("train");
    data::LineReader lines(text.content);
    data::TextLine line;
    while (lines.next(line)) {
      data::require_text(line, text.name);
      // With its end, where that is a character of the text.
      const auto begin = static_cast<size_t>(line.text.data() - text.content.data());
      const size_t end = std::min(text.content.find('\n', begin), text.content.size() - 1) + 1;
      take(data_.lines == "keep" ? std::string_view(text.content).substr(begin, end - begin) : line.text);
    }
  });
  setup_.require_positions("data.block", data_.block);
  stream_ = data_.open("train", setup_.tokenizer());
  train_set_ = make_blocks(stream_, "the training text", true);
  setup_.build(store, 0);
}

void CorpusTask::build_model(ParameterStore& store, const train::StoredWeights& weights) {
  setup_.prepare_for_weights(weights.source);
  setup_.require_positions("data.block", data_.block);
  setup_.build(store, 0);
}

std::unique_ptr<data::BatchOrder> CorpusTask::train_order() const { return shuffled_order(train_set_->size()); }

std::unique_ptr<data::BatchMaker> CorpusTask::eval_batches(const std::string& split) {
  eval_stream_ = split == "train" && stream_ ? stream_ : data_.open(split, setup_.tokenizer());
  return make_blocks(eval_stream_, fmt::format("the text of split '{}'", split), false);
}

int64_t CorpusTask::counted_items(const data::Batch& batch) const {
  const Tensor& labels = batch.at("labels");
  const auto* label = labels.data<int64_t>();
  return labels.numel() - std::count(label, label + labels.numel(), data::LanguageBlocks::kIgnored);
}

Tensor CorpusTask::loss(const data::Batch& batch, const ForwardContext& c, double normalizer) {
  const Tensor logits = setup_.model().forward(text_inputs(batch), c);
  const Tensor& labels = batch.at("labels");
  CrossEntropyOptions options;
  options.normalizer = normalizer;
  options.ignore_index = data::LanguageBlocks::kIgnored;
  return cross_entropy(reshape(logits, {labels.numel(), logits.dim(-1)}), labels.view({labels.numel()}), options);
}

std::unique_ptr<train::Evaluation> CorpusTask::evaluation() {
  LanguageEvaluation::Setup setup{&setup_.model(), masked(), evaluation_block(), 0, 0};
  if (!masked() && eval_stream_) {
    const auto tokens = static_cast<double>(eval_stream_->ids().size() - (data_.lines == "token" ? 1 : 0));
    setup.tokens_per_word = tokens / static_cast<double>(eval_stream_->words());
    setup.tokens_per_byte = tokens / static_cast<double>(eval_stream_->bytes());
  }
  return std::make_unique<LanguageEvaluation>(setup);
}

int64_t CorpusTask::evaluation_block() const {
  constexpr int64_t kMostLogits = 1 << 23, kMostSamples = 32;
  return std::clamp<int64_t>(kMostLogits / (data_.block * setup_.tokenizer().size()), 1, kMostSamples);
}

std::vector<std::string> CorpusTask::report(Device device) const {
  auto lines = setup_.report(device);
  const std::string where = data_.token_cache.empty() ? "in memory" : "in " + stream_->file();
  lines.push_back(fmt::format("training text: {} tokens ({}), {:.2f} a word, {} blocks of {}",
                              human_count(static_cast<int64_t>(stream_->ids().size())), where,
                              static_cast<double>(stream_->ids().size()) / static_cast<double>(stream_->words()),
                              human_count(train_set_->size()), data_.block));
  return lines;
}

std::string CorpusTask::data_summary() const {
  return fmt::format("{} tokens, {} blocks of {}", human_count(static_cast<int64_t>(stream_->ids().size())),
                     human_count(train_set_->size()), data_.block);
}

void CorpusTask::show(const data::Batch& batch, const std::string& path) {
  std::string out;
  const auto ids = batch.at("ids").to_vector<int64_t>();
  const auto names = batch.at("sample_ids").to_vector<int64_t>();
  for (size_t i = 0; i < names.size(); ++i) {
    const auto* sample = ids.data() + static_cast<int64_t>(i) * data_.block;
    out += fmt::format("--- {}\n{}\n", train_set_->sample_name(names[i]),
                       setup_.tokenizer().decode({sample, sample + data_.block}, false));
  }
  Env::real().write(path, out);
}

}  // namespace gfsa::tasks
