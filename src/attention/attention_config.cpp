#include "attention/attention_config.h"

#include <fmt/ranges.h>

#include <charconv>

#include "base/error.h"

namespace gfsa {
namespace {

std::optional<int64_t> as_index(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

bool is_named_set(const std::vector<std::string>& layers) {
  return layers.size() == 1 && (layers[0] == "all" || layers[0] == "even" || layers[0] == "odd");
}

bool are_layers(const std::vector<std::string>& layers) {
  if (is_named_set(layers)) return true;
  for (const auto& layer : layers) {
    if (!as_index(layer)) return false;
  }
  return true;
}

// What is wrong with a form in training, or "".
std::string conflict(const AttentionConfig& c) {
  try {
    c.choice(DeviceType::cpu, true, c.form == "one_sweep");  // what the model is, is not known here
    return "";
  } catch (const Error& e) {
    return e.message();
  }
}

}  // namespace

AttentionConfig& AttentionConfig::operator=(const AttentionConfig& other) {
  filter = other.filter ? other.filter->clone() : nullptr;
  dropout_order = other.dropout_order;
  layers = other.layers;
  form = other.form;
  dropout = other.dropout;
  return *this;
}

void AttentionConfig::describe(config::Schema& s) {
  s.shorthand("variant");
  s.variant("variant", filter, filter_registry(), "How the attention matrix is filtered before it meets the values.");
  s.field("layers", layers)
      .scalar_or_list()
      .doc(
          "Which layers are filtered: all, even, odd or a list of indices. Layers are counted from 0, so even is 0, 2, "
          "4, ...; "
          "the others use plain softmax.")
      .source("all; GFSA_even in arXiv 2312.04234");
  s.field("dropout", dropout).at_least(0).below(1).doc("Probability of dropping an entry of the matrix in training.");
  s.field("dropout_order", dropout_order)
      .choices({"filter_first", "dropout_first"})
      .doc(
          "filter_first drops entries of the filtered matrix, dropout_first drops entries of the matrix that is "
          "filtered.")
      .source("image, speech and code experiments: filter_first; language and graph experiments: dropout_first");
  s.field("form", form)
      .choices({"auto", "explicit", "two_pass", "one_sweep"})
      .resume_may_change()
      .doc(
          "How it is computed: two_pass never forms products of attention matrices, explicit does; one_sweep is "
          "two_pass for causal attention, with every tile of the matrix made once; auto takes one_sweep (on the CPU), "
          "then two_pass, where they can serve.");
  s.check(are_layers(layers), "layers", "expected all, even, odd or a list of indices from 0");
  const std::string problem = filter ? conflict(*this) : "";
  s.check(problem.empty(), "form", problem);
}

std::string AttentionConfig::text() const {
  const std::string name = filter_registry().name_of(*filter);
  if (is_softmax() || layers == std::vector<std::string>{"all"}) return name;
  return fmt::format("{}, layers {}", name, fmt::join(layers, " "));
}

bool AttentionConfig::filters_layer(int64_t layer, int64_t depth) const {
  if (layer < 0 || layer >= depth) fail("attention: layer {} of {}", layer, depth);
  if (is_named_set(layers)) {
    return layers[0] == "all" || (layers[0] == "even" && layer % 2 == 0) || (layers[0] == "odd" && layer % 2 == 1);
  }
  bool found = false;
  for (const auto& text : layers) {
    const auto index = as_index(text);
    if (!index) bad_input("attention.layers: '{}', expected all, even, odd or a list of indices from 0", text);
    if (*index >= depth)
      bad_input("attention.layers: there is no layer {}; the model has layers 0 to {}", *index, depth - 1);
    found = found || *index == layer;
  }
  return found;
}

std::unique_ptr<Filter> AttentionConfig::build(const Scope& attention, int64_t heads, int64_t layer,
                                               int64_t depth) const {
  if (filters_layer(layer, depth)) return filter->build(attention, heads);
  return filter_registry().make("softmax")->build(attention, heads);
}

AttentionOptions AttentionConfig::options(int64_t heads, bool training) const {
  AttentionOptions o;
  o.heads = heads;
  o.dropout = training ? dropout : 0;
  o.dropout_order = parse_dropout_order(dropout_order);
  o.form = parse_attention_form(form);
  return o;
}

AttentionChoice AttentionConfig::choice(DeviceType device, bool training, bool causal) const {
  const AttentionOptions o = options(1, training);
  return choose_attention({device, !is_softmax(), o.dropout, o.dropout_order, 0, causal, filter->degree()}, o.form);
}

}  // namespace gfsa
