#include "optim/parameter_groups.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/strings.h"

namespace gfsa {
namespace {

bool matches_any(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return matches_glob(p, name); });
}

// 3 for "encoder.layers.3.fc1.weight".
std::optional<int> block_of(const std::string& name) {
  static const std::vector<std::string> kContainers{"blocks", "layers", "layer", "h"};
  size_t begin = 0;
  bool after_container = false;
  while (begin <= name.size()) {
    const size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    int index = 0;
    const auto [rest, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool is_integer = error == std::errc() && rest == part.data() + part.size() && index >= 0;
    if (after_container && is_integer) return index;
    after_container = std::find(kContainers.begin(), kContainers.end(), part) != kContainers.end();
    begin = end + 1;
  }
  return std::nullopt;
}

bool is_embedding(const std::string& name) { return matches_any(name, {"*embed*", "*token*", "*norm_pre*"}); }

// A norm after the last block belongs to it (timm: '^norm' joins the previous group); GPT-2 calls it ln_f.
bool is_final_norm(const std::string& name) { return matches_any(name, {"norm.*", "ln_f.*", "*.ln_f.*"}); }

std::pair<std::string, double> parse_factor(const std::string& text) {
  const size_t equals = text.rfind('=');
  double factor = 0;
  const char* end = text.data() + text.size();
  if (equals != std::string::npos && equals > 0) {
    const auto [rest, error] = std::from_chars(text.data() + equals + 1, end, factor);
    if (error == std::errc() && rest == end && std::isfinite(factor) && factor >= 0) {
      return {text.substr(0, equals), factor};
    }
  }
  bad_input("optimizer.lr_factors: '{}' is not 'pattern=factor', expected for example '*.wK=10'", text);
}

}  // namespace

void GroupRules::describe(config::Schema& s) {
  s.field("no_decay", no_decay)
      .scalar_or_list()
      .doc("Parameters without weight decay, as patterns of names.")
      .source("timm no_weight_decay(); DeiT, Swin");
  s.field("no_decay_1d", no_decay_1d)
      .doc("No weight decay for scalars and 1-D parameters: biases, norms, filter coefficients.")
      .source("timm param_groups_weight_decay");
  s.field("layer_decay", layer_decay)
      .above(0)
      .at_most(1)
      .doc("Each layer's learning rate is this times the one of the layer above it; 1 means all alike.")
      .source("BEiT; timm param_groups_layer_decay");
  s.field("lr_factors", lr_factors)
      .scalar_or_list()
      .doc("Factors of the learning rate, as 'pattern=factor'; 0 freezes.");
}

std::vector<int> layer_ids(const ParameterStore& store) {
  const auto& parameters = store.parameters();
  int blocks = 0;
  for (const auto& p : parameters) {
    if (const auto block = block_of(p.name)) blocks = std::max(blocks, *block + 1);
  }
  std::vector<int> ids(parameters.size(), 0);
  if (blocks == 0) return ids;
  bool block_seen = false;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = parameters[i].name;
    if (const auto block = block_of(name)) {
      block_seen = true;
      ids[i] = *block + 1;
    } else if (!block_seen || is_embedding(name)) {
      ids[i] = 0;
    } else {
      ids[i] = is_final_norm(name) ? blocks : blocks + 1;
    }
  }
  return ids;
}

std::vector<ParameterGroup> make_parameter_groups(const ParameterStore& store, const GroupRules& rules,
                                                  double weight_decay) {
  const auto& parameters = store.parameters();
  std::vector<std::string> names;
  for (const auto& p : parameters) names.push_back(p.name);
  std::vector<std::pair<std::string, double>> factors;
  for (const auto& text : rules.lr_factors) {
    factors.push_back(parse_factor(text));
    const std::string& pattern = factors.back().first;
    if (std::none_of(names.begin(), names.end(), [&](const auto& n) { return matches_glob(pattern, n); })) {
      bad_input("optimizer.lr_factors: '{}' matches no parameter{}", pattern, did_you_mean(pattern, names));
    }
  }

  const std::vector<int> layers = layer_ids(store);
  const int last_layer = layers.empty() ? 0 : *std::max_element(layers.begin(), layers.end());
  std::vector<ParameterGroup> groups;
  std::map<std::pair<double, double>, size_t> by_values;  // (lr factor, weight decay) -> group
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter& p = parameters[i];
    const bool exempt = (rules.no_decay_1d && p.shape.rank() <= 1) || matches_any(p.name, rules.no_decay);
    const double decay = exempt ? 0 : weight_decay;
    double factor = std::pow(rules.layer_decay, last_layer - layers[i]);
    for (const auto& [pattern, value] : factors) {
      if (matches_glob(pattern, p.name)) factor *= value;
    }
    const auto [entry, is_new] = by_values.try_emplace({factor, decay}, groups.size());
    if (is_new) {
      groups.push_back({fmt::format("lr x {:.4g}, weight decay {:.4g}", factor, decay), factor, decay, {}});
    }
    groups[entry->second].parameters.push_back(&p);
  }
  return groups;
}

}  // namespace gfsa
