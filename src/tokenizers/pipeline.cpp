#include "tokenizers/pipeline.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using nlohmann::ordered_json;

class Pipeline : public Tokenizer {
 public:
  Pipeline(Parts parts, const std::string& where)
      : parts_(std::move(parts)), added_(parts_.added_tokens, *parts_.model, parts_.normalizer, where) {
    if (parts_.pre_tokenizer && parts_.pre_tokenizer->ends_in_bytes()) {
      const bool bytes = parts_.model->can_take_bytes();
      parts_.pre_tokenizer->keep_bytes(bytes);
      parts_.model->take_bytes(bytes);
    }
    size_ = std::max(parts_.model->vocabulary().limit(), added_.limit());
    for (const int32_t id : parts_.post_processor ? parts_.post_processor->ids() : std::vector<int32_t>()) {
      if (added_.token(id) == nullptr && !parts_.model->vocabulary().has(id)) {
        bad_input("{}: post_processor puts the id {} around texts, which is not in the vocabulary", where, id);
      }
    }
    for (const auto& [role, token] : parts_.roles) {
      const auto id = id_of(token);
      if (!id) bad_input("{}: the {} token '{}' is not in the vocabulary", where, role, token);
      roles_[role] = *id;
    }
  }

  Encoding encode(std::string_view text, const EncodeOptions& options) const override {
    std::vector<Sequence> sequences(1);
    sequences[0] = cut(text, 0, options.max_length);
    return finish(std::move(sequences), options);
  }

  Encoding encode_pair(std::string_view a, std::string_view b, const EncodeOptions& options) const override {
    std::vector<Sequence> sequences(2);
    sequences[0] = cut(a, 0, std::nullopt);  // which one is cut shorter depends on their whole lengths
    sequences[1] = cut(b, 1, std::nullopt);
    return finish(std::move(sequences), options);
  }

  std::string decode(const std::vector<int32_t>& ids, bool skip_special) const override {
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const int32_t id : ids) {
      const std::string& text = decoder_text(id);
      if (!skip_special || !added_.is_special(text)) tokens.push_back(text);
    }
    if (parts_.decoder) parts_.decoder->decode(tokens);
    std::string text;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0 && !parts_.decoder) text += ' ';
      text += tokens[i];
    }
    return text;
  }

  int64_t size() const override { return size_; }
  std::optional<int32_t> id_of(std::string_view token) const override {
    if (const auto id = added_.find(token)) return id;
    const int32_t id = parts_.model->vocabulary().find(token);
    return id < 0 ? std::nullopt : std::optional(id);
  }
  std::string token(int32_t id) const override {
    const AddedToken* added = added_.token(id);
    return added != nullptr ? added->content : model_text(id);
  }
  std::optional<int32_t> special_id(std::string_view role) const override {
    const auto found = roles_.find(std::string(role));
    return found == roles_.end() ? std::nullopt : std::optional(found->second);
  }
  int64_t special_count(bool pair) const override {
    return parts_.post_processor ? parts_.post_processor->added(pair) : 0;
  }
  std::string to_json() const override;

 private:
  const std::string& model_text(int32_t id) const {
    if (!parts_.model->vocabulary().has(id)) fail("the id {} is not in the vocabulary of {}", id, size_);
    return parts_.model->vocabulary().token(id);
  }
  const std::string& decoder_text(int32_t id) const {
    return added_.token(id) != nullptr ? added_.text(id) : model_text(id);
  }

  // The tokens of one text, before anything is put around it; where only so many are `wanted` it may stop after them.
  Sequence cut(std::string_view text, int32_t type, std::optional<int64_t> wanted) const {
    check_utf8(text, "the text");
    if (text.size() > INT32_MAX) fail("a text of {} bytes, expected less than 2^31", text.size());
    Sequence out;
    out.text = text;
    const size_t most = wanted ? static_cast<size_t>(std::max<int64_t>(*wanted, 0)) : SIZE_MAX;
    bool full = false;
    std::vector<AddedTokens::Part> parts;
    added_.split(text, false, parts);
    for (const AddedTokens::Part& part : parts) {
      const std::string_view piece = text.substr(part.begin, part.end - part.begin);
      if (part.id >= 0) {
        if (full) break;
        push(out, part.id, {static_cast<uint32_t>(part.begin), static_cast<uint32_t>(part.end)});
        out.texts.emplace_back(out.encoding.ids.size() - 1, piece);
        continue;
      }
      if (full) break;
      AlignedText normal = parts_.normalizer.apply(piece, static_cast<uint32_t>(part.begin));
      if (!added_.any(true)) {
        full = cut_words(std::move(normal), most, out);
        continue;
      }
      std::vector<AddedTokens::Part> inner;
      added_.split(normal.text, true, inner);
      for (const AddedTokens::Part& p : inner) {
        if (full) break;
        if (p.id < 0) {
          full = cut_words(normal.slice(p.begin, p.end), most, out);
          continue;
        }
        push(out, p.id, normal.original(p.begin, p.end));
        out.texts.emplace_back(out.encoding.ids.size() - 1, normal.text.substr(p.begin, p.end - p.begin));
      }
    }
    out.encoding.types.assign(out.encoding.ids.size(), type);
    out.encoding.special.assign(out.encoding.ids.size(), false);
    return out;
  }

  // Whether `most` tokens are reached.
  bool cut_words(AlignedText text, size_t most, Sequence& out) const {
    if (text.text.empty()) return false;
    Pieces pieces;
    pieces.parts.push_back({0, static_cast<uint32_t>(text.text.size())});
    pieces.text = std::move(text);
    if (parts_.pre_tokenizer) parts_.pre_tokenizer->split(pieces);
    const std::string_view all = pieces.text.text;
    std::vector<Token> tokens;
    out.encoding.ids.reserve(out.encoding.ids.size() + pieces.parts.size() + pieces.parts.size() / 2);
    out.encoding.offsets.reserve(out.encoding.ids.capacity());
    for (const Span& word : pieces.parts) {
      tokens.clear();
      parts_.model->tokenize(all.substr(word.begin, word.end - word.begin), tokens);
      for (const Token& t : tokens) push(out, t.id, pieces.text.original(word.begin + t.begin, word.begin + t.end));
      if (out.encoding.ids.size() >= most) return true;
    }
    return false;
  }

  static void push(Sequence& out, int32_t id, Span span) {
    out.encoding.ids.push_back(id);
    out.encoding.offsets.emplace_back(static_cast<int32_t>(span.begin), static_cast<int32_t>(span.end));
  }

  Encoding finish(std::vector<Sequence> sequences, const EncodeOptions& options) const {
    if (options.max_length) {
      const int64_t around = options.special_tokens ? special_count(sequences.size() == 2) : 0;
      if (*options.max_length < around) {
        bad_input("at most {} tokens are wanted, but {} are put around a text", *options.max_length, around);
      }
      const auto most = static_cast<size_t>(*options.max_length - around);
      if (sequences.size() == 1) {
        truncate(sequences[0].encoding, most);
      } else {
        const auto [n1, n2] = longest_first(sequences[0].encoding.ids.size(), sequences[1].encoding.ids.size(), most);
        truncate(sequences[0].encoding, n1);
        truncate(sequences[1].encoding, n2);
      }
    }
    if (parts_.post_processor) {
      const TokenText text = [this](int32_t id) -> const std::string& { return model_text(id); };
      parts_.post_processor->process(sequences, options.special_tokens, text);
    }
    for (size_t i = 1; i < sequences.size(); ++i) append(sequences[0].encoding, sequences[i].encoding);
    return std::move(sequences[0].encoding);
  }

  Parts parts_;
  AddedTokens added_;
  int64_t size_ = 0;
  std::map<std::string, int32_t> roles_;
};

// tokenizer.json, a token a line. An added token's "roles" is ours: `tokenizers` passes over it.
std::string Pipeline::to_json() const {
  const auto described = [](const auto& part) { return part ? part->describe().dump() : std::string("null"); };
  std::string text = "{\"version\":\"1.0\",\n\"truncation\":null,\n\"padding\":null,\n\"added_tokens\":[";
  bool first = true;
  for (const auto& [id, token] : added_.in_order()) {
    ordered_json j = {{"id", id},
                      {"content", token->content},
                      {"single_word", token->single_word},
                      {"lstrip", token->lstrip},
                      {"rstrip", token->rstrip},
                      {"normalized", token->normalized},
                      {"special", token->special}};
    for (const auto& [role, content] : parts_.roles) {
      if (content == token->content) j["roles"].push_back(role);
    }
    text += fmt::format("{}\n{}", first ? "" : ",", j.dump());
    first = false;
  }
  text += fmt::format("],\n\"normalizer\":{},\n\"pre_tokenizer\":{},\n\"post_processor\":{},\n",
                      parts_.normalizer.describe().dump(), described(parts_.pre_tokenizer),
                      described(parts_.post_processor));
  std::string model = parts_.model->describe().dump();
  model.pop_back();  // its brace
  text += fmt::format("\"decoder\":{},\n\"model\":{},{}}}}}\n", described(parts_.decoder), model,
                      parts_.model->describe_vocabulary());
  return text;
}

}  // namespace

std::shared_ptr<const Tokenizer> make_tokenizer(Parts parts, const std::string& where) {
  return std::make_shared<Pipeline>(std::move(parts), where);
}

}  // namespace gfsa::tokenizers
