#include "formats/safetensors_header.h"

#include <fmt/ranges.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"

namespace gfsa {
namespace {

using Json = nlohmann::json;

constexpr const char* kMetadataKey = "__metadata__";

// An event handler rather than a tree: it sees duplicate keys, keeps the order and takes time linear in the header.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}
  SafetensorsHeader take() { return std::move(header_); }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(number_integer_t value) override { return unexpected(fmt::format("{}", value)); }
  bool number_float(number_float_t, const string_t& text) override { return unexpected(text); }
  bool binary(binary_t&) override { return unexpected("binary data"); }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::kShape && value <= INT64_MAX) {
      entry().shape.push_back(static_cast<int64_t>(value));
    } else if (place_ == Place::kOffsets) {
      offsets_.push_back(value);
    } else {
      unexpected(fmt::format("{}", value));
    }
    return true;
  }
  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      header_.metadata[key_] = value;
    } else if (place_ == Place::kTensor && key_ == "dtype") {
      entry().dtype = value;
    } else {
      unexpected(fmt::format("the string \"{}\"", value));
    }
    return true;
  }
  bool key(string_t& name) override {
    key_ = name;
    auto& seen = place_ == Place::kFile ? file_keys_ : keys_;
    if (!seen.insert(name).second) {
      if (place_ == Place::kFile) bad_input("{}: tensor '{}' is in the header twice", path_, name);
      if (place_ == Place::kMetadata) bad_input("{}: __metadata__: key '{}' is there twice", path_, name);
      bad_input("{}: tensor '{}': key '{}' is there twice", path_, entry().name, name);
    }
    if (place_ == Place::kTensor && name != "dtype" && name != "shape" && name != "data_offsets") {
      bad_input("{}: tensor '{}': unknown key '{}', expected dtype, shape and data_offsets", path_, entry().name, name);
    }
    return true;
  }
  bool start_object(size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kFile;
    } else if (place_ == Place::kFile) {
      keys_.clear();
      place_ = key_ == kMetadataKey ? Place::kMetadata : Place::kTensor;
      if (place_ == Place::kTensor) header_.entries.push_back({key_, "", {}, 0, 0});
    } else {
      unexpected("an object");
    }
    return true;
  }
  bool end_object() override {
    if (place_ == Place::kTensor) {
      for (const char* needed : {"dtype", "shape", "data_offsets"}) {
        if (keys_.count(needed) == 0) bad_input("{}: tensor '{}': '{}' is missing", path_, entry().name, needed);
      }
    }
    place_ = place_ == Place::kFile ? Place::kOutside : Place::kFile;
    return true;
  }
  bool start_array(size_t) override {
    if (place_ == Place::kTensor && key_ == "shape") {
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && key_ == "data_offsets") {
      place_ = Place::kOffsets;
      offsets_.clear();
    } else {
      unexpected("an array");
    }
    return true;
  }
  bool end_array() override {
    if (place_ == Place::kOffsets) {
      if (offsets_.size() != 2 || offsets_[0] > offsets_[1]) {
        bad_input("{}: tensor '{}': data_offsets are [{}], expected [begin, end] with begin <= end", path_,
                  entry().name, fmt::join(offsets_, ", "));
      }
      entry().begin = offsets_[0];
      entry().end = offsets_[1];
    }
    place_ = Place::kTensor;
    return true;
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    bad_input("{}: the header is not valid JSON at its byte {}", path_, position);
  }

 private:
  enum class Place { kOutside, kFile, kMetadata, kTensor, kShape, kOffsets };

  SafetensorsEntry& entry() { return header_.entries.back(); }

  bool unexpected(const std::string& got) {
    switch (place_) {
      case Place::kOutside:
        bad_input("{}: the header is {}, expected a JSON object", path_, got);
      case Place::kFile:
        bad_input("{}: tensor '{}': is {}, expected an object", path_, key_, got);
      case Place::kMetadata:
        bad_input("{}: __metadata__: '{}' is {}, expected a string", path_, key_, got);
      case Place::kTensor:
        bad_input("{}: tensor '{}': '{}' is {}, expected {}", path_, entry().name, key_, got,
                  key_ == "dtype" ? "a string" : "an array");
      case Place::kShape:
      case Place::kOffsets:
        break;
    }
    bad_input("{}: tensor '{}': '{}' holds {}, expected whole numbers from 0", path_, entry().name, key_, got);
  }

  const std::string& path_;
  SafetensorsHeader header_;
  Place place_ = Place::kOutside;
  std::string key_;
  std::unordered_set<std::string> file_keys_, keys_;
  std::vector<uint64_t> offsets_;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view json, const std::string& path) {
  HeaderReader reader(path);
  Json::sax_parse(json.begin(), json.end(), &reader);
  return reader.take();
}

std::string safetensors_header_json(const SafetensorsHeader& header) {
  const auto quoted = [](const std::string& text) { return Json(text).dump(); };
  std::string out = "{";
  const auto separate = [&out] {
    if (out.back() != '{') out += ',';
  };
  if (!header.metadata.empty()) {
    out += fmt::format("\"{}\":{{", kMetadataKey);
    for (const auto& [key, value] : header.metadata) {
      separate();
      out += fmt::format("{}:{}", quoted(key), quoted(value));
    }
    out += '}';
  }
  for (const SafetensorsEntry& e : header.entries) {
    separate();
    out += fmt::format("{}:{{\"dtype\":\"{}\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", quoted(e.name), e.dtype,
                       fmt::join(e.shape, ","), e.begin, e.end);
  }
  return out + '}';
}

}  // namespace gfsa
