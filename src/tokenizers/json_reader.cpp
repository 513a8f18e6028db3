#include "tokenizers/json_reader.h"

#include <algorithm>

#include "base/error.h"
#include "base/strings.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {

using nlohmann::json;

nlohmann::json parse_json(const std::string& text, const std::string& file) {
  check_utf8(text, file);
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    const size_t at = std::min(error.byte > 0 ? error.byte - 1 : 0, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<int64_t>(at), '\n');
    const size_t start = at == 0 ? std::string::npos : text.rfind('\n', at - 1);
    const size_t column = start == std::string::npos ? at + 1 : at - start;
    std::string why = error.what();
    const size_t colon = why.find(": ");  // behind the library's number and its own place
    if (colon != std::string::npos) why.erase(0, colon + 2);
    if (!is_valid_utf8(why)) why.erase(std::min(why.find("; last read"), why.size()));  // which ends within a character
    bad_input("{}:{}:{}: not JSON: {}", file, line, column, why);
  } catch (const json::exception& error) {  // a number out of range
    bad_input("{}: not JSON: {}", file, error.what());
  }
}

JsonReader::JsonReader(const json& value, std::string file, std::string path)
    : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

std::string JsonReader::place() const { return path_.empty() ? file_ : file_ + ": " + path_; }

void JsonReader::expected(std::string_view what) const {
  std::string given = value_->dump(-1, ' ', false, json::error_handler_t::replace);
  if (given.size() > 60) {
    size_t cut = 57;
    while (is_continuation(given[cut])) --cut;
    given = given.substr(0, cut) + "...";
  }
  bad_input("{} is {}, expected {}", place(), given, what);
}

bool JsonReader::has(const char* key) const {
  if (!value_->is_object()) expected("an object");
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

JsonReader JsonReader::at(const char* key) const {
  if (!value_->is_object()) expected("an object");
  const auto found = value_->find(key);
  if (found == value_->end()) bad_input("{} has no '{}'", place(), key);
  return {*found, file_, path_.empty() ? key : path_ + "." + key};
}

std::vector<JsonReader> JsonReader::items(const char* key) const {
  const JsonReader list = at(key);
  if (!list.value_->is_array()) list.expected("a list");
  std::vector<JsonReader> out;
  out.reserve(list.value_->size());
  for (size_t i = 0; i < list.value_->size(); ++i) {
    out.emplace_back((*list.value_)[i], file_, fmt::format("{}[{}]", list.path_, i));
  }
  return out;
}

std::string JsonReader::text() const {
  if (!value_->is_string()) expected("text");
  return value_->get<std::string>();
}
std::string JsonReader::text(const char* key) const { return at(key).text(); }
std::string JsonReader::text(const char* key, const char* otherwise) const {
  return has(key) ? text(key) : std::string(otherwise);
}
std::optional<std::string> JsonReader::maybe_text(const char* key) const {
  if (!has(key)) return std::nullopt;
  return text(key);
}

bool JsonReader::flag(const char* key) const {
  const JsonReader value = at(key);
  if (!value.value_->is_boolean()) value.expected("true or false");
  return value.value_->get<bool>();
}
bool JsonReader::flag(const char* key, bool otherwise) const { return has(key) ? flag(key) : otherwise; }

int64_t JsonReader::whole(int64_t least, int64_t most) const {
  const bool fits = value_->is_number_unsigned() ? value_->get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)
                                                 : value_->is_number_integer();
  const int64_t number = fits ? value_->get<int64_t>() : 0;
  if (!fits || number < least || number > most) expected(fmt::format("a whole number from {} to {}", least, most));
  return number;
}
int64_t JsonReader::whole(const char* key, int64_t least, int64_t most) const { return at(key).whole(least, most); }
int64_t JsonReader::whole(const char* key, int64_t otherwise, int64_t least, int64_t most) const {
  return has(key) ? whole(key, least, most) : otherwise;
}

double JsonReader::number() const {
  if (!value_->is_number()) expected("a number");
  return value_->get<double>();
}

char32_t JsonReader::character(const char* key) const {
  const std::string one = text(key);
  if (count_chars(one) != 1) at(key).expected("one character");
  size_t position = 0;
  return next_char(one, position);
}

std::string JsonReader::name(const char* key, const std::vector<std::string>& names) const {
  const std::string given = text(key);
  if (std::find(names.begin(), names.end(), given) == names.end()) {
    bad_input("{} is '{}', which is not supported here; expected {}{}", at(key).place(), given, one_of(names),
              did_you_mean(given, names));
  }
  return given;
}
std::string JsonReader::name(const char* key, const std::vector<std::string>& names, const char* otherwise) const {
  return has(key) ? name(key, names) : std::string(otherwise);
}

}  // namespace gfsa::tokenizers
