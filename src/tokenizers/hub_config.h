// hub_config.h -- what tokenizer_config.json and special_tokens_map.json say beside a vocabulary.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "tokenizers/added_tokens.h"

namespace gfsa::tokenizers {

struct HubConfig {
  std::string file;             // in messages
  std::string tokenizer_class;  // without "Fast"; empty: not said
  std::optional<bool> lowercase, strip_accents, chinese, keep_accents, add_prefix_space, trim_offsets;
  std::map<std::string, AddedToken> roles;  // "pad", "unk", "cls", "sep", "mask", "bos", "eos"
  std::vector<AddedToken> added;            // further ones; with an id where the file has it
};

// Of the files in a folder that are there.
HubConfig read_hub_config(const std::string& folder, Env& env);

inline constexpr uint64_t kMaxTokenizerBytes = uint64_t{1} << 30;

}  // namespace gfsa::tokenizers
