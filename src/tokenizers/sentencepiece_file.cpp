#include "tokenizers/sentencepiece_file.h"

#include <sentencepiece_processor.h>

#include <optional>

#include "base/error.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

// The fields of a protocol buffer's message, for the two things that the library does not tell: which pieces are user
// defined, and the normalizer's character map (sentencepiece_model.proto).
class Fields {
 public:
  Fields(std::string_view bytes, const std::string& file) : bytes_(bytes), file_(file) {}
  // Goes to the next field.
  bool next() {
    if (at_ >= bytes_.size()) return false;
    const uint64_t tag = varint();
    number_ = tag >> 3;
    value_ = 0;
    content_ = {};
    const uint64_t type = tag & 7;
    if (type == 0) {
      value_ = varint();
    } else if (type == 1 || type == 5) {
      take(type == 1 ? 8 : 4);
    } else if (type == 2) {
      content_ = take(varint());
    } else {
      bad_input("{}: damaged: no SentencePiece model", file_);
    }
    return true;
  }
  uint64_t number() const { return number_; }
  uint64_t value() const { return value_; }
  std::string_view content() const { return content_; }

 private:
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    bad_input("{}: damaged: no SentencePiece model", file_);
  }
  std::string_view take(uint64_t n) {
    if (n > bytes_.size() - at_) bad_input("{}: damaged: ends at byte {}, within a field", file_, bytes_.size());
    const std::string_view part = bytes_.substr(at_, n);
    at_ += n;
    return part;
  }
  std::string_view bytes_;
  std::string file_;
  size_t at_ = 0;
  uint64_t number_ = 0, value_ = 0;
  std::string_view content_;
};

struct Untold {
  std::vector<bool> user_defined;  // of each piece
  std::string charsmap;
};

Untold read_untold(const std::string& bytes, const std::string& file) {
  constexpr uint64_t kPieces = 1, kNormalizer = 3, kPieceType = 3, kCharsmap = 2, kUserDefined = 4;
  Untold out;
  for (Fields model(bytes, file); model.next();) {
    if (model.number() == kPieces) {
      uint64_t type = 1;
      for (Fields piece(model.content(), file); piece.next();) {
        if (piece.number() == kPieceType) type = piece.value();
      }
      out.user_defined.push_back(type == kUserDefined);
    } else if (model.number() == kNormalizer) {
      for (Fields normalizer(model.content(), file); normalizer.next();) {
        if (normalizer.number() == kCharsmap) out.charsmap = normalizer.content();
      }
    }
  }
  return out;
}

}  // namespace

Parts parse_albert_model(const std::string& bytes, const std::string& file, const HubConfig& config) {
  const Untold untold = read_untold(bytes, file);
  sentencepiece::SentencePieceProcessor processor;
  const auto status = processor.LoadFromSerializedProto(bytes);
  if (!status.ok()) bad_input("{}: not a SentencePiece model: {}", file, status.message());
  const int count = processor.GetPieceSize();
  if (static_cast<size_t>(count) != untold.user_defined.size()) bad_input("{}: damaged: no SentencePiece model", file);

  std::vector<std::pair<std::string, double>> pieces;
  Parts parts;
  for (int id = 0; id < count; ++id) {
    const std::string& piece = processor.IdToPiece(id);
    check_utf8(piece, fmt::format("{}: piece {}", file, id));
    pieces.emplace_back(piece, processor.GetScore(id));
    const bool control = processor.IsControl(id);
    if (!control && !untold.user_defined[static_cast<size_t>(id)]) continue;
    AddedToken token;
    token.content = piece;
    token.normalized = false;
    token.special = control;
    parts.added_tokens.push_back(token);
  }
  parts.model = unigram_model(std::move(pieces), processor.unk_id(), false, file);

  constexpr std::pair<const char*, const char*> kRoles[] = {{"pad", "<pad>"}, {"unk", "<unk>"},   {"cls", "[CLS]"},
                                                            {"sep", "[SEP]"}, {"mask", "[MASK]"}, {"bos", "[CLS]"},
                                                            {"eos", "[SEP]"}};
  for (const auto& [role, usual] : kRoles) {
    const auto said = config.roles.find(role);
    AddedToken token;
    token.content = usual;
    token.normalized = false;
    token.special = true;
    if (said != config.roles.end()) token = said->second;
    if (parts.model->vocabulary().find(token.content) < 0) {
      bad_input("{}: has no piece '{}': only ALBERT's models are read here; others in a tokenizer.json", file,
                token.content);
    }
    parts.roles[role] = token.content;
    parts.added_tokens.push_back(token);
  }

  std::vector<std::shared_ptr<const NormalizerStep>> steps = {replace_normalizer("``", "\""),
                                                              replace_normalizer("''", "\"")};
  if (!config.keep_accents.value_or(false)) {
    steps.push_back(unicode_normalizer(Form::kNfkd));
    steps.push_back(strip_accents_normalizer());
  }
  if (config.lowercase.value_or(true)) steps.push_back(lowercase_normalizer());
  if (!untold.charsmap.empty()) steps.push_back(precompiled_normalizer(untold.charsmap, file));
  parts.normalizer = Normalizer(std::move(steps), true);
  const bool prepend = config.add_prefix_space.value_or(true);
  parts.pre_tokenizer = sequence_pre_tokenizer({whitespace_split(), metaspace_pre_tokenizer(prepend)});
  parts.decoder = metaspace_decoder(prepend);
  const std::string &cls = parts.roles["cls"], &sep = parts.roles["sep"];
  parts.post_processor =
      bert_template(cls, parts.model->vocabulary().find(cls), sep, parts.model->vocabulary().find(sep));
  return parts;
}

}  // namespace gfsa::tokenizers
