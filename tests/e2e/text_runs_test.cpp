// Language models from text to figures and text again, by the programs: a run directory is all that is needed
// afterwards.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "e2e/train_program.h"
#include "tasks/tiny_texts.h"

namespace gfsa {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class TextRuns : public TrainProgramTest {
 protected:
  TextRuns() {
    tasks::write_tiny_texts(folder_ / "data");
    Env::real().write(folder_ / "gpt.yaml", tasks::with_data(tasks::kTinyGpt, "data"));
    Env::real().write(folder_ / "bert.yaml", tasks::with_data(tasks::kTinyClassifier, "data"));
  }
  test::ProcessResult evaluate(const std::vector<std::string>& arguments) const {
    auto all = command(arguments);
    all[0] = all[0].substr(0, all[0].rfind('/')) + "/gfsa-eval";
    return test::run_process(all, options());
  }
};

TEST_F(TextRuns, AGptGoesOnBitForBitAndWrites) {
  ASSERT_EQ(train({"--config", "gpt.yaml", "run_dir=straight", "schedule=constant"}).exit_code, 0);
  ASSERT_EQ(train({"--config", "gpt.yaml", "run_dir=resumed", "schedule=constant", "train.epochs=1"}).exit_code, 0);
  // The tokenizer is the checkpoint's: the training text alone would make another one of another size now.
  const auto second = train({"--resume", "resumed", "train.epochs=3"});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.err, testing::Not(HasSubstr("trained from the training text")));
  EXPECT_TRUE(tensors("straight") == tensors("resumed"));
  EXPECT_EQ(metrics("straight"), metrics("resumed"));

  // Of a run nothing else is needed: not the tokenizer's text, and not the place where it stood.
  std::filesystem::rename(folder_ / "straight", folder_ / "moved");
  std::filesystem::remove(folder_ / "data/train.txt");
  for (const char* name : {"config.json", "tokenizer.json"}) EXPECT_TRUE(exists(std::string("moved/") + name)) << name;
  const auto text = evaluate({"moved", "--generate", "the cat", "--max-tokens", "8", "--temperature", "0"});
  ASSERT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, StartsWith("the cat"));
  EXPECT_GT(text.out.size(), 12u);
  EXPECT_THAT(text.err, AllOf(HasSubstr("prompts: "), HasSubstr("written: ")));
  const auto as_json = evaluate({"moved", "--generate", "the cat", "--generate", "a", "--max-tokens", "8",
                                 "--temperature", "0", "--output", "texts.json"});
  ASSERT_EQ(as_json.exit_code, 0) << as_json.err;
  const auto made = nlohmann::json::parse(read("texts.json"));
  EXPECT_EQ("the cat" + made["texts"][0]["continuation"].get<std::string>() + "\n", text.out);
  EXPECT_EQ(made["texts"][1]["prompt"], "a");
  for (const char* part : {"prompts", "steps"}) {
    const double tokens = made[part]["tokens"], seconds = made[part]["seconds"], rate = made[part]["tokens_per_second"];
    EXPECT_GT(tokens, 0);
    EXPECT_NEAR(rate, tokens / seconds, 1e-9 * rate);
  }
  EXPECT_THAT(evaluate({"moved", "--generate", "the cat", "--output", "texts.csv"}).err,
              HasSubstr("--output texts.csv: --generate writes .json"));
  const auto result = evaluate({"moved", "--split", "test", "--output", "test.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("perplexity per token"), HasSubstr("perplexity per word"),
                                HasSubstr("bits per byte"), HasSubstr("gpt2, depth 2, gfsa")));
  const auto j = nlohmann::json::parse(read("test.json"));
  EXPECT_GT(j["word_perplexity"]["value"].get<double>(), 1);
  const auto table = evaluate({"moved", "resumed"});
  EXPECT_THAT(table.out, AllOf(HasSubstr("perplexity per word"), HasSubstr("moved"), HasSubstr("resumed")));
  EXPECT_EQ(evaluate({"--verify", "moved"}).exit_code, 0);
}

TEST_F(TextRuns, ATokenizerThatIsNotTheRunsIsRefused) {
  ASSERT_EQ(train({"--config", "gpt.yaml", "run_dir=a", "train.epochs=null", "train.steps=1"}).exit_code, 0);
  ASSERT_EQ(
      train({"--config", "gpt.yaml", "run_dir=b", "train.epochs=null", "train.steps=1", "tokenizer.vocabulary=290"})
          .exit_code,
      0);
  const auto r = evaluate({"a", "tokenizer.path=b/tokenizer.json"});
  EXPECT_EQ(r.exit_code, 2);
  EXPECT_THAT(r.err,
              AllOf(HasSubstr("tokenizer.path: b/tokenizer.json (fingerprint "),
                    HasSubstr("is not the tokenizer that the weights in a/checkpoints/step-00000001 were trained "
                              "with")));
  EXPECT_EQ(evaluate({"a", "tokenizer.path=a/tokenizer.json"}).exit_code, 0);
}

TEST_F(TextRuns, AClassifierPredictsInGluesFormat) {
  const auto trained = train({"--config", "bert.yaml", "run_dir=run"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto evaluated = evaluate({"run", "--output", "val.json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.out, AllOf(HasSubstr("accuracy"), HasSubstr("Matthews"), HasSubstr("most frequent mistake"),
                                   HasSubstr("confusion matrix: run/eval/confusion_val.png")));
  EXPECT_GT(nlohmann::json::parse(read("val.json"))["accuracy"]["value"].get<double>(), 90);
  const auto predicted = evaluate({"run", "--predict", "test", "--output", "out.tsv"});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.err;
  EXPECT_EQ(read("out.tsv"), "index\tprediction\n0\tpos\n1\tneg\n");
  const auto unlabelled = evaluate({"run", "--split", "test"});
  EXPECT_EQ(unlabelled.exit_code, 2);
  EXPECT_THAT(unlabelled.err, HasSubstr("this split has no labels"));
  EXPECT_THAT(evaluate({"run", "--generate", "x"}).err, HasSubstr("this run's task generates no text"));
}

TEST_F(TextRuns, ARunsDirectoryIsAPretrainedModel) {
  Env& env = Env::real();
  ASSERT_EQ(train({"--config", "gpt.yaml", "run_dir=first", "task=masked_language_modelling", "model.name=bert",
                   "tokenizer.kind=wordpiece", "data.max_length=null"})
                .exit_code,
            2);  // max_length is not of this task
  const auto first = train({"--config", "gpt.yaml", "run_dir=first", "task=masked_language_modelling",
                            "model.name=bert", "tokenizer.kind=wordpiece"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  std::filesystem::path newest;
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / "first/checkpoints")) {
    newest = std::max(newest, entry.path());
  }
  ASSERT_TRUE(env.exists(newest.string() + "/config.json"));
  const auto tuned =
      train({"--config", "bert.yaml", "run_dir=tuned",
             "model={pretrained: " + newest.string() + ", positions: null, mlp_width: null}", "train.epochs=2"});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.err;
  EXPECT_EQ(read("tuned/tokenizer.json"), read("first/tokenizer.json"));
  std::filesystem::remove_all(folder_ / "first");
  EXPECT_EQ(evaluate({"tuned"}).exit_code, 0);
  EXPECT_EQ(train({"--resume", "tuned", "train.epochs=3"}).exit_code, 0);
}

TEST_F(TextRuns, DryRunAndShowBatchTellOfText) {
  const auto dry = train({"--config", "gpt.yaml", "--dry-run"});
  ASSERT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.out, AllOf(HasSubstr("tokenizer: "), HasSubstr("training text: "), HasSubstr("a word")));
  ASSERT_EQ(train({"--config", "bert.yaml", "--show-batch", "batch.txt"}).exit_code, 0);
  EXPECT_THAT(read("batch.txt"), HasSubstr("[CLS] "));
}

}  // namespace
}  // namespace gfsa
