// text_task.h -- what every task of text is: a tokenizer and a model, which stand beside the weights (text_setup.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tasks/text_setup.h"
#include "train/task.h"

namespace gfsa::tasks {

class TextTask : public train::Task {
 public:
  std::vector<std::string> companion_names() const override { return {"config.json", "tokenizer.json"}; }
  train::Companions companions() const override { return setup_.companions(); }
  void use_companions(const train::Companions& stored, const std::string& folder) override {
    setup_.use_companions(stored, folder);
  }
  std::optional<train::InitialWeights> initial_weights() const override { return setup_.initial_weights(); }
  std::vector<std::pair<std::string, Tensor>> coefficients() const override { return setup_.model().coefficients(); }
  std::string model_text() const override { return setup_.model_text(); }
  std::string attention_text() const override { return setup_.attention().text(); }

 protected:
  // model: the default of model.name.
  TextTask(const std::string& model, TextHead head) : setup_(model, head) {}
  // Every sample once an epoch, shuffled; the last batch may be smaller.
  std::unique_ptr<data::BatchOrder> shuffled_order(int64_t samples) const;

  TextSetup setup_;
  uint64_t seed_ = 0;  // of build()
  int64_t batch_size_ = 1;
};

}  // namespace gfsa::tasks
