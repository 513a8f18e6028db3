// masked_language_modelling.cpp -- pre-training of encoders: some tokens are hidden, and the model says what they were
// (Devlin et al. 2019, arXiv 1810.04805).
#include <algorithm>
#include <cmath>

#include "data/text/masked_blocks.h"
#include "tasks/corpus_task.h"

namespace gfsa::tasks {
namespace {

class MaskedLanguageModelling final : public CorpusTask {
 public:
  MaskedLanguageModelling() : CorpusTask("bert", TextHead::masked_lm) {}

  void describe(config::Schema& s) override {
    CorpusTask::describe(s);
    s.field("mask_share", mask_share_)
        .above(0)
        .at_most(1)
        .doc("Share of a block's tokens that are to be predicted; of these 80% are masked, 10% replaced, 10% kept.")
        .source("0.15: arXiv 1810.04805, section 3.1");
    s.check(data_.block >= 4, "data.block", "must be at least 4 here: a text between two special tokens");
    s.check(data_.stride == 0 && !data_.shift && data_.concatenation == "stream", "data",
            "stride, shift and concatenation are of task language_modelling");
  }
  std::pair<std::string, bool> primary_metric() const override { return {"loss", false}; }
  double forward_flops() const override {
    return setup_.model().forward_flops(
        data_.block, std::max<int64_t>(1, std::llround(mask_share_ * static_cast<double>(data_.block - 2))));
  }

 private:
  bool masked() const override { return true; }
  std::unique_ptr<data::BatchMaker> make_blocks(std::shared_ptr<const data::TokenStream> stream,
                                                const std::string& name, bool training) const override {
    constexpr const char* kWhat = "masked language modelling";
    data::MaskOptions options;
    options.block = data_.block;
    options.share = mask_share_;
    options.first = setup_.required_token("cls", kWhat);
    options.last = setup_.required_token("sep", kWhat);
    options.mask = setup_.required_token("mask", kWhat);
    options.vocabulary = setup_.tokenizer().size();
    options.seed = training ? seed_ : 0;  // an evaluation always hides the same tokens
    return std::make_unique<data::MaskedBlocks>(std::move(stream), name, options);
  }

  double mask_share_ = 0.15;
};

}  // namespace

void register_masked_language_modelling(config::Registry<train::Task>& registry) {
  registry.add<MaskedLanguageModelling>("masked_language_modelling",
                                        "Hidden tokens of running text: BERT's pre-training.");
}

}  // namespace gfsa::tasks
