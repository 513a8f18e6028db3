// text_case.h -- small language models with the weights of scripts/golden/text_models.py's formula.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/reader.h"
#include "models/text_model.h"
#include "optim/optimizer_config.h"

namespace gfsa::test {

// `count` numbers in [-1, 1): the upper 24 bits of splitmix64(hash of the name + index).
std::vector<double> spread(std::string_view name, int64_t count);
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
