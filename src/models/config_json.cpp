#include "models/config_json.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace gfsa {

struct ConfigJson::Content {
  nlohmann::json object;
};

ConfigJson::ConfigJson(const std::string& text, const std::string& source, const std::string& model_type)
    : content_(std::make_unique<Content>()), source_(source) {
  content_->object = nlohmann::json::parse(text, nullptr, false);
  if (!content_->object.is_object()) bad_input("{}: not a JSON object, expected config.json of transformers", source);
  if (const std::string found = this->text("model_type", model_type); found != model_type)
    bad_input("{}: model_type is '{}', expected '{}', the name of the model in the YAML", source, found, model_type);
}

ConfigJson::~ConfigJson() = default;

bool ConfigJson::has(const std::string& key) const {
  const auto it = content_->object.find(key);
  return it != content_->object.end() && !it->is_null();
}

std::string ConfigJson::shown(const std::string& key) const {
  return content_->object.at(key).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

int64_t ConfigJson::integer(const std::string& key, int64_t absent, int64_t least, int64_t most) {
  if (!has(key)) return absent;
  const auto& value = content_->object.at(key);
  const bool fits = value.is_number_unsigned()  ? value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                    : value.is_number_integer() ? true
                                                : false;
  if (fits && value.get<int64_t>() >= least && value.get<int64_t>() <= most) return value.get<int64_t>();
  refuse(key, fmt::format("an integer from {} to {}", least, most));
  return absent;
}

double ConfigJson::number(const std::string& key, double absent, double least, double most) {
  if (!has(key)) return absent;
  const auto& value = content_->object.at(key);
  if (value.is_number() && value.get<double>() >= least && value.get<double>() <= most) return value.get<double>();
  refuse(key, fmt::format("a number from {} to {}", least, most));
  return absent;
}

std::string ConfigJson::text(const std::string& key, const std::string& absent) {
  if (!has(key)) return absent;
  if (content_->object.at(key).is_string()) return content_->object.at(key).get<std::string>();
  refuse(key, "a text");
  return absent;
}

bool ConfigJson::flag(const std::string& key, bool absent) {
  if (!has(key)) return absent;
  if (content_->object.at(key).is_boolean()) return content_->object.at(key).get<bool>();
  refuse(key, "true or false");
  return absent;
}

void ConfigJson::refuse(const std::string& key, const std::string& expected) {
  errors_.add(fmt::format("{}: {} is {}, expected {}", source_, key, shown(key), expected));
}

void ConfigJson::differs(const std::string& key, const std::string& yaml) {
  errors_.add(fmt::format("{}: {} is {}, but {}", source_, key, has(key) ? shown(key) : "absent", yaml));
}

namespace {

// gelu_new, gelu_pytorch_tanh and gelu_fast are one function.
const std::map<std::string, std::string> kActivations{
    {"gelu", "gelu"},           {"gelu_new", "gelu_tanh"}, {"gelu_pytorch_tanh", "gelu_tanh"},
    {"gelu_fast", "gelu_tanh"}, {"relu", "relu"},          {"silu", "silu"},
    {"swish", "silu"}};

}  // namespace

std::string take_activation(ConfigJson& json, const std::string& key, const std::string& absent) {
  const std::string name = json.text(key, "");
  if (name.empty()) return absent;
  const auto it = kActivations.find(name);
  if (it != kActivations.end()) return it->second;
  std::vector<std::string> known;
  for (const auto& [theirs, ours] : kActivations) known.push_back(theirs);
  json.refuse(key, one_of(known) + did_you_mean(name, known));
  return absent;
}

std::string transformers_name(const std::string& activation) {
  return activation == "gelu_tanh" ? "gelu_new" : activation;
}

}  // namespace gfsa
