// SentencePiece's precompiled character map: a little-endian u32 size, a Darts double array of that many bytes whose
// keys are UTF-8 and whose values are places in the text behind it, where replacements end with a zero byte.
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizers/normalize.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

std::string to_base64(const std::string& bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0);
    }
    for (size_t k = 0; k < 4; ++k) {
      out.push_back(i + k > bytes.size() ? '=' : kDigits[bits >> (18 - 6 * k) & 63]);
    }
  }
  return out;
}

class Precompiled : public NormalizerStep {
 public:
  Precompiled(const std::string& charsmap, const std::string& where) : charsmap_(charsmap) {
    uint32_t bytes = 0;
    if (charsmap.size() < 4) bad_input("{}: {} bytes are no character map", where, charsmap.size());
    std::memcpy(&bytes, charsmap.data(), 4);
    if (bytes > charsmap.size() - 4 || bytes % 4 != 0 || bytes == 0) {
      bad_input("{}: the character map of {} bytes announces a table of {}", where, charsmap.size(), bytes);
    }
    units_.resize(bytes / 4);
    std::memcpy(units_.data(), charsmap.data() + 4, bytes);
    texts_ = charsmap.substr(4 + bytes);
    check_utf8(texts_, where);
    for (unsigned c = 0; c < 128; ++c) {
      const auto to = find(std::string(1, static_cast<char>(c)));
      ascii_stays_[c] = !to || (to->size() == 1 && (*to)[0] == static_cast<char>(c));
    }
  }

  bool in_place(std::string& text) const override {
    for (size_t i = 0; i < text.size(); ++i) {
      if (!ascii_stays_[static_cast<unsigned char>(text[i])]) return false;
      if (text[i] == '\r') return false;  // with a line feed it is one cluster
    }
    return true;
  }

  void normalize(AlignedChars& chars) const override {
    std::vector<char32_t> plain;
    plain.reserve(chars.size());
    for (const AlignedChar& c : chars) plain.push_back(c.c);
    std::vector<Edit> edits;
    edits.reserve(chars.size());
    bool modified = false;
    for (size_t at = 0; at < plain.size();) {
      const size_t end = grapheme_end(plain.data(), at, plain.size());
      std::string cluster;
      for (size_t i = at; i < end && cluster.size() < 6; ++i) append_utf8(cluster, plain[i]);
      const auto whole = cluster.size() < 6 ? find(cluster) : std::nullopt;
      if (whole) {
        modified = true;
        replace(edits, end - at, *whole);
        at = end;
      }
      for (; at < end; ++at) {
        const auto one = find(to_utf8(plain[at]));
        modified |= one.has_value();
        if (one) {
          replace(edits, 1, *one);
        } else {
          edits.push_back({plain[at], 0});
        }
      }
    }
    if (modified) apply_edits(chars, edits);
  }

  nlohmann::ordered_json describe() const override {
    return {{"type", "Precompiled"}, {"precompiled_charsmap", to_base64(charsmap_)}};
  }

 private:
  // What the shortest key that begins `text` stands for: the first result of a search for common prefixes, as in
  // spm_precompiled.
  std::optional<std::string_view> find(std::string_view text) const {
    size_t at = 0;
    uint32_t unit = units_[0];
    at ^= offset(unit);
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte == 0) break;
      at ^= byte;
      if (at >= units_.size()) return std::nullopt;
      unit = units_[at];
      if ((unit & (1u << 31 | 0xFF)) != byte) return std::nullopt;
      at ^= offset(unit);
      if (unit >> 8 & 1) {
        if (at >= units_.size()) return std::nullopt;
        const size_t place = units_[at] & ((1u << 31) - 1);
        if (place > texts_.size() || (place < texts_.size() && is_continuation(texts_[place]))) return std::nullopt;
        return std::string_view(texts_).substr(place, std::min(texts_.find('\0', place), texts_.size()) - place);
      }
    }
    return std::nullopt;
  }
  static size_t offset(uint32_t unit) { return static_cast<size_t>(unit >> 10) << ((unit & (1u << 9)) >> 6); }

  // Removals are noted with the character before, additions with themselves. Where a removal begins the text there is
  // no character before it, and what follows aligns with what was removed: as in `tokenizers`.
  static void replace(std::vector<Edit>& edits, size_t old_count, std::string_view with) {
    size_t count = 0;
    for (size_t at = 0; at < with.size(); ++count) edits.push_back({next_char(with, at), 0});
    if (count > old_count) {
      for (size_t i = 0; i < count - old_count; ++i) edits[edits.size() - 1 - i].change = 1;
    } else if (count < old_count && !edits.empty()) {
      edits.back().change -= static_cast<int>(old_count - count);
    }
  }

  std::string charsmap_, texts_;
  std::vector<uint32_t> units_;
  bool ascii_stays_[128];
};

}  // namespace

std::shared_ptr<const NormalizerStep> precompiled_normalizer(const std::string& charsmap, const std::string& where) {
  return std::make_shared<Precompiled>(charsmap, where);
}

}  // namespace gfsa::tokenizers
