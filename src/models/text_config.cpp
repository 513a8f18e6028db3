#include "models/text_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace gfsa {
namespace {

constexpr int64_t kMost = 1 << 20;

std::string id_key(const std::string& role) { return role + "_token_id"; }

}  // namespace

const FamilyConfig::Preset& FamilyConfig::chosen_preset() const {
  const auto& all = family().presets;
  if (!preset) return all.front();
  const auto it = std::find_if(all.begin(), all.end(), [&](const Preset& p) { return p.name == *preset; });
  if (it == all.end()) fail("no preset '{}'", *preset);
  return *it;
}

void FamilyConfig::describe(config::Schema& s) {
  std::vector<std::string> names;
  for (const Preset& p : family().presets) names.push_back(p.name);
  const TextSizes& own = family().own;
  s.field("preset", preset)
      .choices(names)
      .doc(fmt::format("Width, depth, heads and mlp_width by name; {} unless given.", names.front()))
      .source(family().source);
  s.field("width", width).in(1, kMost).doc("Channels of a token; the preset's unless given.");
  s.field("depth", depth).in(1, 10000).doc("Number of layers; the preset's unless given.");
  s.field("heads", heads).in(1, kMost).doc("Attention heads; the preset's unless given.");
  s.field("mlp_width", mlp_width)
      .in(1, kMost)
      .doc("Hidden width of the feed-forward part; the preset's unless given, four times a width that is given.");
  s.field("vocabulary", vocabulary_size)
      .in(0, 10'000'000)
      .doc("Rows of the table of token embeddings; 0: the tokenizer's, or config.json's.");
  s.field("positions", positions)
      .in(1, 1 << 24)
      .unit("tokens")
      .doc(fmt::format("Longest text, for which there are position embeddings; {} unless given.", own.positions));
  s.field("activation", activation)
      .choices({"gelu", "gelu_tanh", "relu", "silu"})
      .doc(fmt::format("Of the feed-forward part; {} unless given. gelu_tanh is transformers' gelu_new.",
                       own.activation));
  s.field("eps", eps)
      .above(0)
      .at_most(1)
      .doc(fmt::format("Added to the variance in layer norms; {} unless given.", own.eps));
  s.field("dropout", dropout)
      .at_least(0)
      .below(1)
      .doc(fmt::format("After embeddings, attention and feed-forward part; {} unless given. Of attention matrices: "
                       "attention.dropout.",
                       own.dropout));
  s.field("init_deviation", init_deviation)
      .at_least(0)
      .doc("Standard deviation of the normal distribution that weights and embeddings start from.")
      .source("0.02 in all these models");
  s.field("checkpoint_blocks", checkpoint_blocks)
      .resume_may_change()
      .doc("Recompute each layer in backward: less memory, a third more time.");
  describe_more(s);
  const bool known = !preset || std::find(names.begin(), names.end(), *preset) != names.end();
  if (known) {
    const TextSizes n = sizes();
    s.check(n.heads > 0 && n.width % n.heads == 0, "heads",
            fmt::format("must divide width (heads is {}, width {})", n.heads, n.width));
  }
}

TextSizes FamilyConfig::sizes() const {
  const Preset& p = chosen_preset();
  TextSizes n = family().own;
  n.width = width.value_or(p.width);
  n.depth = depth.value_or(p.depth);
  n.heads = heads.value_or(p.heads);
  n.mlp_width = mlp_width.value_or(width ? 4 * *width : p.mlp_width);
  n.positions = positions.value_or(n.positions);
  n.eps = eps.value_or(n.eps);
  n.activation = activation.value_or(n.activation);
  n.dropout = dropout.value_or(n.dropout);
  return n;
}

void FamilyConfig::take_config_json(const std::string& text, const std::string& source) {
  const Family& f = family();
  const TextSizes& absent = f.when_absent;
  ConfigJson json(text, source, f.model_type);
  const Preset& p = chosen_preset();
  const int64_t found_width = json.integer(f.width, absent.width, 1, kMost);
  agree(json, f.width, "width", found_width, width, &p.width);
  agree(json, f.depth, "depth", json.integer(f.depth, absent.depth, 1, 10000), depth, &p.depth);
  agree(json, f.heads, "heads", json.integer(f.heads, absent.heads, 1, kMost), heads, &p.heads);
  const int64_t usual_mlp = absent.mlp_width == 0 ? 4 * found_width : absent.mlp_width;
  agree(json, f.mlp_width, "mlp_width", json.integer(f.mlp_width, usual_mlp, 1, kMost), mlp_width, &p.mlp_width);
  if (sizes().width % sizes().heads != 0)
    json.refuse(f.heads, fmt::format("a divisor of {}, {}", f.width, sizes().width));
  const int64_t rows = json.integer(f.positions, absent.positions, position_offset() + 1, 1 << 24);
  agree(json, f.positions, "positions", rows - position_offset(), positions);
  agree(json, f.eps, "eps", json.number(f.eps, absent.eps, 1e-30, 1), eps);
  agree(json, f.activation, "activation", take_activation(json, f.activation, absent.activation), activation);
  if (!dropout) dropout = json.number(f.dropout, absent.dropout, 0, 0.999);
  init_deviation = json.number("initializer_range", init_deviation, 0, 1e6);
  const int64_t tokens = json.integer("vocab_size", 0, 1, 10'000'000);
  if (tokens != 0 && vocabulary_size != 0 && vocabulary_size != tokens) {
    json.differs("vocab_size", fmt::format("model.vocabulary is {}", vocabulary_size));
  } else if (tokens != 0) {
    vocabulary_size = tokens;
  }
  for (const char* role : {"pad", "bos", "eos"}) {
    if (json.has(id_key(role))) special_[role] = json.integer(id_key(role), 0, 0, 10'000'000);
  }
  if (f.padding && special_.contains("pad") && special_["pad"] != *f.padding)
    json.refuse(id_key("pad"), fmt::format("{}, after which {} counts positions", *f.padding, f.model_type));
  if (json.flag("is_decoder", false)) json.refuse("is_decoder", "false");
  if (json.flag("add_cross_attention", false)) json.refuse("add_cross_attention", "false");
  if (!json.flag("tie_word_embeddings", true)) json.refuse("tie_word_embeddings", "true");
  take_more(json);
  json.finish();
}

void FamilyConfig::set_special_ids(const std::map<std::string, int64_t>& ids) {
  if (const auto padding = family().padding) {
    const auto found = ids.find("pad");
    if (found == ids.end() || found->second != *padding) {
      bad_input("tokenizer: {}, but {} counts positions after the padding token's id, which must be {}",
                found == ids.end() ? "has no padding token" : fmt::format("pads with the id {}", found->second),
                family().model_type, *padding);
    }
  }
  for (const auto& [role, id] : ids) special_[role] = id;
}

std::string FamilyConfig::config_json(TextHead head, int64_t classes, const AttentionConfig& attention) const {
  const Family& f = family();
  const TextSizes n = sizes();
  nlohmann::ordered_json j;
  j["architectures"] = {architecture(head)};
  j["model_type"] = f.model_type;
  j["vocab_size"] = vocabulary_size;
  j[f.width] = n.width;
  j[f.depth] = n.depth;
  j[f.heads] = n.heads;
  j[f.mlp_width] = n.mlp_width;
  j[f.positions] = n.positions + position_offset();
  j[f.eps] = n.eps;
  j[f.activation] = transformers_name(n.activation);
  j[f.dropout] = n.dropout;
  j[f.attention_dropout] = attention.dropout;
  j["initializer_range"] = init_deviation;
  const Written more = write_more();
  for (const auto& [key, value] : more.integers) j[key] = value;
  for (const auto& [key, value] : more.numbers) j[key] = value;
  for (const char* role : f.assumed_tokens) j[id_key(role)] = nullptr;
  for (const auto& [role, id] : special_) {
    if (id < vocabulary_size) j[id_key(role)] = id;
  }
  if (f.padding) j[id_key("pad")] = *f.padding;
  if (head == TextHead::classification) {
    // transformers counts the classes by their names.
    for (int64_t i = 0; i < classes; ++i) {
      const std::string label = fmt::format("LABEL_{}", i);
      j["id2label"][std::to_string(i)] = label;
      j["label2id"][label] = i;
    }
    j["problem_type"] = classes == 1 ? "regression" : "single_label_classification";
  }
  j["dtype"] = "float32";
  return j.dump(2) + "\n";
}

void add_file_names(const Scope& scope, const std::string& prefix) {
  ParameterStore& store = scope.store();
  const std::string before = (scope / prefix).path() + ".";
  const auto ends = [](const std::string& name, const std::string& with, const std::string& other) -> std::string {
    return name.ends_with(with) ? name.substr(0, name.size() - with.size()) + other : "";
  };
  for (const Parameter& p : store.parameters()) {
    std::vector<std::string> names{p.name};
    for (const auto& old :
         {ends(p.name, "LayerNorm.weight", "LayerNorm.gamma"), ends(p.name, "LayerNorm.bias", "LayerNorm.beta")})
      if (!old.empty()) names.push_back(old);
    for (const auto& name : names) {
      if (name != p.name) store.alias(p.name, name);
      if (name.starts_with(before)) store.alias(p.name, name.substr(before.size()));
    }
  }
}

}  // namespace gfsa
