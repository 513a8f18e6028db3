// parameter_groups.h -- which parameters share a learning-rate factor and a weight decay, by name pattern.
#pragma once

#include <string>
#include <vector>

#include "config/schema.h"
#include "params/parameters.h"

namespace gfsa {

struct ParameterGroup {
  std::string name;  // "lr x 0.75, weight decay 0.05"
  double lr_factor = 1;
  double weight_decay = 0;
  std::vector<const Parameter*> parameters;  // in the store's order
};

// The config's part: keys beside the optimizer's own. Patterns are shell-style globs (*, ?) over the whole name.
struct GroupRules {
  // timm's no_weight_decay() lists and what DeiT and Swin exempt beside 1-D parameters; the filter's coefficients.
  std::vector<std::string> no_decay{"*.bias",     "*pos_embed",  "*cls_token",
                                    "*reg_token", "*dist_token", "*relative_position_bias_table",
                                    "*.wK",       "*.w0",        "*.w1"};
  bool no_decay_1d = true;
  double layer_decay = 1;
  std::vector<std::string> lr_factors;  // "pattern=factor"

  void describe(config::Schema& s);
};

// Every parameter in exactly one group; groups in order of their first parameter. Bad input: an lr_factors entry that
// is not "pattern=factor" or whose pattern matches no parameter. If several patterns match a name, their factors
// multiply.
std::vector<ParameterGroup> make_parameter_groups(const ParameterStore& store, const GroupRules& rules,
                                                  double weight_decay);

// Layer of each parameter, in the store's order, as timm's param_groups_layer_decay counts for a ViT: embeddings 0,
// block i i + 1 (also a top-level norm that closes the last block), everything else (heads) one more. A block is named
// by the first integer after "blocks.", "layers.", "layer." or "h."; embeddings are the parameters declared before the
// first block or named *embed*, *token* or *norm_pre*. Without blocks all are in layer 0.
std::vector<int> layer_ids(const ParameterStore& store);

}  // namespace gfsa
