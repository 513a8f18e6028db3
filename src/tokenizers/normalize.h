// normalize.h -- the normalizers of tokenizer.json: BertNormalizer, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents,
// Strip, Nmt, Replace, Prepend, Precompiled, ByteLevel, Sequence.
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizers/aligned_text.h"

namespace gfsa::tokenizers {

class JsonReader;

class NormalizerStep {
 public:
  virtual ~NormalizerStep() = default;
  // For ASCII, where the result is as long as the text, byte by byte: changes it and returns true. Else false, and the
  // text is as it was.
  virtual bool in_place(std::string& ascii) const = 0;
  virtual void normalize(AlignedChars& chars) const = 0;
  // Its object in tokenizer.json.
  virtual nlohmann::ordered_json describe() const = 0;
};

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  // A sequence where `sequence`, else one step.
  Normalizer(std::vector<std::shared_ptr<const NormalizerStep>> steps, bool sequence);

  AlignedText apply(std::string_view text, uint32_t base) const;
  std::string apply(std::string_view text) const { return apply(text, 0).text; }
  bool empty() const { return steps_.empty(); }
  nlohmann::ordered_json describe() const;  // null if there is none

 private:
  std::vector<std::shared_ptr<const NormalizerStep>> steps_;
  bool sequence_ = false;
};

// From tokenizer.json's "normalizer", which may be null.
Normalizer read_normalizer(const JsonReader& json);

std::shared_ptr<const NormalizerStep> bert_normalizer(bool clean_text, bool chinese, std::optional<bool> strip_accents,
                                                      bool lowercase);
enum class Form { kNfc, kNfd, kNfkc, kNfkd };
std::shared_ptr<const NormalizerStep> unicode_normalizer(Form form);
std::shared_ptr<const NormalizerStep> lowercase_normalizer();
std::shared_ptr<const NormalizerStep> strip_accents_normalizer();
std::shared_ptr<const NormalizerStep> replace_normalizer(const std::string& text, const std::string& with);
// SentencePiece's rules: a serialized double array of prefixes and the texts that replace them.
std::shared_ptr<const NormalizerStep> precompiled_normalizer(const std::string& charsmap, const std::string& where);

// Rules that make texts longer can be chained without end: bad input where a text grows beyond this and eightfold.
constexpr size_t kMostCharacters = size_t{1} << 22;

// Shared by the steps.
void to_form(AlignedChars& chars, Form form);
void lowercase(AlignedChars& chars);
template <class Keep>
void filter(AlignedChars& chars, Keep keep) {
  std::erase_if(chars, [&](const AlignedChar& c) { return !keep(c.c); });
}

}  // namespace gfsa::tokenizers
