// The reader of a whole tokenizer.json.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizers/json_reader.h"
#include "tokenizers/pipeline.h"

namespace gfsa::tokenizers {
namespace {

constexpr const char* kRoles[] = {"pad", "unk", "cls", "sep", "mask", "bos", "eos"};

// "roles" of an added token is ours (pipeline.h); `tokenizers` passes over it there.
std::vector<AddedToken> read_added_tokens(const JsonReader& json, Roles& roles) {
  std::vector<AddedToken> tokens;
  if (!json.has("added_tokens")) return tokens;
  for (const JsonReader& item : json.items("added_tokens")) {
    AddedToken token;
    token.id = item.whole("id", 0, INT32_MAX - 1);
    token.content = item.text("content");
    token.single_word = item.flag("single_word", false);
    token.lstrip = item.flag("lstrip", false);
    token.rstrip = item.flag("rstrip", false);
    token.special = item.flag("special", false);
    token.normalized = item.flag("normalized", !token.special);
    if (item.has("roles")) {
      for (const JsonReader& role : item.items("roles")) {
        if (std::find(std::begin(kRoles), std::end(kRoles), role.text()) == std::end(kRoles)) {
          role.expected("pad, unk, cls, sep, mask, bos or eos");
        }
        roles[role.text()] = token.content;
      }
    }
    tokens.push_back(std::move(token));
  }
  return tokens;
}

const nlohmann::json kNull;

}  // namespace

Parts parse_tokenizer_json(const std::string& text, const std::string& file) {
  const auto value = parse_json(text, file);
  const JsonReader json(value, file);
  const std::string version = json.text("version", "1.0");
  if (version != "1.0") bad_input("{}: the version is '{}', expected '1.0'", file, version);
  const auto part = [&](const char* key) { return json.has(key) ? json.at(key) : JsonReader(kNull, file, key); };
  Parts parts;
  parts.normalizer = read_normalizer(part("normalizer"));
  parts.pre_tokenizer = read_pre_tokenizer(part("pre_tokenizer"));
  parts.model = read_model(json.at("model"));
  parts.post_processor = read_post_processor(part("post_processor"));
  parts.decoder = read_decoder(part("decoder"));
  parts.added_tokens = read_added_tokens(json, parts.roles);
  return parts;
}

void add_usual_roles(Roles& roles, const Model& model, const std::vector<AddedToken>& added) {
  const auto has = [&](const std::string& token) {
    if (model.vocabulary().find(token) >= 0) return true;
    return std::any_of(added.begin(), added.end(), [&](const AddedToken& t) { return t.content == token; });
  };
  if (const auto unknown = model.unknown_token(); unknown && has(*unknown)) roles.try_emplace("unk", *unknown);
  constexpr std::pair<const char*, const char*> kUsual[] = {
      {"pad", "[PAD]"},   {"pad", "<pad>"},         {"unk", "[UNK]"}, {"unk", "<unk>"},
      {"cls", "[CLS]"},   {"cls", "<s>"},           {"sep", "[SEP]"}, {"sep", "</s>"},
      {"mask", "[MASK]"}, {"mask", "<mask>"},       {"bos", "<s>"},   {"bos", "<bos>"},
      {"eos", "</s>"},    {"bos", "<|endoftext|>"}, {"eos", "<eos>"}, {"eos", "<|endoftext|>"}};
  for (const auto& [role, token] : kUsual) {
    if (has(token)) roles.try_emplace(role, token);
  }
}

}  // namespace gfsa::tokenizers
