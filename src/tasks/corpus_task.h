// corpus_task.h -- what language modelling is, causal or masked: a corpus, blocks of it, the loss of predicted tokens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/text/corpus_config.h"
#include "tasks/language_evaluation.h"
#include "tasks/text_task.h"

namespace gfsa::tasks {

class CorpusTask : public TextTask {
 public:
  CorpusTask(const std::string& model, TextHead head) : TextTask(model, head) {}

  void describe(config::Schema& s) override;
  void build(ParameterStore& store, uint64_t seed, int64_t batch_size) override;
  void build_model(ParameterStore& store, const train::StoredWeights& weights) override;
  data::BatchMaker& train_batches() override { return *train_set_; }
  std::unique_ptr<data::BatchOrder> train_order() const override;
  const data::LoaderConfig& loader_config() const override { return data_.loader; }
  std::unique_ptr<data::BatchMaker> eval_batches(const std::string& split) override;
  int64_t counted_items(const data::Batch& batch) const override;
  Tensor loss(const data::Batch& batch, const ForwardContext& c, double normalizer) override;
  std::unique_ptr<train::Evaluation> evaluation() override;
  // So many samples that their logits stay within some tens of MiB.
  int64_t evaluation_block() const override;
  std::vector<std::string> report(Device device) const override;
  std::string data_fingerprint() const override { return stream_->fingerprint(); }
  std::string data_summary() const override;
  void show(const data::Batch& batch, const std::string& path) override;

 protected:
  virtual bool masked() const = 0;
  // Labels of tokens that do not count are data::LanguageBlocks::kIgnored.
  virtual std::unique_ptr<data::BatchMaker> make_blocks(std::shared_ptr<const data::TokenStream> stream,
                                                        const std::string& name, bool training) const = 0;

  data::CorpusConfig data_;

 private:
  std::shared_ptr<const data::TokenStream> stream_, eval_stream_;
  std::unique_ptr<data::BatchMaker> train_set_;
};

}  // namespace gfsa::tasks
