#include "data/text/corpus_config.h"

#include <cmath>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "data/text/text_file.h"

namespace gfsa::data {
namespace {

// How corpora name their files: Penn Treebank, WikiText (raw and not), and plain names.
std::vector<std::string> usual_names(const std::string& split) {
  if (split == "train") return {"train.txt", "ptb.train.txt", "wiki.train.raw", "wiki.train.tokens"};
  if (split == "val") {
    return {"valid.txt", "val.txt", "validation.txt", "ptb.valid.txt", "wiki.valid.raw", "wiki.valid.tokens"};
  }
  return {"test.txt", "ptb.test.txt", "wiki.test.raw", "wiki.test.tokens"};
}

std::string find_text(const std::string& folder, const std::string& split, const std::string& given) {
  Env& env = Env::real();
  if (!env.is_directory(folder)) bad_input("data.path: {} does not exist, expected a folder or a text file", folder);
  const auto names = given.empty() ? usual_names(split) : std::vector<std::string>{given};
  for (const auto& name : names) {
    for (const char* ending : {"", ".gz"}) {
      const std::string path = name.starts_with('/') ? name + ending : folder + "/" + name + ending;
      if (env.exists(path) && !env.is_directory(path)) return path;
    }
  }
  bad_input("data.{0}_file: {1} has no {2} (also not as .gz) for the split '{0}'{3}", split, folder, one_of(names),
            did_you_mean(names[0], env.list(folder)));
}

}  // namespace

void CorpusConfig::describe(config::Schema& s) {
  s.field("path", path)
      .path()
      .required()
      .doc(
          "A folder with a file a split (train.txt, valid.txt, test.txt, or as Penn Treebank and WikiText name them), "
          "or "
          "one text file, whose end is the validation split. Files may be .gz.");
  s.field("train_file", train_file).doc("The training text in the folder; empty: the usual names are tried.");
  s.field("val_file", val_file).doc("The validation text, likewise.");
  s.field("test_file", test_file).doc("The test text, likewise.");
  s.field("val_share", val_share)
      .above(0)
      .below(1)
      .doc("Of one file: the share at its end, from a line's beginning on, that is the validation split.");
  s.field("lines", lines)
      .choices({"keep", "strip", "token"})
      .doc(
          "What a line's end is. keep: a character of the text. strip: nothing; lines lose the white space around them "
          "and follow each other. token: the same with the end-of-text token behind each line.");
  s.field("concatenation", concatenation)
      .choices({"stream", "per_1000_lines"})
      .doc(
          "stream: one row of tokens; blocks follow each other, and each token but the first is predicted. "
          "per_1000_lines: lines are joined by thousands, what is left of each after the last whole block is dropped, "
          "and a block's first token is not predicted.")
      .source("per_1000_lines: run_clm of transformers, whose map batches are that, and the GFSA reference code");
  s.field("block", block)
      .at_least(2)
      .unit("tokens")
      .doc("Length of a training sample, and of what an evaluation sees.");
  s.field("stride", stride)
      .at_least(0)
      .unit("tokens")
      .doc(
          "Evaluation moves on by so many tokens and counts those, each with all of the block before it as context; 0: "
          "a "
          "block, whose first tokens have little context.");
  s.field("shift", shift).doc("Each epoch, training blocks begin somewhere else (by up to a block).");
  s.field("token_cache", token_cache)
      .doc("A folder for the tokens of each text, which are then mapped into memory; empty: made at each start.");
  loader.describe(s);
  s.check(stride <= block, "stride", "must not be larger than block: tokens would be left out");
  s.check(concatenation == "stream" || !shift, "shift", "needs concatenation: stream");
  s.check(concatenation == "stream" || stride == 0, "stride", "needs concatenation: stream");
  s.check(concatenation == "stream" || lines != "token", "lines", "token needs concatenation: stream");
}

CorpusConfig::Text CorpusConfig::read(const std::string& split) const {
  Env& env = Env::real();
  if (split != "train" && split != "val" && split != "test") {
    bad_input("data: there is no split '{}', expected train, val or test{}", split,
              did_you_mean(split, {"train", "val", "test"}));
  }
  if (!env.exists(path) || env.is_directory(path)) {
    const std::string& given = split == "train" ? train_file : split == "val" ? val_file : test_file;
    const std::string file = find_text(path, split, given);
    return {file, read_text_file(env, file)};
  }
  if (split == "test") bad_input("data: {} is one file, which has a train and a val split, but no test split", path);
  std::string text = read_text_file(env, path);
  const auto wanted = static_cast<size_t>(std::llround((1 - val_share) * static_cast<double>(text.size())));
  const size_t line = text.find('\n', wanted);
  if (line == std::string::npos || line + 1 == text.size()) {
    bad_input(
        "data: {} has no line's end in its last {} bytes to cut the validation split off at; raise data.val_share",
        path, text.size() - wanted);
  }
  return {path, split == "train" ? text.substr(0, line + 1) : text.substr(line + 1)};
}

StreamOptions CorpusConfig::stream_options() const { return {lines, concatenation == "per_1000_lines", token_cache}; }

std::shared_ptr<const TokenStream> CorpusConfig::open(const std::string& split,
                                                      const tokenizers::Tokenizer& tokenizer) const {
  const Text text = read(split);
  return TokenStream::make(Env::real(), text.content, text.name, tokenizer, stream_options());
}

}  // namespace gfsa::data
