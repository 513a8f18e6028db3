// language_evaluation.h -- the loss of predicted tokens, and what follows from it.
#pragma once

#include <cstdint>
#include <vector>

#include "models/text_model.h"
#include "train/evaluation.h"

namespace gfsa::tasks {

// Sums over the tokens that count, in their order:
//   perplexity       exp(loss), per token: to compare models of one tokenizer
//   word_perplexity  exp(loss tokens / words), bits_per_byte = loss tokens / bytes / ln 2: to compare any. Words are
//   the
//                    text's pieces between white space, and each line's end counts as one, as Penn Treebank's and
//                    WikiText's published figures have it
//   loss             in nats per token
//   accuracy         of masked tokens: percent that have the highest probability
class LanguageEvaluation : public train::Evaluation {
 public:
  struct Setup {
    const TextModel* model = nullptr;
    bool masked = false;
    int64_t block = 1;  // samples of one forward pass
    // Of the split, for causal models: its text has so many tokens that are predicted for each word and byte.
    double tokens_per_word = 0, tokens_per_byte = 0;
  };
  explicit LanguageEvaluation(const Setup& setup) : setup_(setup) {}
  void add(const data::Batch& batch, int64_t real, const ForwardContext& c) override;
  train::Metrics result() const override;
  std::vector<train::Figure> figures() const override;

 private:
  Setup setup_;
  double loss_ = 0;
  int64_t tokens_ = 0, hits_ = 0;
};

}  // namespace gfsa::tasks
