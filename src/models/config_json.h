// config_json.h -- config.json of Hugging Face's transformers: read with a message for everything that does not fit.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace gfsa {

class ConfigJson {
 public:
  // Bad input if the text is not a JSON object, or `model_type` is there and another. `source`: the file, for messages.
  ConfigJson(const std::string& text, const std::string& source, const std::string& model_type);
  ~ConfigJson();
  ConfigJson(const ConfigJson&) = delete;
  ConfigJson& operator=(const ConfigJson&) = delete;

  // The value, or `absent` where the key is absent or null. One of another type or outside the range is noted, and
  // `absent` given.
  int64_t integer(const std::string& key, int64_t absent, int64_t least, int64_t most);
  double number(const std::string& key, double absent, double least, double most);
  std::string text(const std::string& key, const std::string& absent);
  bool flag(const std::string& key, bool absent);
  bool has(const std::string& key) const;  // and not null

  // Notes that `key` has a value that is not served.
  void refuse(const std::string& key, const std::string& expected);
  // Notes a difference between the file and the YAML, which calls it `yaml` ("model.width is 128").
  void differs(const std::string& key, const std::string& yaml);
  // One bad-input error with everything that was noted.
  void finish() const { errors_.throw_if_any(); }

 private:
  struct Content;
  std::string shown(const std::string& key) const;

  std::unique_ptr<Content> content_;
  std::string source_;
  ErrorList errors_;
};

// Names of activations in config.json and here: gelu_new is gelu_tanh. Unknown: noted in `json`.
std::string take_activation(ConfigJson& json, const std::string& key, const std::string& absent);
std::string transformers_name(const std::string& activation);

}  // namespace gfsa
