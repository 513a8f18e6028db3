// golden.h -- what scripts/golden/tokenizers.py wrote: texts, and what Hugging Face's tokenizers make of them.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/env.h"
#include "tokenizers/tokenizer.h"

namespace gfsa::tokenizers {

inline std::string golden_path(const std::string& name) { return GFSA_SOURCE_DIR "/tests/golden/tokenizers/" + name; }

inline nlohmann::json read_golden(const std::string& name) {
  return nlohmann::json::parse(Env::real().read(golden_path(name)));
}

inline void expect_case(const Tokenizer& tokenizer, const nlohmann::json& expected) {
  EncodeOptions options;
  if (expected.contains("max_length")) options.max_length = expected["max_length"].get<int64_t>();
  const auto text = [&](const nlohmann::json& j) { return j.get<std::string>(); };
  const Encoding e = expected.contains("pair")
                         ? tokenizer.encode_pair(text(expected["pair"][0]), text(expected["pair"][1]), options)
                         : tokenizer.encode(text(expected["text"]), options);
  SCOPED_TRACE(expected.contains("pair") ? expected["pair"].dump() : expected["text"].dump());
  std::vector<int32_t> offsets, special(e.special.begin(), e.special.end());
  for (const auto& [begin, end] : e.offsets) {
    offsets.push_back(begin);
    offsets.push_back(end);
  }
  using Numbers = std::vector<int32_t>;
  EXPECT_EQ(e.ids, expected["ids"].get<Numbers>());
  EXPECT_EQ(e.types, expected.value("types", Numbers(e.ids.size())));
  EXPECT_EQ(offsets, expected["offsets"].get<Numbers>());
  EXPECT_EQ(special, expected.value("special", Numbers(e.ids.size())));
  const auto decoded = expected["decoded"].get<std::string>();
  EXPECT_EQ(tokenizer.decode(e.ids, true), decoded);
  EXPECT_EQ(tokenizer.decode(e.ids, false), expected.value("decoded_all", decoded));
}

}  // namespace gfsa::tokenizers
