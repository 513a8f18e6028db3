// attention_config.h -- the `attention` section: one switch for every model. In short, `attention: gfsa`.
//
//   attention: {variant: gfsa, K: 4, layers: even}
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "attention/filter.h"
#include "config/schema.h"

namespace gfsa {

struct AttentionConfig {
  std::unique_ptr<FilterConfig> filter = filter_registry().make("softmax");  // key `variant`, its own keys beside it
  std::string dropout_order = "filter_first";
  std::vector<std::string> layers{"all"};
  std::string form = "auto";
  double dropout = 0;

  AttentionConfig() = default;
  AttentionConfig(const AttentionConfig& other) { *this = other; }
  AttentionConfig& operator=(const AttentionConfig& other);
  AttentionConfig(AttentionConfig&&) = default;
  AttentionConfig& operator=(AttentionConfig&&) = default;

  void describe(config::Schema& s);

  // "gfsa", "gfsa, layers even".
  std::string text() const;
  bool is_softmax() const { return filter->degree() == 0; }
  // Whether layer `layer` (counted from 0) of a model with `depth` of them is filtered; all others are plain softmax.
  // Bad input if `layers` names one that the model does not have.
  bool filters_layer(int64_t layer, int64_t depth) const;
  // The filter of that layer; declares its parameters below `attention` ("blocks.3.attn").
  std::unique_ptr<Filter> build(const Scope& attention, int64_t heads, int64_t layer, int64_t depth) const;
  // heads, form and dropout filled in; dropout only in training.
  AttentionOptions options(int64_t heads, bool training) const;
  // For --dry-run and the profile: what will compute it in training.
  AttentionChoice choice(DeviceType device, bool training, bool causal = false) const;
};

}  // namespace gfsa
