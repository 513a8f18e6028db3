#include "tasks/language_evaluation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "data/text/language_blocks.h"
#include "ops/cross_entropy.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "tasks/estimates.h"

namespace gfsa::tasks {
namespace {

// Samples begin .. begin + block - 1 of a tensor that has `per_sample` elements a sample; those from `real` on repeat
// the last one, so that all blocks are of one size (forward_blocks.h).
std::vector<int64_t> block_of(const Tensor& x, int64_t per_sample, int64_t begin, int64_t real, int64_t block) {
  std::vector<int64_t> out;
  for (int64_t i = begin; i < begin + block; ++i) {
    const auto* sample = x.data<int64_t>() + std::min(i, real - 1) * per_sample;
    out.insert(out.end(), sample, sample + per_sample);
  }
  return out;
}

}  // namespace

void LanguageEvaluation::add(const data::Batch& batch, int64_t real, const ForwardContext& c) {
  const Tensor &ids = batch.at("ids"), &labels = batch.at("labels");
  const int64_t length = ids.dim(1), counted = labels.numel() / batch.size;
  for (int64_t begin = 0; begin < real; begin += setup_.block) {
    const int64_t block = setup_.block, count = std::min(block, real - begin);
    const auto targets = block_of(labels, counted, begin, real, block);
    TextInputs in;
    in.ids = Tensor::from<int64_t>({block, length}, block_of(ids, length, begin, real, block)).to(c.device);
    if (setup_.masked) {  // places among the batch's tokens become places among the block's
      auto rows = block_of(batch.at("rows"), counted, begin, real, block);
      for (size_t i = 0; i < rows.size(); ++i) {
        rows[i] = rows[i] % length + static_cast<int64_t>(i) / counted * length;
      }
      in.rows = Tensor::from<int64_t>({block * counted}, rows).to(c.device);
    }
    const Tensor logits = setup_.model->forward(in, c);
    const Tensor on_device = Tensor::from<int64_t>({block * counted}, targets).to(c.device);
    const auto losses =
        cross_entropy_per_row(reshape(logits, {block * counted, logits.dim(-1)}), on_device).to_vector<double>();
    const auto best = setup_.masked ? argmax(logits, 1).to_vector<int64_t>() : std::vector<int64_t>();
    for (int64_t i = 0; i < count * counted; ++i) {
      const auto at = static_cast<size_t>(i);
      if (targets[at] == data::LanguageBlocks::kIgnored) continue;
      loss_ += losses[at];
      tokens_ += 1;
      if (setup_.masked) hits_ += best[at] == targets[at];
    }
  }
}

train::Metrics LanguageEvaluation::result() const {
  const double loss = loss_ / static_cast<double>(tokens_);
  if (setup_.masked) {
    return {{"loss", loss},
            {"perplexity", std::exp(loss)},
            {"accuracy", 100 * static_cast<double>(hits_) / static_cast<double>(tokens_)}};
  }
  return {{"perplexity", std::exp(loss)},
          {"loss", loss},
          {"word_perplexity", std::exp(loss * setup_.tokens_per_word)},
          {"bits_per_byte", loss * setup_.tokens_per_byte / std::numbers::ln2}};
}

std::vector<train::Figure> LanguageEvaluation::figures() const {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  std::vector<train::Figure> out;
  for (const auto& [name, value] : result()) {
    if (name == "accuracy") {
      out.push_back({name, name, wilson_interval(hits_, tokens_), "Wilson", 2, "%"});
      continue;
    }
    const std::string label = name == "word_perplexity" ? "perplexity per word"
                              : name == "bits_per_byte" ? "bits per byte"
                              : name == "perplexity"    ? "perplexity per token"
                                                        : "loss per token";
    out.push_back({name, label, {value, kNone, kNone}, "", name.ends_with("perplexity") ? 3 : 4});
  }
  return out;
}

}  // namespace gfsa::tasks
