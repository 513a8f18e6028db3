// auto_augment_tables.h -- the published policies as data (timm's auto_augment.py): {operation, probability,
// magnitude}.
#pragma once

#include <string>
#include <vector>

#include "data/image/augment_op.h"

namespace gfsa::data {

// "original", "originalr", "v0", "v0r", "3a"; anything else gives an empty list.
std::vector<std::vector<AugmentOp>> auto_augment_table(const std::string& name);

struct WeightedKind {
  AugmentKind kind;
  double weight;
};
// The lists that RandAugment draws from: "" and "increasing" (equal weights), "3a" (equal), "3aw", "weights"; empty for
// any other name. `weighted` says whether the weights count (and operations are drawn without replacement).
std::vector<WeightedKind> rand_augment_table(const std::string& name, bool& weighted);

}  // namespace gfsa::data
