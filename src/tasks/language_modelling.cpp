// language_modelling.cpp -- causal language models: the next token of running text, and text from them.
#include <algorithm>
#include <numeric>
#include <utility>

#include "autograd/autograd.h"
#include "base/env.h"
#include "base/error.h"
#include "base/log.h"
#include "base/threads.h"
#include "data/text/language_blocks.h"
#include "models/decode_state.h"
#include "tasks/corpus_task.h"
#include "tasks/sampling.h"

namespace gfsa::tasks {
namespace {

class LanguageModelling final : public CorpusTask {
 public:
  LanguageModelling() : CorpusTask("gpt2", TextHead::causal_lm) {}

  std::pair<std::string, bool> primary_metric() const override { return {"perplexity", false}; }
  double forward_flops() const override { return setup_.model().forward_flops(data_.block, data_.block); }
  // All prompts at once, by the model's cache. A text ends with the end-of-text token, with request.max_tokens new
  // ones, or where the model has no positions left.
  train::Generated generate(const train::GenerateRequest& request, const ForwardContext& c) override;

 private:
  bool masked() const override { return false; }
  std::unique_ptr<data::BatchMaker> make_blocks(std::shared_ptr<const data::TokenStream> stream,
                                                const std::string& name, bool training) const override {
    data::BlockOptions options;
    options.block = data_.block;
    options.stride = training ? 0 : data_.stride;
    options.training = training;
    options.shift = training && data_.shift;
    options.grouped = data_.concatenation == "per_1000_lines";
    options.seed = seed_;
    return std::make_unique<data::LanguageBlocks>(std::move(stream), name, options);
  }
};

train::Generated LanguageModelling::generate(const train::GenerateRequest& request, const ForwardContext& c) {
  const NoGrad guard;
  const auto& tokenizer = setup_.tokenizer();
  const auto end = tokenizer.special_id("eos");
  // With line ends as tokens, running text may hold the one that ends a text.
  const bool stops = end && data_.lines != "token";
  const auto rows = static_cast<int64_t>(request.prompts.size());
  std::vector<std::vector<int32_t>> texts;
  std::vector<size_t> prompt_lengths;
  int64_t longest = 0;
  for (const auto& prompt : request.prompts) {
    auto ids = tokenizer.encode(prompt, {.special_tokens = false, .max_length = std::nullopt}).ids;
    if (ids.empty() && end) ids.push_back(*end);
    if (ids.empty()) bad_input("--generate: a prompt without tokens, and the tokenizer has none that ends a text");
    setup_.require_positions("--generate: a prompt's number of tokens", static_cast<int64_t>(ids.size()));
    longest = std::max(longest, static_cast<int64_t>(ids.size()));
    prompt_lengths.push_back(ids.size());
    texts.push_back(std::move(ids));
  }
  const auto room = [&](size_t row) { return static_cast<int64_t>(texts[row].size()) < setup_.positions(); };
  train::Generated out;
  double started = monotonic_seconds();
  auto state = setup_.model().start_decoding(rows, longest + request.max_tokens);
  std::vector<bool> ended(texts.size(), request.max_tokens == 0);
  std::vector<int64_t> counts(texts.size());
  std::vector<int64_t> next(static_cast<size_t>(rows * longest), 0);
  for (size_t row = 0; row < texts.size(); ++row) {
    std::copy(texts[row].begin(), texts[row].end(), next.begin() + static_cast<int64_t>(row) * longest);
    counts[row] = static_cast<int64_t>(texts[row].size());
    ended[row] = ended[row] || !room(row);
  }
  int64_t width = longest;
  for (int64_t made = 0; made < request.max_tokens; ++made) {
    if (std::all_of(ended.begin(), ended.end(), [](bool e) { return e; })) break;
    const Tensor ids = Tensor::from<int64_t>({rows, width}, next).to(c.device);
    const Tensor logits = setup_.model().decode(ids, counts, *state, c);
    const auto values = logits.to_vector<float>();
    train::Generated::Part& part = made == 0 ? out.prompts : out.steps;
    part.tokens += std::accumulate(counts.begin(), counts.end(), int64_t{0});
    // Ids that the model has beyond its tokenizer's mean nothing.
    const auto vocabulary = static_cast<size_t>(tokenizer.size()), stride = static_cast<size_t>(logits.dim(1));
    std::vector<int32_t> chosen(texts.size());
    parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
      for (auto row = static_cast<size_t>(begin); row < static_cast<size_t>(end); ++row) {
        if (ended[row]) continue;
        chosen[row] = sample_token(std::span(values).subspan(row * stride, vocabulary), texts[row], request,
                                   static_cast<uint32_t>(row));
      }
    });
    width = 1;
    next.assign(texts.size(), 0);
    for (size_t row = 0; row < texts.size(); ++row) {
      counts[row] = 0;
      if (ended[row]) continue;
      const int32_t id = chosen[row];
      if (stops && id == *end) {
        ended[row] = true;
        continue;
      }
      texts[row].push_back(id);
      next[row] = id;
      counts[row] = 1;
      if (!room(row)) ended[row] = true, counts[row] = 0;
    }
    const double now = monotonic_seconds();
    part.seconds += now - std::exchange(started, now);
  }
  for (size_t row = 0; row < texts.size(); ++row) {
    const auto& ids = texts[row];
    const auto written = static_cast<int64_t>(ids.size() - prompt_lengths[row]);
    if (written < request.max_tokens && !room(row)) {
      log::warn(
          "--generate: text {} ends after {} of {} new tokens: with its prompt of {} it fills the model's {} positions",
          row + 1, written, request.max_tokens, prompt_lengths[row], setup_.positions());
    }
    out.texts.push_back(tokenizer.decode({ids.begin() + static_cast<ptrdiff_t>(prompt_lengths[row]), ids.end()}));
  }
  return out;
}

}  // namespace

void register_language_modelling(config::Registry<train::Task>& registry) {
  registry.add<LanguageModelling>("language_modelling",
                                  "The next token of running text: perplexity, and text that the model writes.");
}

}  // namespace gfsa::tasks
