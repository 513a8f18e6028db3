// Special tokens of model families in trained tokenizers: ids, roles, what stands around texts, and that Hugging Face's
// library reads the same from the tokenizer.json that is written.
#include "tokenizers/special_tokens.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "support/process.h"
#include "support/temporary_folder.h"
#include "tokenizers/golden.h"
#include "tokenizers/train.h"

namespace gfsa::tokenizers {
namespace {

using Ids = std::vector<int32_t>;

std::vector<std::string> golden_texts() {
  std::istringstream lines(Env::real().read(golden_path("trained/texts.txt")));
  std::vector<std::string> texts;
  for (std::string line; std::getline(lines, line);) texts.push_back(line);
  return texts;
}

std::shared_ptr<const Tokenizer> trained(const std::string& kind, const std::string& family) {
  TrainOptions options;
  options.kind = kind;
  options.vocabulary = 400;
  options.special_tokens = family;
  static const auto texts = golden_texts();
  return train_tokenizer(
      [](const auto& see) {
        for (const auto& text : texts) see(text);
      },
      options);
}

const std::vector<std::string> kKinds = {"byte_bpe", "wordpiece", "word", "character", "byte"};

std::vector<int32_t> ids_of_roles(const Tokenizer& tokenizer) {
  Ids ids;
  for (const char* role : {"pad", "unk", "cls", "sep", "mask", "bos", "eos"})
    ids.push_back(tokenizer.special_id(role).value_or(-1));
  return ids;
}

TEST(SpecialTokens, AreThoseOfThePublishedModels) {
  for (const auto& kind : kKinds) {
    SCOPED_TRACE(kind);
    const auto roberta = trained(kind, "roberta"), bert = trained(kind, "bert"), albert = trained(kind, "albert");
    EXPECT_EQ(ids_of_roles(*roberta), (Ids{1, 3, 0, 2, 4, 0, 2}));
    EXPECT_EQ(ids_of_roles(*bert), (Ids{0, 1, 2, 3, 4, -1, -1}));
    EXPECT_EQ(ids_of_roles(*albert), (Ids{0, 1, 2, 3, 4, 2, 3}));
    const char* const names[3][5] = {{"<s>", "<pad>", "</s>", "<unk>", "<mask>"},
                                     {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"},
                                     {"<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"}};
    for (int32_t id = 0; id < 5; ++id) {
      EXPECT_EQ(roberta->token(id), names[0][id]);
      EXPECT_EQ(bert->token(id), names[1][id]);
      EXPECT_EQ(albert->token(id), names[2][id]);
    }
  }
}

TEST(SpecialTokens, WithoutAFamilyAreWhatRunningTextNeeds) {
  EXPECT_EQ(ids_of_roles(*trained("byte_bpe", "")), (Ids{-1, -1, -1, -1, -1, 0, 0}));
  EXPECT_EQ(trained("byte_bpe", "")->token(0), "<|endoftext|>");
  EXPECT_EQ(ids_of_roles(*trained("word", "")), (Ids{-1, 0, -1, -1, -1, -1, 1}));
  EXPECT_EQ(ids_of_roles(*trained("character", "")), (Ids{-1, 0, -1, -1, -1, -1, -1}));
  EXPECT_EQ(ids_of_roles(*trained("byte", "")), Ids(7, -1));
  EXPECT_EQ(trained("wordpiece", "")->to_json(), trained("wordpiece", "bert")->to_json());
  for (const char* kind : {"byte_bpe", "word", "character", "byte"}) {
    EXPECT_EQ(trained(kind, "")->special_count(true), 0) << kind;
  }
}

TEST(SpecialTokens, StandAroundTextsAsInTheFamily) {
  for (const auto& kind : kKinds) {
    SCOPED_TRACE(kind);
    const EncodeOptions plain{.special_tokens = false, .max_length = std::nullopt};
    const auto check = [&](const std::string& family, const std::vector<std::string>& parts, int32_t second) {
      const auto tokenizer = trained(kind, family);
      Ids ids, types;
      std::vector<bool> special;
      const std::vector<std::string> texts = {"Before we", "speak"};
      size_t text = 0;
      bool behind = false;  // the first text's end
      for (const std::string& part : parts) {
        const bool is_text = part.empty();
        behind = behind || (is_text && text == 1);
        const Ids some = is_text ? tokenizer->encode(texts[text++], plain).ids : Ids{*tokenizer->id_of(part)};
        ids.insert(ids.end(), some.begin(), some.end());
        types.insert(types.end(), some.size(), behind ? second : 0);
        special.insert(special.end(), some.size(), !is_text);
      }
      const Encoding e = text == 2 ? tokenizer->encode_pair(texts[0], texts[1]) : tokenizer->encode(texts[0]);
      EXPECT_EQ(e.ids, ids);
      EXPECT_EQ(e.types, types);
      EXPECT_EQ(e.special, special);
    };
    check("roberta", {"<s>", "", "</s>"}, 0);
    check("roberta", {"<s>", "", "</s>", "</s>", "", "</s>"}, 0);
    for (const char* family : {"bert", "albert"}) {
      check(family, {"[CLS]", "", "[SEP]"}, 0);
      check(family, {"[CLS]", "", "[SEP]", "", "[SEP]"}, 1);
    }
  }
}

// What stands in a text is found there, and RoBERTa's <mask> takes the space before it.
TEST(SpecialTokens, AreFoundInTexts) {
  const auto roberta = trained("byte_bpe", "roberta");
  const Encoding e = roberta->encode("we <mask> speak");
  EXPECT_EQ(std::count(e.ids.begin(), e.ids.end(), 4), 1);
  EXPECT_EQ(roberta->decode(e.ids, true), "we speak");
  EXPECT_EQ(roberta->decode(e.ids, false), "<s>we<mask> speak</s>");
  EXPECT_EQ(trained("word", "bert")->encode("xyz").ids, (Ids{2, 1, 3}));
}

// Ids, types, offsets, marks of special tokens, truncation and decoding, both ways.
TEST(SpecialTokens, HuggingFaceReadsTheSame) {
  const char* python = std::getenv("GFSA_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "GFSA_PYTHON names no Python";
  if (test::run_process({python, "-c", "import tokenizers, transformers"}).exit_code != 0)
    GTEST_SKIP() << python << " has no tokenizers or transformers";
  const std::string script = R"(
import json, sys
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast
TEXTS = ["Before we proceed any further, hear me speak.", " we  <mask> are[MASK]accounted", "", "caf\u00e9 \u4e2d \U0001F600 Speak",
         "<unk> [UNK] </s> x", "First Citizen:\n\tYou are all resolved rather to die than to famish? "]
INPUTS = TEXTS + [(a, b) for a in TEXTS[:4] for b in TEXTS[2:]]
def describe(tok, given, length):
    tok.no_truncation()
    if length:
        tok.enable_truncation(length, strategy="longest_first")
    e = tok.encode(given) if isinstance(given, str) else tok.encode(*given)
    out = {"text": given} if isinstance(given, str) else {"pair": list(given)}
    if length:
        out["max_length"] = length
    texts = [given] if isinstance(given, str) else given
    spans = []
    for s, special, (begin, end) in zip(e.sequence_ids, e.special_tokens_mask, e.offsets):
        text = texts[s or 0]
        spans += [0, 0] if special and s is None else [len(text[:begin].encode()), len(text[:end].encode())]
    out.update(ids=e.ids, types=e.type_ids, offsets=spans, special=e.special_tokens_mask,
               decoded=tok.decode(e.ids), decoded_all=tok.decode(e.ids, skip_special_tokens=False))
    return out
for folder in sys.argv[1:]:
    tok = Tokenizer.from_file(folder + "/tokenizer.json")
    cases = [describe(tok, given, length) for given in INPUTS for length in (0, 7)]
    json.dump(cases, open(folder + "/cases.json", "w"))
    fast = PreTrainedTokenizerFast(tokenizer_file=folder + "/tokenizer.json")
    tok.no_truncation()
    assert fast(TEXTS[0], TEXTS[1])["input_ids"] == tok.encode(TEXTS[0], TEXTS[1]).ids
)";
  const test::TemporaryFolder folder;
  std::vector<std::string> command = {python, "-c", script};
  std::vector<std::shared_ptr<const Tokenizer>> tokenizers;
  for (const auto& kind : kKinds) {
    for (const char* family : {"", "bert", "albert", "roberta"}) {
      command.push_back(folder / (kind + "-" + family));
      Env::real().create_directories(command.back());
      tokenizers.push_back(trained(kind, family));
      Env::real().write(command.back() + "/tokenizer.json", tokenizers.back()->to_json());
    }
  }
  const auto result = test::run_process(command);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (size_t i = 0; i < tokenizers.size(); ++i) {
    SCOPED_TRACE(command[i + 3]);
    const auto cases = nlohmann::json::parse(Env::real().read(command[i + 3] + "/cases.json"));
    ASSERT_EQ(cases.size(), 2u * (6 + 16));
    const auto again = read_tokenizer(command[i + 3]);
    EXPECT_EQ(again->fingerprint(), tokenizers[i]->fingerprint());
    EXPECT_EQ(ids_of_roles(*again), ids_of_roles(*tokenizers[i]));
    for (const auto& expected : cases) {
      expect_case(*tokenizers[i], expected);
      expect_case(*again, expected);
    }
  }
}

}  // namespace
}  // namespace gfsa::tokenizers
