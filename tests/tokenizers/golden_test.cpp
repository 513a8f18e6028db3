// Ids, types, offsets, special tokens, truncation and decoding against Hugging Face's, on texts that are hard to cut.
#include "tokenizers/golden.h"
#include <sentencepiece_processor.h>

#include "support/temporary_folder.h"

namespace gfsa::tokenizers {
namespace {

class Golden : public testing::TestWithParam<const char*> {};

TEST_P(Golden, EncodesAndDecodesLikeHuggingFace) {
  const auto tokenizer = read_tokenizer(golden_path(GetParam()));
  const auto cases = read_golden(std::string(GetParam()) + "/cases.json");
  ASSERT_GT(cases.size(), 250u);
  for (const auto& expected : cases) expect_case(*tokenizer, expected);
}

TEST_P(Golden, IsTheSameFromItsOwnTokenizerJson) {
  const auto tokenizer = read_tokenizer(golden_path(GetParam()));
  const test::TemporaryFolder folder;
  Env::real().write(folder / "tokenizer.json", tokenizer->to_json());
  const auto again = read_tokenizer(folder.path());
  EXPECT_EQ(again->to_json(), tokenizer->to_json());
  EXPECT_EQ(again->fingerprint(), tokenizer->fingerprint());
  EXPECT_EQ(again->size(), tokenizer->size());
  for (const char* role : {"pad", "unk", "cls", "sep", "mask", "bos", "eos"}) {
    EXPECT_EQ(again->special_id(role), tokenizer->special_id(role)) << role;
  }
  for (const auto& expected : read_golden(std::string(GetParam()) + "/cases.json")) expect_case(*again, expected);
}

INSTANTIATE_TEST_SUITE_P(Formats, Golden, testing::Values("bert", "gpt2", "roberta", "albert"));

// Every component of tokenizer.json that the reader supports.
TEST(GoldenComponents, EncodeAndDecodeLikeHuggingFace) {
  const test::TemporaryFolder folder;
  const auto all = read_golden("components.json");
  ASSERT_GE(all.size(), 40u);
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    const std::string file = folder / "tokenizer.json", again = folder / "again.json";
    Env::real().write(file, all[i]["tokenizer"].dump());
    const auto tokenizer = read_tokenizer(file);
    Env::real().write(again, tokenizer->to_json());
    const auto second = read_tokenizer(again);
    EXPECT_EQ(second->to_json(), tokenizer->to_json());
    for (const auto& expected : all[i]["cases"]) {
      expect_case(*tokenizer, expected);
      expect_case(*second, expected);
    }
  }
}

// The library itself cuts words of plain letters into the same pieces.
TEST(Albert, PiecesAreSentencePieces) {
  sentencepiece::SentencePieceProcessor library;
  ASSERT_TRUE(library.Load(golden_path("albert/spiece.model")).ok());
  const auto tokenizer = read_tokenizer(golden_path("albert"));
  EncodeOptions plain;
  plain.special_tokens = false;
  std::string text;
  int words = 0;
  for (const char c : Env::real().read(golden_path("trained/texts.txt"))) {
    if (c >= 'a' && c <= 'z') {
      text += c;
      continue;
    }
    if (text.empty()) continue;
    std::vector<int> expected;
    ASSERT_TRUE(library.Encode(text, &expected).ok());
    EXPECT_EQ(tokenizer->encode(text, plain).ids, (std::vector<int32_t>(expected.begin(), expected.end()))) << text;
    text.clear();
    ++words;
  }
  EXPECT_GT(words, 1500);
}

}  // namespace
}  // namespace gfsa::tokenizers
