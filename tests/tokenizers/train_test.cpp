#include "tokenizers/train.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "tokenizers/golden.h"

namespace gfsa::tokenizers {
namespace {

using Texts = std::vector<std::string>;

std::shared_ptr<const Tokenizer> train(const Texts& texts, const TrainOptions& options) {
  return train_tokenizer(
      [&](const auto& see) {
        for (const std::string& text : texts) see(text);
      },
      options);
}

Texts golden_texts() {
  std::istringstream lines(Env::real().read(golden_path("trained/texts.txt")));
  Texts texts;
  for (std::string line; std::getline(lines, line);) texts.push_back(line);
  return texts;
}

std::string why(const TrainOptions& options, const Texts& texts = {"a text"}) {
  try {
    train(texts, options);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput);
    return error.message();
  }
  return "";
}

TEST(Train, ByteBpeLearnsHuggingFacesMerges) {
  const auto tokenizer = train(golden_texts(), {"byte_bpe", 500, 2, false, {}});
  const auto json = nlohmann::json::parse(tokenizer->to_json());
  EXPECT_EQ(json["model"]["vocab"], read_golden("trained/vocab.json"));
  std::istringstream lines(Env::real().read(golden_path("trained/merges.txt")));
  std::string line;
  std::getline(lines, line);  // #version
  for (const auto& merge : json["model"]["merges"]) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(merge[0].get<std::string>() + " " + merge[1].get<std::string>(), line);
  }
  EXPECT_FALSE(std::getline(lines, line));
  EXPECT_EQ(tokenizer->id_of("<|endoftext|>"), 0);
  EXPECT_EQ(tokenizer->size(), 500);
}

TEST(Train, OrderOfTextsDoesNotMatter) {
  Texts texts = golden_texts();
  for (const char* kind : {"byte_bpe", "wordpiece", "word", "character", "byte"}) {
    const TrainOptions options{kind, 400, 2, true, {}};
    const auto first = train(texts, options)->to_json();
    std::reverse(texts.begin(), texts.end());
    EXPECT_EQ(train(texts, options)->to_json(), first) << kind;
  }
}

TEST(Train, WordPiece) {
  const auto tokenizer = train(golden_texts(), {"wordpiece", 300, 2, true, {}});
  EXPECT_EQ(tokenizer->size(), 300);
  EXPECT_EQ(tokenizer->id_of("[PAD]"), 0);
  EXPECT_EQ(tokenizer->special_id("mask"), 4);
  const Encoding e = tokenizer->encode("Before we PROCEED any further, hear me speak. \u4e2d");
  EXPECT_EQ(e.ids.front(), 2);
  EXPECT_EQ(e.ids.back(), 3);
  EXPECT_EQ(e.ids[e.ids.size() - 2], 1);  // a character that was in no text
  EXPECT_EQ(tokenizer->decode(e.ids), "before we proceed any further, hear me speak.");
}

// "low" twice as often as "no", so that l-o merges first; then ties: o-w and lo-w.
TEST(Train, MergesByHand) {
  const auto tokenizer = train({"low low low low no no"}, {"byte_bpe", 261, 2, false, {}});
  EXPECT_EQ(tokenizer->token(257), "lo");  // of l-o and o-w, equally frequent, the one with the smaller ids
  EXPECT_EQ(tokenizer->token(258), "low");
  EXPECT_EQ(tokenizer->token(259), "\u0120low");
  EXPECT_EQ(tokenizer->token(260), "no");
}

TEST(Train, MergesThatAreTooRareAreNotLearned) {
  EXPECT_EQ(train({"ab ab cd"}, {"byte_bpe", 1000, 2, false, {}})->size(), 258);
  EXPECT_EQ(train({"ab ab cd"}, {"byte_bpe", 1000, 3, false, {}})->size(), 257);
}

TEST(Train, WordsKeepUnknownAndEndOfSentenceAsWritten) {
  const Texts texts = {" no it was n't <unk> monday ", " it was no N ", " it was once "};
  const auto tokenizer = train(texts, {"word", 100, 2, false, {}});
  // By frequency, then by bytes: it, was (3); no (2).
  EXPECT_EQ(tokenizer->size(), 5);
  const int32_t unknown = *tokenizer->special_id("unk");
  EXPECT_EQ(tokenizer->encode("it was <unk> blue no <eos>").ids, (std::vector<int32_t>{2, 3, unknown, unknown, 4, 1}));
  EXPECT_EQ(tokenizer->decode({2, 3, 0, 4, 1}, true), "it was <unk> no");
  EXPECT_EQ(tokenizer->decode({2, 3, 0, 4, 1}, false), "it was <unk> no <eos>");
  EXPECT_EQ(tokenizer->special_id("eos"), 1);
  EXPECT_EQ(train(texts, {"word", 4, 1, false, {}})->size(), 4);
}

TEST(Train, CharactersAreCodePoints) {
  const auto tokenizer = train({"bané", "日 a"}, {"character", 100, 2, false, {}});
  EXPECT_EQ(tokenizer->size(), 7);  // <unk>, space, a, b, n, é, 日
  const Encoding e = tokenizer->encode("é日 z");
  EXPECT_EQ(e.ids, (std::vector<int32_t>{5, 6, 1, 0}));
  EXPECT_EQ(e.offsets, (std::vector<std::pair<int32_t, int32_t>>{{0, 2}, {2, 5}, {5, 6}, {6, 7}}));
  EXPECT_EQ(tokenizer->decode({5, 6, 1, 2}), "é日 a");
  EXPECT_EQ(train({"aaabbc"}, {"character", 3, 1, false, {}})->encode("abc").ids, (std::vector<int32_t>{1, 2, 0}));
}

TEST(Train, BytesAreTheirOwnIds) {
  const auto tokenizer = train({"x"}, {"byte", 256, 1, false, {}});
  std::string all;
  for (int c = 1; c < 0x3000; c += 7) all += static_cast<char>(c % 128);
  all += "é日👍";
  const Encoding e = tokenizer->encode(all);
  ASSERT_EQ(e.ids.size(), all.size());
  for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(e.ids[i], static_cast<unsigned char>(all[i]));
  EXPECT_EQ(tokenizer->decode(e.ids), all);
  EXPECT_EQ(train({"x"}, {"byte", 300, 1, false, "roberta"})->encode("a<mask>").ids,
            (std::vector<int32_t>{0, 'a' + 5, 4, 2}));
}

TEST(Train, BadInput) {
  EXPECT_EQ(
      why({"byte_bp", 300, 2, false, {}}),
      "kind: 'byte_bp' is no kind of tokenizer; expected byte_bpe, wordpiece, word, character or byte; did you mean "
      "'byte_bpe'?");
  EXPECT_EQ(
      why({"byte_bpe", 200, 0, false, {}}),
      "vocabulary: is 200, expected 257 (special tokens and bytes) to 100,000,000\nmin_frequency: is 0, expected 1 or "
      "more");
  EXPECT_EQ(why({"byte_bpe", 260, 1, false, "roberta"}),
            "vocabulary: is 260, expected 261 (special tokens and bytes) to 100,000,000");
  EXPECT_EQ(why({"word", 10, 1, false, "robert"}),
            "special_tokens: 'robert' is no family of models; expected albert, bert or roberta; did you mean "
            "'roberta'?");
  EXPECT_EQ(why({"byte_bpe", 300, 1, false, {}}, {}), "there is no text to train a tokenizer on");
  EXPECT_EQ(why({"byte_bpe", 300, 1, false, {}}, {"fine", "not \xFF"}),
            "text 2 to train a tokenizer on: byte 4 (0xff) is not UTF-8");
}

}  // namespace
}  // namespace gfsa::tokenizers
