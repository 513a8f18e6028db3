// json_reader.h -- values of a JSON file with their place in messages: "tokenizer.json: model.unk_token is 3, expected
// text".
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa::tokenizers {

// Bad input with line and column where `text` is not JSON.
nlohmann::json parse_json(const std::string& text, const std::string& file);

class JsonReader {
 public:
  // `path` is empty for the file's own value.
  JsonReader(const nlohmann::json& value, std::string file, std::string path = "");

  const nlohmann::json& value() const { return *value_; }
  const std::string& file() const { return file_; }
  // "tokenizer.json: model.vocab"
  std::string place() const;

  bool has(const char* key) const;  // and it is not null
  JsonReader at(const char* key) const;
  std::vector<JsonReader> items(const char* key) const;  // of a list

  std::string text(const char* key) const;
  std::string text(const char* key, const char* otherwise) const;
  std::optional<std::string> maybe_text(const char* key) const;
  bool flag(const char* key) const;
  bool flag(const char* key, bool otherwise) const;
  int64_t whole(const char* key, int64_t least, int64_t most) const;
  int64_t whole(const char* key, int64_t otherwise, int64_t least, int64_t most) const;
  double number() const;
  char32_t character(const char* key) const;
  // One of the names, with the nearest one if not.
  std::string name(const char* key, const std::vector<std::string>& names) const;
  std::string name(const char* key, const std::vector<std::string>& names, const char* otherwise) const;
  std::string text() const;
  int64_t whole(int64_t least, int64_t most) const;

  [[noreturn]] void expected(std::string_view what) const;

 private:
  const nlohmann::json* value_;
  std::string file_;
  std::string path_;
};

}  // namespace gfsa::tokenizers
