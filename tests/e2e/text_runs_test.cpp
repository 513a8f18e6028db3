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
  EXPECT_THAT(text.err, AllOf(HasSubstr("prompts: "), HasSubstr("written: "), testing::Not(HasSubstr("fills"))));
  const auto full = evaluate({"moved", "--generate", "the cat", "--max-tokens", "999", "--temperature", "0"});
  EXPECT_THAT(full.err,
              AllOf(HasSubstr("--generate: text 1 ends after "), HasSubstr(" of 999 new tokens: with its prompt of "),
                    HasSubstr("it fills the model's ")));
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

// Pre-trained from text, then fine-tuned as a classifier; transformers predicts the same with what was written.
TEST_F(TextRuns, AMaskedModelsCheckpointIsAPretrainedModel) {
  ASSERT_EQ(train({"--config", "gpt.yaml", "run_dir=first", "task=masked_language_modelling", "model.name=bert",
                   "tokenizer.kind=auto", "data.max_length=null"})
                .exit_code,
            2);  // max_length is not of this task
  const char* python = std::getenv("GFSA_PYTHON");
  if (python != nullptr && test::run_process({python, "-c", "import torch, transformers"}).exit_code != 0)
    python = nullptr;
  for (const std::string model : {"bert", "roberta", "albert"}) {
    SCOPED_TRACE(model);
    const std::string first = "first_" + model, tuned = "tuned_" + model;
    const auto pretrained = train({"--config", "gpt.yaml", "run_dir=" + first, "task=masked_language_modelling",
                                   "model.name=" + model, "tokenizer.kind=auto", "tokenizer.vocabulary=400",
                                   "data.lines=strip", "train.epochs=20", "attention=softmax"});
    ASSERT_EQ(pretrained.exit_code, 0) << pretrained.err;
    const std::string newest = train::CheckpointStore(Env::real(), folder_ / first).latest();
    const auto fine_tuned =
        train({"--config", "bert.yaml", "run_dir=" + tuned, "attention=softmax", "train.epochs=20",
               fmt::format("model={{name: {}, pretrained: {}, positions: null, mlp_width: null}}", model, newest)});
    ASSERT_EQ(fine_tuned.exit_code, 0) << fine_tuned.err;
    EXPECT_EQ(read(tuned + "/tokenizer.json"), read(first + "/tokenizer.json"));
    std::filesystem::remove_all(folder_ / first);
    EXPECT_EQ(train({"--resume", tuned, "train.epochs=24"}).exit_code, 0);
    const auto predicted = evaluate({tuned, "--predict", "val", "--output", "out.tsv"});
    ASSERT_EQ(predicted.exit_code, 0) << predicted.err;
    EXPECT_EQ(evaluate({tuned, "--output", "val.json"}).exit_code, 0);
    EXPECT_GT(nlohmann::json::parse(read("val.json"))["accuracy"]["value"].get<double>(), 75);
    if (python == nullptr) continue;
    const std::string script = R"(
import csv, sys, torch, transformers
folder, texts, out = sys.argv[1:]
tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=folder + "/tokenizer.json")
model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
tokenizer.pad_token_id = model.config.pad_token_id
texts = [row["text"] for row in csv.DictReader(open(texts), delimiter="\t")]
batch = tokenizer(texts, padding=True, truncation=True, max_length=24, return_tensors="pt")
with torch.no_grad():
    classes = model(**{k: batch[k] for k in ("input_ids", "attention_mask")}).logits.argmax(1).tolist()
with open(out, "w") as f:
    f.write("index\tprediction\n" + "".join(f"{i}\t{['neg', 'pos'][c]}\n" for i, c in enumerate(classes)))
)";
    const auto theirs =
        test::run_process({python, "-c", script, train::CheckpointStore(Env::real(), folder_ / tuned).latest(),
                           folder_ / "data/val.tsv", folder_ / "theirs.tsv"});
    ASSERT_EQ(theirs.exit_code, 0) << theirs.err;
    EXPECT_EQ(read("theirs.tsv"), read("out.tsv"));
  }
}

TEST_F(TextRuns, DryRunAndShowBatchTellOfText) {
  const auto dry = train({"--config", "gpt.yaml", "--dry-run"});
  ASSERT_EQ(dry.exit_code, 0) << dry.err;
  EXPECT_THAT(dry.out, AllOf(HasSubstr("tokenizer: "), HasSubstr("training text: "), HasSubstr("a word")));
  ASSERT_EQ(train({"--config", "bert.yaml", "--show-batch", "batch.txt"}).exit_code, 0);
  EXPECT_THAT(read("batch.txt"), HasSubstr("[CLS] "));
  ASSERT_EQ(train({"--config", "bert.yaml", "--show-batch", "batch.txt", "model.name=roberta", "tokenizer.kind=auto",
                   "tokenizer.vocabulary=300"})
                .exit_code,
            0);
  EXPECT_THAT(read("batch.txt"), AllOf(HasSubstr("\t<s>"), HasSubstr("</s>\n")));
}

}  // namespace
}  // namespace gfsa
