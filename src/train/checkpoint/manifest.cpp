#include "train/checkpoint/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace gfsa::train {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr std::string_view kOwnKey = "  \"manifest\": \"";
constexpr std::string_view kEnd = "\"\n}\n";
constexpr size_t kDigits = 32;

// The last line and the brace, with the checksum of what stands before them.
std::string ending(std::string_view text_before) {
  return fmt::format("{}{}{}", kOwnKey, checksum128(text_before), kEnd);
}

uint64_t bytes_of(const json& j, const std::string& path) {  // a conversion would make any number of 1e300
  const auto& value = j.at("bytes");
  if (!value.is_number_unsigned()) bad_input("{}: 'bytes' is {}, expected a whole number", path, value.dump());
  return value.get<uint64_t>();
}

FileChecksums sums_of(const json& j, const std::string& path) {
  FileChecksums sums;
  sums.bytes = bytes_of(j, path);
  sums.xxh3_128 = j.at("xxh3_128").get<std::string>();
  if (!j.contains("header")) return sums;
  sums.header_bytes = bytes_of(j.at("header"), path);
  sums.header_xxh3_64 = j.at("header").at("xxh3_64").get<std::string>();
  for (const auto& [name, sum] : j.at("tensors").items()) {
    sums.tensors_xxh3_64.emplace_back(name, sum.get<std::string>());
  }
  return sums;
}

ordered_json json_of(const FileChecksums& sums) {
  ordered_json j;
  j["bytes"] = sums.bytes;
  j["xxh3_128"] = sums.xxh3_128;
  if (sums.header_bytes == 0) return j;
  j["header"] = {{"bytes", sums.header_bytes}, {"xxh3_64", sums.header_xxh3_64}};
  j["tensors"] = ordered_json::object();
  for (const auto& [name, sum] : sums.tensors_xxh3_64) j["tensors"][name] = sum;
  return j;
}

}  // namespace

const FileChecksums* Manifest::find(const std::string& file) const {
  for (const auto& [name, sums] : files) {
    if (name == file) return &sums;
  }
  return nullptr;
}

std::string manifest_text(const Manifest& manifest) {
  ordered_json j;
  j["format"] = kCheckpointFormat;
  j["files"] = ordered_json::object();
  for (const auto& [name, sums] : manifest.files) j["files"][name] = json_of(sums);
  std::string text = j.dump(2);
  text.resize(text.size() - 2);  // "\n}"
  text += ",\n";
  return text + ending(text);
}

Manifest parse_manifest(const std::string& text, const std::string& path) {
  if (!is_valid_utf8(text)) bad_input("{}: damaged, this is not UTF-8 text", path);
  constexpr size_t kEnding = kOwnKey.size() + kDigits + kEnd.size();
  if (text.size() < kEnding) bad_input("{}: damaged: has {} bytes, which is no manifest", path, text.size());
  const std::string_view before = std::string_view(text).substr(0, text.size() - kEnding);
  if (text.compare(before.size(), std::string::npos, ending(before)) != 0) {
    bad_input("{}: damaged: its own checksum does not fit what it says", path);
  }
  try {
    const auto j = json::parse(text);
    if (j.at("format") != kCheckpointFormat) {
      throw OtherFormat(
          fmt::format("{}: checkpoint format {}, expected {}; it was written by another version of this "
                      "program",
                      path, j.at("format").dump(), kCheckpointFormat));
    }
    static const std::vector<std::string> kFiles{
        "model.safetensors", "optimizer.safetensors", "ema.safetensors", "config.yaml",
        "state.json",        "config.json",           "tokenizer.json"};
    static const std::vector<std::string> kOptional{"ema.safetensors", "config.json", "tokenizer.json"};
    const auto is_in = [](const std::vector<std::string>& names, const std::string& name) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    Manifest manifest;
    for (const auto& [name, sums] : j.at("files").items()) {
      if (!is_in(kFiles, name)) {
        bad_input("{}: file '{}' is none of a checkpoint's, expected {}", path, name, one_of(kFiles));
      }
      manifest.files.emplace_back(name, sums_of(sums, path));
    }
    for (const auto& name : kFiles) {
      if (!is_in(kOptional, name) && manifest.find(name) == nullptr) bad_input("{}: lacks {}", path, name);
      const auto* sums = manifest.find(name);
      if (sums != nullptr && name.ends_with(".safetensors") != (sums->header_bytes > 0)) {
        bad_input("{}: {}: 'header' is {}", path, name, sums->header_bytes > 0 ? "unexpected" : "missing");
      }
    }
    return manifest;
  } catch (const nlohmann::json::parse_error& e) {  // its text may end within a character
    bad_input("{}: damaged, this is not a checkpoint's manifest: no JSON from its byte {} on", path, e.byte);
  } catch (const nlohmann::json::exception& e) {
    bad_input("{}: damaged, this is not a checkpoint's manifest: {}", path, e.what());
  }
}

}  // namespace gfsa::train
