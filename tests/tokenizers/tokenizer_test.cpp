// The contract of Tokenizer beyond what it cuts.
#include "tokenizers/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "support/temporary_folder.h"
#include "tokenizers/golden.h"
#include "tokenizers/train.h"

namespace gfsa::tokenizers {
namespace {

template <class Do>
Error error_of(const Do& act) {
  try {
    act();
  } catch (const Error& error) {
    return error;
  }
  return {kExitDone, "no error"};
}

TEST(Tokenizer, KnowsItsTokensAndRoles) {
  const auto bert = read_tokenizer(golden_path("bert"));
  EXPECT_EQ(bert->special_id("cls"), 2);
  EXPECT_EQ(bert->special_id("sep"), 3);
  EXPECT_EQ(bert->special_id("pad"), 0);
  EXPECT_EQ(bert->special_id("unk"), 1);
  EXPECT_EQ(bert->special_id("mask"), 4);
  EXPECT_EQ(bert->special_id("bos"), std::nullopt);
  EXPECT_EQ(bert->special_count(false), 2);
  EXPECT_EQ(bert->special_count(true), 3);
  EXPECT_EQ(bert->token(2), "[CLS]");
  EXPECT_EQ(bert->id_of("[CLS]"), 2);
  EXPECT_EQ(bert->id_of("no such token"), std::nullopt);
  for (int32_t id = 0; id < bert->size(); ++id) EXPECT_EQ(bert->id_of(bert->token(id)), id);

  const auto roberta = read_tokenizer(golden_path("roberta"));
  EXPECT_EQ(roberta->special_id("bos"), 0);
  EXPECT_EQ(roberta->special_id("cls"), 0);
  EXPECT_EQ(roberta->special_id("eos"), roberta->special_id("sep"));
  EXPECT_EQ(roberta->special_count(true), 4);
  const auto gpt2 = read_tokenizer(golden_path("gpt2/merges.txt"));
  EXPECT_EQ(gpt2->special_id("eos"), gpt2->id_of("<|endoftext|>"));
  EXPECT_EQ(gpt2->special_id("pad"), std::nullopt);
  EXPECT_EQ(gpt2->special_count(true), 0);
  EXPECT_EQ(gpt2->fingerprint(), read_tokenizer(golden_path("gpt2/vocab.json"))->fingerprint());
  EXPECT_NE(gpt2->fingerprint(), roberta->fingerprint());
}

TEST(Tokenizer, SpecialTokensCanBeLeftOut) {
  const auto bert = read_tokenizer(golden_path("bert"));
  EncodeOptions plain;
  plain.special_tokens = false;
  const Encoding with = bert->encode("the king"), without = bert->encode("the king", plain);
  ASSERT_EQ(with.ids.size(), without.ids.size() + 2);
  EXPECT_EQ(std::vector<int32_t>(with.ids.begin() + 1, with.ids.end() - 1), without.ids);
  plain.max_length = 1;
  EXPECT_EQ(bert->encode("the king", plain).ids.size(), 1u);
}

TEST(Tokenizer, WhatItCannotDoIsAnError) {
  const auto bert = read_tokenizer(golden_path("bert"));
  EncodeOptions options;
  options.max_length = 1;
  const Error few = error_of([&] { bert->encode("a", options); });
  EXPECT_EQ(few.exit_code(), kExitBadInput);
  EXPECT_EQ(few.message(), "at most 1 tokens are wanted, but 2 are put around a text");
  const Error bytes = error_of([&] { bert->encode("ab\xFF"); });
  EXPECT_EQ(bytes.exit_code(), kExitBadInput);
  EXPECT_EQ(bytes.message(), "the text: byte 2 (0xff) is not UTF-8");
  const Error id = error_of([&] { bert->decode({1, static_cast<int32_t>(bert->size())}); });
  EXPECT_EQ(id.exit_code(), kExitFailed);
  EXPECT_EQ(error_of([&] { bert->decode({-1}); }).exit_code(), kExitFailed);
  EXPECT_EQ(error_of([&] { bert->token(-1); }).exit_code(), kExitFailed);
}

TEST(Tokenizer, FilesBesideSayWhichTokenIsWhat) {
  const test::TemporaryFolder folder;
  Env& env = Env::real();
  env.write(folder / "vocab.txt", "<p>\n[UNK]\n[CLS]\n[SEP]\nA\na\n##b\n");
  const std::string file = folder / "tokenizer_config.json";
  env.write(file, R"({"do_lower_case": false, "pad_token": "<p>", "mask_token": {"content": "<m>", "lstrip": true},
                      "tokenizer_class": "BertTokenizerFast", "additional_special_tokens": ["<x>"]})");
  env.write(folder / "special_tokens_map.json", R"({"cls_token": "[SEP]", "pad_token": "[UNK]"})");
  const auto tokenizer = read_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->special_id("pad"), 0);  // tokenizer_config.json comes first
  EXPECT_EQ(tokenizer->special_id("cls"), 3);
  EXPECT_EQ(tokenizer->special_id("mask"), 7);  // new
  EXPECT_EQ(tokenizer->id_of("<x>"), 8);
  EXPECT_EQ(tokenizer->size(), 9);
  EXPECT_EQ(tokenizer->encode("A ab  <m><x>").ids, (std::vector<int32_t>{3, 4, 5, 6, 7, 8, 3}));
}

TEST(Tokenizer, ThreadsShareIt) {
  const auto tokenizer = read_tokenizer(golden_path("gpt2"));
  const auto cases = read_golden("gpt2/cases.json");
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (const auto& expected : cases) {
        if (expected.contains("text") && !expected.contains("max_length")) {
          EXPECT_EQ(tokenizer->encode(expected["text"].get<std::string>()).ids,
                    expected["ids"].get<std::vector<int32_t>>());
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

// More tokenizers than a thread keeps words of, and more words than it keeps.
TEST(Tokenizer, ForgottenWordsAreCutAnew) {
  std::vector<std::shared_ptr<const Tokenizer>> tokenizers;
  for (int i = 0; i < 6; ++i) tokenizers.push_back(read_tokenizer(golden_path(i % 2 ? "gpt2" : "bert")));
  for (int round = 0; round < 3; ++round) {
    for (int i = 2; i < 6; ++i) {
      EXPECT_EQ(tokenizers[static_cast<size_t>(i)]->encode("the cat sat").ids,
                tokenizers[static_cast<size_t>(i) - 2]->encode("the cat sat").ids);
    }
  }
  const auto& gpt2 = *tokenizers[1];
  const auto expected = gpt2.encode(" x17 x9").ids;
  for (int i = 0; i < 150'000; ++i) {
    const std::string text = " x" + std::to_string(i);
    ASSERT_EQ(gpt2.decode(gpt2.encode(text).ids), text);
  }
  EXPECT_EQ(gpt2.encode(" x17 x9").ids, expected);
}

// What is merged in a long word through a heap is what looking through all pairs finds.
TEST(Tokenizer, LongWordsMergeLikeShortOnes) {
  const auto tokenizer = train_tokenizer(
      [](const auto& see) {
        for (int i = 0; i < 4; ++i) see("abababab abcabcabc aabbaabb cabbage bacca");
      },
      {"byte_bpe", 280, 2, false, {}});
  uint32_t x = 7;
  for (int n = 0; n < 300; ++n) {
    std::string word;
    for (int k = 0; k < 36; ++k) word += static_cast<char>('a' + ((x = x * 1664525u + 1013904223u) >> 24) % 3);
    const auto whole = tokenizer->encode(word + "x" + word).ids;
    auto parts = tokenizer->encode(word + "x").ids;
    const auto second = tokenizer->encode(word).ids;
    parts.insert(parts.end(), second.begin(), second.end());
    EXPECT_EQ(whole, parts) << word;  // nothing merges with an x
  }
}

}  // namespace
}  // namespace gfsa::tokenizers
