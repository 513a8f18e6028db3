// What is said about files that are no tokenizers.
#include <gtest/gtest.h>

#include "base/error.h"
#include "support/temporary_folder.h"
#include "tokenizers/golden.h"

namespace gfsa::tokenizers {
namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

// The message about a folder with these files; "FOLDER" stands for its path.
std::string why(const Files& files, const std::string& read = "") {
  const test::TemporaryFolder folder;
  for (const auto& [name, content] : files) Env::real().write(folder / name, content);
  try {
    read_tokenizer(read.empty() ? folder.path() : folder / read);
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput);
    std::string message = error.message();
    for (size_t at; (at = message.find(folder.path())) != std::string::npos;) {
      message.replace(at, folder.path().size(), "FOLDER");
    }
    return message;
  }
  return "no error";
}

constexpr const char* kBert = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n";

TEST(BadTokenizer, Folders) {
  EXPECT_EQ(why({}), "FOLDER: has no tokenizer: expected tokenizer.json, vocab.json, vocab.txt or spiece.model in it");
  EXPECT_EQ(why({}, "nowhere"), "FOLDER/nowhere: does not exist, expected a tokenizer's folder or file");
  EXPECT_EQ(why({{"words.bin", "x"}}, "words.bin"),
            "FOLDER/words.bin: not a tokenizer's file by its name: expected tokenizer.json, vocab.json, vocab.txt or "
            "spiece.model");
}

TEST(BadTokenizer, VocabTxt) {
  EXPECT_EQ(why({{"vocab.txt", kBert}}), "no error");
  EXPECT_EQ(why({{"vocab.txt", std::string(kBert) + "a\n"}}), "FOLDER/vocab.txt:8: token 'a' stands on line 6 already");
  EXPECT_EQ(why({{"vocab.txt", ""}}), "FOLDER/vocab.txt: has no tokens");
  EXPECT_EQ(why({{"vocab.txt", "a\nb\n"}}), "FOLDER/vocab.txt: the vocabulary has no unknown token '[UNK]'");
  EXPECT_EQ(why({{"vocab.txt", "[UNK]\n[CLS]\n"}}), "FOLDER/vocab.txt: the vocabulary has no sep token");
  EXPECT_EQ(why({{"vocab.txt", "[UNK]\ncaf\xE9\n"}}), "FOLDER/vocab.txt: byte 9 (0xe9) is not UTF-8");
  EXPECT_EQ(why({{"vocab.txt", kBert}, {"tokenizer_config.json", R"({"tokenizer_class": "T5Tokenizer"})"}}),
            "FOLDER/tokenizer_config.json: tokenizer_class is 'T5Tokenizer', which is not supported with a vocab.txt; "
            "expected BertTokenizer, DistilBertTokenizer, ElectraTokenizer, MobileBertTokenizer or ConvBertTokenizer");
}

TEST(BadTokenizer, VocabJsonAndMerges) {
  const std::string vocab = R"({"a": 0, "b": 1, "ab": 2})";
  EXPECT_EQ(why({{"vocab.json", vocab}, {"merges.txt", "#version: 0.2\na b\n"}}), "no error");
  EXPECT_EQ(why({{"vocab.json", vocab}, {"merges.txt", "#version: 0.2\na b\nb  a\n"}}),
            "FOLDER/merges.txt:3: 'b  a', expected two tokens with one space between them");
  EXPECT_EQ(why({{"vocab.json", vocab}, {"merges.txt", "a b\n\n"}}),
            "FOLDER/merges.txt:2: '', expected two tokens with one space between them");
  EXPECT_EQ(why({{"vocab.json", vocab}, {"merges.txt", "a b\na c\n"}}),
            "FOLDER/merges.txt:2: 'a c': token 'c' is not in the vocabulary");
  EXPECT_EQ(why({{"vocab.json", vocab}, {"merges.txt", "b a\n"}}),
            "FOLDER/merges.txt:1: 'b a': their merge 'ba' is not in the vocabulary");
  EXPECT_EQ(why({{"vocab.json", "{\"a\": 0,\n \"b\" 1}"}, {"merges.txt", ""}}),
            "FOLDER/vocab.json:2:6: not JSON: syntax error while parsing object separator - unexpected number literal; "
            "expected ':'");
  EXPECT_EQ(why({{"vocab.json", "[1]"}, {"merges.txt", ""}}),
            "FOLDER/vocab.json is [1], expected an object of tokens and their ids");
  EXPECT_EQ(why({{"vocab.json", R"({"a": 0, "b": 0})"}, {"merges.txt", ""}}),
            "FOLDER/vocab.json: id 0 is given to 'a' and to 'b'");
  EXPECT_EQ(why({{"vocab.json", R"({"a": 0.5})"}, {"merges.txt", ""}}),
            "FOLDER/vocab.json: token 'a' has the id 0.5, expected a whole number");
  EXPECT_EQ(why({{"vocab.json", R"({"a": 3000000000})"}, {"merges.txt", ""}}),
            "FOLDER/vocab.json: token 'a' has the id 3000000000, expected ids from 0 to about 0");
  EXPECT_NE(why({{"vocab.json", vocab}}).find("FOLDER/merges.txt"), std::string::npos);
  EXPECT_EQ(why({{"vocab.json", R"({"<s>": 0})"},
                 {"merges.txt", ""},
                 {"tokenizer_config.json", R"({"tokenizer_class": "RobertaTokenizer"})"}}),
            "FOLDER/vocab.json: the vocabulary has no sep token");
}

std::string json_with(const std::string& part) {
  return R"({"model": {"type": "WordLevel", "vocab": {"a": 0, "<unk>": 1}, "unk_token": "<unk>"})" + part + "}";
}
std::string why_json(const std::string& json) { return why({{"tokenizer.json", json}}); }

TEST(BadTokenizer, TokenizerJsonParts) {
  EXPECT_EQ(why_json(json_with("")), "no error");
  EXPECT_EQ(
      why_json("{"),
      "FOLDER/tokenizer.json:1:2: not JSON: syntax error while parsing object key - unexpected end of input; expected "
      "string literal");
  EXPECT_EQ(why_json("{\"a\": \"\xFF\"}"), "FOLDER/tokenizer.json: byte 7 (0xff) is not UTF-8");
  EXPECT_EQ(why_json("{}"), "FOLDER/tokenizer.json has no 'model'");
  EXPECT_EQ(why_json(json_with(R"(, "version": "2.0")")),
            "FOLDER/tokenizer.json: the version is '2.0', expected '1.0'");
  EXPECT_EQ(why_json(json_with(R"(, "pre_tokenizer": {"type": "UnicodeScripts"})")),
            "FOLDER/tokenizer.json: pre_tokenizer.type is 'UnicodeScripts', which is not supported here; expected "
            "BertPreTokenizer, ByteLevel, CharDelimiterSplit, Metaspace, Whitespace, Sequence, Split, Punctuation, "
            "WhitespaceSplit, Digits or FixedLength");
  EXPECT_EQ(
      why_json(json_with(R"(, "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFX"}]})")),
      "FOLDER/tokenizer.json: normalizer.normalizers[0].type is 'NFX', which is not supported here; expected "
      "BertNormalizer, Strip, StripAccents, NFC, NFD, NFKC, NFKD, Sequence, Lowercase, Nmt, Precompiled, Replace, "
      "Prepend or ByteLevel; did you mean 'NFC'?");
  EXPECT_EQ(
      why_json(json_with(R"(, "decoder": {"type": "CTC"})")),
      "FOLDER/tokenizer.json: decoder.type is 'CTC', which is not supported here; expected BPEDecoder, ByteLevel, "
      "WordPiece, Metaspace, Sequence, Replace, Fuse, Strip or ByteFallback");
  EXPECT_EQ(why_json(json_with(R"(, "normalizer": {"type": "Lowercase", "x": 1}, "decoder": 5)")),
            "FOLDER/tokenizer.json: decoder is 5, expected an object");
  EXPECT_EQ(why_json(json_with(R"(, "normalizer": {"type": "Strip", "strip_left": 1, "strip_right": true})")),
            "FOLDER/tokenizer.json: normalizer.strip_left is 1, expected true or false");
  EXPECT_EQ(why_json(json_with(R"(, "pre_tokenizer": {"type": "Metaspace", "replacement": "ab"})")),
            "FOLDER/tokenizer.json: pre_tokenizer.replacement is \"ab\", expected one character");
  EXPECT_EQ(
      why_json(json_with(R"(, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "(a"}, "behavior": "Isolated",
                                    "invert": false})")),
      "FOLDER/tokenizer.json: pre_tokenizer: the pattern '(a' is not understood: missing closing parenthesis");
  EXPECT_EQ(why_json(json_with(R"(, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA?"})")),
            "FOLDER/tokenizer.json: normalizer.precompiled_charsmap is \"AAAA?\", expected base64");
  EXPECT_EQ(why_json(json_with(R"(, "normalizer": {"type": "Precompiled", "precompiled_charsmap": "/////w=="})")),
            "FOLDER/tokenizer.json: normalizer.precompiled_charsmap: the character map of 4 bytes announces a table of "
            "4294967295");
}

TEST(BadTokenizer, TokenizerJsonTokens) {
  EXPECT_EQ(
      why_json(json_with(R"(, "added_tokens": [{"id": 7, "content": "x"}])")),
      "FOLDER/tokenizer.json: added token 'x' has the id 7, expected 2: it is not in the vocabulary, and ids go on "
      "there");
  EXPECT_EQ(why_json(json_with(R"(, "added_tokens": [{"id": 1, "content": "a"}])")),
            "FOLDER/tokenizer.json: added token 'a' has the id 1, but 0 in the vocabulary");
  EXPECT_EQ(why_json(json_with(R"(, "added_tokens": [{"id": -1, "content": "a"}])")),
            "FOLDER/tokenizer.json: added_tokens[0].id is -1, expected a whole number from 0 to 2147483646");
  EXPECT_EQ(
      why_json(json_with(R"(, "added_tokens": [{"id": 0, "content": "a", "roles": ["boss"]}])")),
      "FOLDER/tokenizer.json: added_tokens[0].roles[0] is \"boss\", expected pad, unk, cls, sep, mask, bos or eos");
  EXPECT_EQ(why_json(json_with(R"(, "post_processor": {"type": "BertProcessing", "sep": ["a", 0], "cls": ["b", 9]})")),
            "FOLDER/tokenizer.json: post_processor puts the id 9 around texts, which is not in the vocabulary");
  EXPECT_EQ(why_json(json_with(R"(, "post_processor": {"type": "BertProcessing", "sep": ["a"], "cls": ["b", 1]})")),
            "FOLDER/tokenizer.json: post_processor.sep is [\"a\"], expected [token, id]");
  const std::string text = R"({"Sequence": {"id": "A", "type_id": 0}})";
  EXPECT_EQ(
      why_json(json_with(R"(, "post_processor": {"type": "TemplateProcessing", "special_tokens": {}, "single": [)" +
                         text + R"(, {"SpecialToken": {"id": "[X]", "type_id": 0}}], "pair": []})")),
      "FOLDER/tokenizer.json: post_processor.single[1].SpecialToken.id is \"[X]\", expected one of special_tokens");
  EXPECT_EQ(
      why_json(json_with(R"(, "post_processor": {"type": "TemplateProcessing", "special_tokens": {}, "single": [)" +
                         text + R"(], "pair": [)" + text + "]}")),
      "FOLDER/tokenizer.json: post_processor.pair is [{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}], expected A and B, "
      "once each");
}

TEST(BadTokenizer, TokenizerJsonModels) {
  const auto model = [](const std::string& json) { return why_json("{\"model\": " + json + "}"); };
  EXPECT_EQ(
      model(R"({"type": "Bigram"})"),
      "FOLDER/tokenizer.json: model.type is 'Bigram', which is not supported here; expected WordPiece, BPE, Unigram or "
      "WordLevel; did you mean 'Unigram'?");
  EXPECT_EQ(model(R"({"type": "WordPiece", "vocab": {"a": "b"}})"),
            "FOLDER/tokenizer.json: model.vocab: token 'a' has the id \"b\", expected a whole number");
  EXPECT_EQ(model(R"({"type": "WordPiece", "vocab": {"a": 0}})"),
            "FOLDER/tokenizer.json: model: the vocabulary has no unknown token '[UNK]'");
  EXPECT_EQ(model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]})"),
            "FOLDER/tokenizer.json: model.merges[0] is \"a\", expected \"left right\"");
  EXPECT_EQ(model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a"]]})"),
            "FOLDER/tokenizer.json: model.merges[0]: 'a a': their merge 'aa' is not in the vocabulary");
  EXPECT_EQ(model(R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1})"),
            "FOLDER/tokenizer.json: model.dropout is 0.1, expected null: random merges are not supported");
  EXPECT_EQ(model(R"({"type": "Unigram", "vocab": [["a", -1], ["b"]]})"),
            "FOLDER/tokenizer.json: model.vocab[1] is [\"b\"], expected [piece, score]");
  EXPECT_EQ(model(R"({"type": "Unigram", "vocab": [["a", -1], ["a", -2]]})"),
            "FOLDER/tokenizer.json: model: token 'a' has the ids 0 and 1");
  EXPECT_EQ(model(R"({"type": "Unigram", "vocab": [["a", -1]], "unk_id": 1})"),
            "FOLDER/tokenizer.json: model: the unknown piece's id is 1, but there are 1 pieces");
}

TEST(BadTokenizer, SentencePieceModels) {
  const std::string whole = Env::real().read(golden_path("albert/spiece.model"));
  EXPECT_EQ(why({{"spiece.model", whole}}), "no error");
  EXPECT_EQ(why({{"spiece.model", whole.substr(0, 5000)}}),
            "FOLDER/spiece.model: damaged: ends at byte 5000, within a field");
  EXPECT_EQ(why({{"spiece.model", "\x0F\x01"}}), "FOLDER/spiece.model: damaged: no SentencePiece model");
  EXPECT_EQ(why({{"spiece.model", whole}, {"tokenizer_config.json", R"({"mask_token": "<m>"})"}}),
            "FOLDER/spiece.model: has no piece '<m>': only ALBERT's models are read here; others in a tokenizer.json");
  EXPECT_NE(why({{"spiece.model", ""}}), "no error");
}

TEST(BadTokenizer, FilesBeside) {
  EXPECT_EQ(why({{"vocab.txt", kBert}, {"tokenizer_config.json", R"({"do_lower_case": "yes"})"}}),
            "FOLDER/tokenizer_config.json: do_lower_case is \"yes\", expected true or false");
  EXPECT_EQ(why({{"vocab.txt", kBert}, {"special_tokens_map.json", R"({"pad_token": {"lstrip": true}})"}}),
            "FOLDER/special_tokens_map.json: pad_token has no 'content'");
  EXPECT_EQ(
      why({{"vocab.txt", kBert}, {"tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})"}}),
      "FOLDER/tokenizer_config.json: added_tokens_decoder: 'x' is no id");
}

TEST(BadTokenizer, RulesWithoutEnd) {
  std::string steps;
  for (int i = 0; i < 40; ++i)
    steps += std::string(i ? "," : "") + R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
  const test::TemporaryFolder folder;
  Env::real().write(folder / "tokenizer.json",
                    json_with(R"(, "normalizer": {"type": "Sequence", "normalizers": [)" + steps + "]}"));
  const auto tokenizer = read_tokenizer(folder.path());
  try {
    tokenizer->encode("a");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput);
    EXPECT_EQ(error.message(), "the normalizer makes 8388608 characters of 1, which is no use");
  }
}

}  // namespace
}  // namespace gfsa::tokenizers
