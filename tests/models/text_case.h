// text_case.h -- small language models with the weights of scripts/golden/text_models.py's formula.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/strings.h"
#include "config/reader.h"
#include "models/text_model.h"
#include "optim/optimizer_config.h"

namespace gfsa::test {

// Number i of a name, in [-1, 1): the upper 24 bits of splitmix64(hash_name(name) + i steps).
inline double spread(uint64_t hash, int64_t i) {
  uint64_t z = hash + static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return static_cast<double>((z ^ (z >> 31)) >> 40) * 0x1p-23 - 1;
}
// Every parameter by the formula, rounded to f32.
void fill_by_formula(ParameterStore& store);

struct TextSections {
  std::unique_ptr<TextModelConfig> model;
  AttentionConfig attention;
  OptimizerConfig optimizer;
  void describe(config::Schema& s) {
    s.section("model", model, text_model_registry(), "");
    s.section("attention", attention, "");
    s.section("optimizer", optimizer, "");
  }
};

// A model built from YAML, e.g. model "{name: bert, width: 18, ...}", attention "softmax".
struct TextSubject {
  TextSubject(const std::string& model, const std::string& attention, TextHead head, int64_t classes,
              DType dtype = DType::f32, Device device = {});
  TextSections sections;
  ParameterStore store;
  std::unique_ptr<TextModel> model;
  ForwardContext context;  // training: dropout of the YAML acts
};

std::map<std::string, Tensor> weights_of(const ParameterStore& store);

}  // namespace gfsa::test
