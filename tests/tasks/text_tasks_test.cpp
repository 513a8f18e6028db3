// The tasks of text on models and data of a few kilobytes.
#include <gmock/gmock.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "autograd/autograd.h"
#include "tasks/text_classification.h"
#include "tasks/tiny_run.h"
#include "tasks/tiny_texts.h"
#include "train/evaluate.h"
#include "train/session.h"

namespace gfsa::tasks {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TextTasks : public testing::Test {
 protected:
  TextTasks() { write_tiny_texts(folder_ / "data"); }

  void load(train::RunConfig& config, const std::string& yaml, const std::vector<std::string>& overrides = {}) const {
    config::load_text(config, with_data(yaml, folder_ / "data"), "text", overrides);
    train::apply_machine_settings(config);
  }
  // A session with its configuration.
  struct Run {
    train::RunConfig config{task_registry()};
    std::unique_ptr<train::Session> session;
  };
  std::unique_ptr<Run> start(const std::string& yaml, const std::vector<std::string>& overrides = {}) const {
    auto run = std::make_unique<Run>();
    load(run->config, yaml, overrides);
    run->session = std::make_unique<train::Session>(run->config);
    return run;
  }
  static double metric(const train::Metrics& metrics, const std::string& name) {
    for (const auto& [key, value] : metrics) {
      if (key == name) return value;
    }
    ADD_FAILURE() << name;
    return NAN;
  }
  static train::Metrics evaluated(Run& run, int64_t batch_size = 32, const std::string& split = "val") {
    const auto batches = run.config.task->eval_batches(split);
    return train::evaluate(*run.config.task, *batches, batch_size, run.config.evaluation_context()).metrics;
  }
  std::string refused(const std::string& yaml, const std::vector<std::string>& overrides) const {
    return refusal([&] { start(yaml, overrides); });
  }

  TemporaryFolder folder_;
};

TEST_F(TextTasks, AClassifierLearns) {
  const auto run = start(kTinyClassifier);
  while (!run->session->finished()) run->session->step();
  const auto metrics = evaluated(*run);
  EXPECT_EQ(metrics.size(), 4u);
  EXPECT_EQ(metrics[0].first, "accuracy");
  EXPECT_GT(metrics[0].second, 95);
  EXPECT_GT(metric(metrics, "matthews"), 90);
}

TEST_F(TextTasks, ARegressionLearns) {
  const auto run = start(kTinyClassifier, {"data.labels=[]", "data.regression=true", "data.label=score",
                                           "data.train_file=train_scores", "data.val_file=val_scores"});
  const double before = metric(evaluated(*run), "loss");
  while (!run->session->finished()) run->session->step();
  const auto metrics = evaluated(*run);
  EXPECT_EQ(metrics[0].first, "pearson");
  EXPECT_GT(metrics[0].second, 70);
  EXPECT_LT(metric(metrics, "loss"), before / 2);
}

// The same texts in the same batches: padded, packed, and in order of length.
TEST_F(TextTasks, PackingChangesNothingButRounding) {
  const auto padded = start(kTinyClassifier, {"data.order=shuffled", "data.batching=padded"});
  const auto packed = start(kTinyClassifier, {"data.order=shuffled", "data.batching=packed"});
  for (int i = 0; i < 5; ++i) {
    const auto a = padded->session->step(), b = packed->session->step();
    EXPECT_NEAR(a.loss, b.loss, 1e-5 * a.loss) << i;
    EXPECT_NEAR(a.grad_norm, b.grad_norm, 1e-4 * a.grad_norm) << i;
  }
}

TEST_F(TextTasks, EvaluationIsTheSameBitsForEveryBatchSize) {
  for (const auto& [yaml, overrides] :
       {std::pair{kTinyClassifier, std::vector<std::string>{}},
        {kTinyGpt, {"data.stride=8"}},
        {kTinyGpt, {}},
        {kTinyGpt, {"task=masked_language_modelling", "model.name=bert", "tokenizer.kind=wordpiece"}}}) {
    const auto run = start(yaml, overrides);
    const auto expected = evaluated(*run, 32);
    for (const int64_t batch_size : {1, 33, 64, 1000}) EXPECT_EQ(evaluated(*run, batch_size), expected) << batch_size;
  }
}

// Micro-batches whose numbers of predicted tokens differ are one large batch.
TEST_F(TextTasks, AccumulationCountsTokens) {
  const std::vector<std::string> quiet{"model.dropout=0", "attention.dropout=0", "data.stride=0",
                                       "train.ema.decay=null"};
  auto large = quiet, small = quiet;
  large.insert(large.end(), {"train.batch_size=8", "train.accumulate=1"});
  small.insert(small.end(), {"train.batch_size=2", "train.accumulate=4"});
  const auto a = start(kTinyGpt, large), b = start(kTinyGpt, small);
  auto batches = [](Run& run, int64_t ignored_of_first) {
    auto all = run.session->next_batches();
    auto* labels = all[0].at("labels").data<int64_t>();
    std::fill_n(labels, ignored_of_first, int64_t{-100});  // half of the first sample does not count
    return all;
  };
  const auto x = a->session->step_on(batches(*a, 20)), y = b->session->step_on(batches(*b, 20));
  EXPECT_NEAR(x.loss, y.loss, 1e-5 * x.loss);
  EXPECT_NEAR(x.grad_norm, y.grad_norm, 1e-4 * x.grad_norm);
}

TEST_F(TextTasks, AGptLearnsAndItsFiguresFitTogether) {
  const auto run = start(kTinyGpt, {"train.epochs=20", "train.accumulate=1"});
  const auto before = evaluated(*run);
  while (!run->session->finished()) run->session->step();
  const auto after = evaluated(*run);
  EXPECT_LT(metric(after, "loss"), 0.6 * metric(before, "loss"));
  EXPECT_NEAR(metric(after, "perplexity"), std::exp(metric(after, "loss")), 1e-9);
  // All tokens' losses together, spread over words and bytes: 7 words (the line's end is one) in a line.
  const double words = std::log(metric(after, "word_perplexity")), bytes = metric(after, "bits_per_byte") * std::log(2);
  const auto text = Env::real().read(folder_ / "data/valid.txt");
  const auto word_count = static_cast<double>(std::count(text.begin(), text.end(), ' ') + 2 * 40);
  EXPECT_NEAR(words * word_count, bytes * static_cast<double>(text.size()), 1e-6 * words * word_count);
  // The same tokens, with more context each: of little use where sentences have nothing to do with each other.
  const auto strided = start(kTinyGpt, {"data.stride=4"});
  strided->session->store.flat_values().copy_from(run->session->store.flat_values());
  const double with_context = metric(evaluated(*strided), "loss");
  EXPECT_NEAR(with_context, metric(after, "loss"), 0.05 * metric(after, "loss"));
  EXPECT_NE(with_context, metric(after, "loss"));
}

TEST_F(TextTasks, TheReferencesGroupingTrains) {
  const auto run = start(kTinyGpt, {"data.concatenation=per_1000_lines", "data.lines=strip"});
  const double first = run->session->step().loss;
  for (int i = 0; i < 10; ++i) run->session->step();
  EXPECT_LT(run->session->step().loss, first);
}

TEST_F(TextTasks, AMaskedModelLearns) {
  for (const char* model : {"bert", "roberta"}) {
    SCOPED_TRACE(model);
    const auto run =
        start(kTinyGpt, {"task=masked_language_modelling", std::string("model.name=") + model, "tokenizer.kind=auto",
                         "tokenizer.vocabulary=400", "data.lines=strip", "train.epochs=60", "train.accumulate=1"});
    const double before = metric(evaluated(*run), "loss");
    while (!run->session->finished()) run->session->step();
    const auto metrics = evaluated(*run);
    EXPECT_LT(metric(metrics, "loss"), 0.5 * before);
    EXPECT_GT(metric(metrics, "accuracy"), 25);
  }
}

// Special tokens of the model's family, whatever kind of tokenizer is trained, and their ids in config.json.
TEST_F(TextTasks, ATrainedTokenizerIsTheModelFamilys) {
  struct Expected {
    const char *model, *first;
    nlohmann::json pad, bos, eos;
  };
  const nlohmann::json none;
  for (const char* kind : {"auto", "wordpiece", "byte_bpe", "word", "character", "byte"}) {
    for (const Expected& e : {Expected{"bert", "[CLS]", 0, none, none}, Expected{"roberta", "<s>", 1, 0, 2},
                              Expected{"albert", "[CLS]", 0, 2, 3}}) {
      SCOPED_TRACE(fmt::format("{} {}", kind, e.model));
      const auto run = start(kTinyClassifier, {fmt::format("model.name={}", e.model), "tokenizer.vocabulary=300",
                                               fmt::format("tokenizer.kind={}", kind)});
      const auto& files = run->config.task->companions();
      const auto config = nlohmann::json::parse(files.at("config.json"));
      EXPECT_EQ(config.value("pad_token_id", none), e.pad);
      EXPECT_EQ(config.value("bos_token_id", none), e.bos);
      EXPECT_EQ(config.value("eos_token_id", none), e.eos);
      run->config.task->show(*run->session->next_batches().data(), folder_ / "batch.txt");
      EXPECT_THAT(Env::real().read(folder_ / "batch.txt"), HasSubstr(std::string("\t") + e.first));
    }
  }
  const auto gpt = start(kTinyGpt);
  const auto config = nlohmann::json::parse(gpt->config.task->companions().at("config.json"));
  EXPECT_FALSE(config.contains("pad_token_id"));
  EXPECT_EQ(config.at("bos_token_id"), 0);
  EXPECT_EQ(config.at("eos_token_id"), 0);
  const auto words = start(kTinyGpt, {"tokenizer.kind=word"});
  const auto of_words = nlohmann::json::parse(words->config.task->companions().at("config.json"));
  EXPECT_EQ(of_words.at("bos_token_id"), none);
  EXPECT_EQ(of_words.at("eos_token_id"), 1);
}

TEST_F(TextTasks, GreedyTextIsTheFullForwardPassTokenByToken) {
  for (const std::string attention : {"softmax", "gfsa"}) {
    const auto run = start(kTinyGpt, {"attention=" + attention, "tokenizer.kind=character"});
    for (int i = 0; i < 20; ++i) run->session->step();
    train::Task& task = *run->config.task;
    const auto c = run->config.evaluation_context();
    train::GenerateRequest request;
    request.prompts = {"the c", "a dog sees my f", "o"};
    request.max_tokens = 30;
    request.temperature = 0;
    const auto made = task.generate(request, c);
    const auto& together = made.texts;
    ASSERT_EQ(together.size(), 3u);
    EXPECT_EQ(made.prompts.tokens, 5 + 15 + 1);
    EXPECT_EQ(made.steps.tokens, 3 * 29);
    EXPECT_GT(made.prompts.seconds, 0);
    EXPECT_GT(made.steps.per_second(), 0);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(together[i].size(), 30u);
      // One prompt alone, and its text cut anywhere as the prompt.
      EXPECT_EQ(task.generate({.prompts = {request.prompts[i]}, .max_tokens = 30, .temperature = 0}, c).texts[0],
                together[i]);
      for (const size_t cut : {size_t{1}, size_t{13}}) {
        const std::string longer = request.prompts[i] + together[i].substr(0, cut);
        EXPECT_EQ(
            task.generate({.prompts = {longer}, .max_tokens = static_cast<int64_t>(30 - cut), .temperature = 0}, c)
                .texts[0],
            together[i].substr(cut));
      }
    }
    request.temperature = 1;
    EXPECT_EQ(task.generate(request, c).texts, task.generate(request, c).texts);
    auto other = request;
    other.seed = 1;
    EXPECT_NE(task.generate(request, c).texts, task.generate(other, c).texts);
    // As long as the model has positions.
    EXPECT_EQ(task.generate({.prompts = {"the cat"}, .max_tokens = 1000, .temperature = 0}, c).texts[0].size(),
              64u - 7);
  }
}

// Batches travel to a device, evaluations and generated text come back.
TEST_F(TextTasks, ADeviceComputesTheSame) {
  if (!why_not({DeviceType::emulated, 0}).empty()) GTEST_SKIP() << why_not({DeviceType::emulated, 0});
  const std::vector<std::string> small{"train.batch_size=4", "train.accumulate=2", "model.dropout=0"};
  for (const auto& [yaml, more] : {std::pair{kTinyClassifier, std::string("data.batching=padded")},
                                   {kTinyClassifier, "data.batching=packed"},
                                   {kTinyGpt, "data.block=16"}}) {
    auto here = small, there = small;
    here.push_back(more), there.push_back(more);
    there.emplace_back("device=emulated");
    const auto a = start(yaml, here), b = start(yaml, there);
    for (int i = 0; i < 2; ++i) {
      const auto x = a->session->step(), y = b->session->step();
      EXPECT_NEAR(x.loss, y.loss, 1e-5 * x.loss) << more << ", step " << i;
      EXPECT_NEAR(x.grad_norm, y.grad_norm, 1e-4 * x.grad_norm) << more << ", step " << i;
    }
    const auto x = evaluated(*a), y = evaluated(*b);
    EXPECT_NEAR(metric(x, "loss"), metric(y, "loss"), 1e-5 * metric(x, "loss")) << more;
    if (yaml != kTinyGpt) continue;
    const train::GenerateRequest request{.prompts = {"the cat", "my"}, .max_tokens = 5, .temperature = 0};
    EXPECT_EQ(a->config.task->generate(request, a->config.evaluation_context()).texts,
              b->config.task->generate(request, b->config.evaluation_context()).texts);
  }
}

TEST_F(TextTasks, RefusesWhatDoesNotFit) {
  EXPECT_THAT(refused(kTinyClassifier, {"data.max_length=40"}),
              HasSubstr("data.max_length: is 40, but the model has positions for 32 tokens (model.positions)"));
  EXPECT_THAT(refused(kTinyClassifier, {"model.name=gpt2"}), HasSubstr("'gpt2' has no classification head"));
  EXPECT_THAT(refused(kTinyGpt, {"model.name=bert"}), HasSubstr("'bert' has no causal head"));
  EXPECT_THAT(refused(kTinyClassifier, {"model.vocabulary=7"}), HasSubstr("model.vocabulary: is 7, expected at least"));
  EXPECT_THAT(refused(kTinyClassifier, {"metric=spearman"}), HasSubstr("metric"));
  EXPECT_THAT(refused(kTinyClassifier, {"model.pretrained=nowhere"}),
              HasSubstr("model.pretrained: nowhere has no config.json"));
  const std::string path = "tokenizer.path=" GFSA_SOURCE_DIR "/tests/golden/tokenizers/";
  EXPECT_THAT(refused(kTinyGpt, {"task=masked_language_modelling", "model.name=bert", path + "gpt2"}),
              HasSubstr("which masked language modelling needs"));
  EXPECT_THAT(refused(kTinyClassifier, {"model.name=roberta", path + "gpt2"}),
              HasSubstr("tokenizer: has no padding token, but roberta counts positions after the padding token's id, "
                        "which must be 1"));
  EXPECT_THAT(refused(kTinyClassifier, {"model.name=roberta", path + "bert"}),
              HasSubstr("tokenizer: pads with the id 0, but roberta counts"));
  EXPECT_THAT(refused(kTinyGpt, {"data.block=64", "data.path=" + folder_ / "data/none"}), HasSubstr("does not exist"));
  EXPECT_THAT(refused(kTinyGpt, {"data.path=" + folder_ / "data/train.txt", "data.val_share=1e-9"}),
              HasSubstr("to cut the validation split off at"));
}

}  // namespace
}  // namespace gfsa::tasks
