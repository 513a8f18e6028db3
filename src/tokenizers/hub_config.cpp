#include "tokenizers/hub_config.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "tokenizers/json_reader.h"

namespace gfsa::tokenizers {
namespace {

constexpr const char* kRoles[] = {"pad", "unk", "cls", "sep", "mask", "bos", "eos"};

// "[MASK]", or an object with more.
AddedToken read_token(const JsonReader& json, bool special) {
  AddedToken token;
  token.special = special;
  token.normalized = false;
  if (json.value().is_string()) {
    token.content = json.text();
    return token;
  }
  token.content = json.text("content");
  token.single_word = json.flag("single_word", false);
  token.lstrip = json.flag("lstrip", false);
  token.rstrip = json.flag("rstrip", false);
  token.normalized = json.flag("normalized", !special);
  token.special = json.flag("special", special) || special;
  return token;
}

int64_t id_of(const std::string& key, const JsonReader& json) {
  int64_t id = -1;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
  if (error != std::errc() || end != key.data() + key.size() || id < 0) {
    bad_input("{}: '{}' is no id", json.place(), key);
  }
  return id;
}

void read_tokens(const JsonReader& json, HubConfig& config) {
  for (const char* role : kRoles) {
    const std::string key = std::string(role) + "_token";
    if (json.has(key.c_str())) config.roles.try_emplace(role, read_token(json.at(key.c_str()), true));
  }
  for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
    if (!json.has(key) || !json.at(key).value().is_array()) continue;
    for (const JsonReader& item : json.items(key)) {
      AddedToken token = read_token(item, true);
      const auto same = [&](const AddedToken& t) { return t.content == token.content; };
      if (std::none_of(config.added.begin(), config.added.end(), same)) config.added.push_back(std::move(token));
    }
  }
}

}  // namespace

HubConfig read_hub_config(const std::string& folder, Env& env) {
  HubConfig config;
  config.file = folder + "/tokenizer_config.json";
  if (env.exists(config.file)) {
    const auto value = parse_json(env.read(config.file, kMaxTokenizerBytes), config.file);
    const JsonReader json(value, config.file);
    config.tokenizer_class = json.text("tokenizer_class", "");
    if (config.tokenizer_class.ends_with("Fast")) {
      config.tokenizer_class.resize(config.tokenizer_class.size() - std::string_view("Fast").size());
    }
    const auto flag = [&](const char* key) { return json.has(key) ? std::optional(json.flag(key)) : std::nullopt; };
    config.lowercase = flag("do_lower_case");
    config.strip_accents = flag("strip_accents");
    config.chinese = flag("tokenize_chinese_chars");
    config.keep_accents = flag("keep_accents");
    config.add_prefix_space = flag("add_prefix_space");
    config.trim_offsets = flag("trim_offsets");
    if (json.has("added_tokens_decoder")) {
      const JsonReader tokens = json.at("added_tokens_decoder");
      if (!tokens.value().is_object()) tokens.expected("an object of ids and tokens");
      for (const auto& [key, token] : tokens.value().items()) {
        config.added.push_back(read_token(JsonReader(token, config.file, "added_tokens_decoder." + key), false));
        config.added.back().id = id_of(key, tokens);
      }
      std::sort(config.added.begin(), config.added.end(),
                [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
    }
    read_tokens(json, config);
  }
  const std::string map = folder + "/special_tokens_map.json";
  if (env.exists(map)) {
    const auto value = parse_json(env.read(map, kMaxTokenizerBytes), map);
    read_tokens(JsonReader(value, map), config);
  }
  return config;
}

}  // namespace gfsa::tokenizers
