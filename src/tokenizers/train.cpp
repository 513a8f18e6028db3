#include "tokenizers/train.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/strings.h"
#include "tokenizers/pipeline.h"
#include "tokenizers/special_tokens.h"
#include "tokenizers/train_bpe.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using ForEachText = std::function<void(const std::function<void(std::string_view)>&)>;
using Counts = std::vector<std::pair<std::string, int64_t>>;

const std::vector<std::string> kKinds = {"byte_bpe", "wordpiece", "word", "character", "byte"};

// How often each word is in the texts, normalized and cut as the tokenizer will do it.
Counts count_words(const ForEachText& for_each_text, const Normalizer& normalizer, const PreTokenizer& pre_tokenizer) {
  std::unordered_map<std::string, int64_t> counts;
  int64_t number = 0;
  for_each_text([&](std::string_view text) {
    check_utf8(text, fmt::format("text {} to train a tokenizer on", ++number));
    Pieces pieces;
    pieces.text = normalizer.apply(text, 0);
    if (pieces.text.text.empty()) return;
    pieces.parts.push_back({0, static_cast<uint32_t>(pieces.text.text.size())});
    pre_tokenizer.split(pieces);
    for (const Span& p : pieces.parts) ++counts[pieces.text.text.substr(p.begin, p.end - p.begin)];
  });
  if (number == 0) bad_input("there is no text to train a tokenizer on");
  return {counts.begin(), counts.end()};
}

Parts train_bpe(const ForEachText& for_each_text, const TrainOptions& options, const SpecialTokens& special) {
  BpeTraining training{options.vocabulary, options.min_frequency, special.contents(), {}, ""};
  Parts parts;
  parts.pre_tokenizer = byte_level_pre_tokenizer(false, true, true);
  for (unsigned b = 0; b < 256; ++b) training.alphabet.push_back(char_of_byte(static_cast<unsigned char>(b)));
  const LearnedBpe learned = learn_bpe(count_words(for_each_text, parts.normalizer, *parts.pre_tokenizer), training);
  parts.model = bpe_model(Vocabulary::in_order(learned.tokens, "the trained tokenizer"), learned.merges, {},
                          [](size_t i) { return fmt::format("the trained tokenizer: merge {}", i); });
  parts.decoder = byte_level_decoder(true, true, true);
  parts.post_processor = special.post_processor(true);
  return parts;
}

Parts train_wordpiece(const ForEachText& for_each_text, const TrainOptions& options, const SpecialTokens& special) {
  Parts parts;
  parts.normalizer = Normalizer({bert_normalizer(true, true, std::nullopt, options.lowercase)}, false);
  parts.pre_tokenizer = bert_pre_tokenizer();
  const LearnedBpe learned = learn_bpe(count_words(for_each_text, parts.normalizer, *parts.pre_tokenizer),
                                       {options.vocabulary, options.min_frequency, special.contents(), {}, "##"});
  WordPieceOptions pieces;
  pieces.unknown = special.content("unk");
  parts.model =
      wordpiece_model(Vocabulary::in_order(learned.tokens, "the trained tokenizer"), pieces, "the trained tokenizer");
  parts.decoder = wordpiece_decoder("##", true);
  parts.post_processor = special.post_processor(false);
  return parts;
}

// Words or characters: the most frequent ones, of equally frequent ones those that come first bytewise.
Parts train_plain(const ForEachText& for_each_text, const TrainOptions& options, const SpecialTokens& special_tokens) {
  const std::vector<std::string> special = special_tokens.contents();
  const bool words = options.kind == "word";
  Parts parts;
  parts.pre_tokenizer = words ? whitespace_split() : split_characters();
  Counts counts = count_words(for_each_text, parts.normalizer, *parts.pre_tokenizer);
  std::sort(counts.begin(), counts.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  std::vector<std::string> tokens;
  for (const auto& [token, count] : counts) {
    if (static_cast<int64_t>(special.size() + tokens.size()) == options.vocabulary) break;
    if (words && count < options.min_frequency) break;
    if (std::find(special.begin(), special.end(), token) == special.end()) tokens.push_back(token);
  }
  if (!words) std::sort(tokens.begin(), tokens.end());  // UTF-8 sorts like code points
  tokens.insert(tokens.begin(), special.begin(), special.end());
  parts.model =
      word_level_model(Vocabulary::in_order(std::move(tokens), "the trained tokenizer"), special_tokens.content("unk"));
  if (!words) parts.decoder = fuse_decoder();
  parts.post_processor = special_tokens.post_processor(false);
  return parts;
}

// The 256 bytes in order, behind the special tokens.
Parts byte_tokenizer(const SpecialTokens& special) {
  Parts parts;
  std::vector<std::string> tokens = special.contents();
  for (unsigned b = 0; b < 256; ++b) tokens.push_back(to_utf8(char_of_byte(static_cast<unsigned char>(b))));
  parts.pre_tokenizer = byte_level_pre_tokenizer(false, true, false);
  parts.model = bpe_model(Vocabulary::in_order(std::move(tokens), "the trained tokenizer"), {}, {},
                          [](size_t) { return std::string(); });
  parts.decoder = byte_level_decoder(true, true, false);
  parts.post_processor = special.post_processor(false);
  return parts;
}

SpecialTokens checked(const TrainOptions& options) {
  ErrorList errors;
  const auto require_one_of = [&](const char* key, const std::string& given, const std::vector<std::string>& known,
                                  const char* what) {
    if (std::find(known.begin(), known.end(), given) != known.end()) return true;
    errors.add(
        fmt::format("{}: '{}' is no {}; expected {}{}", key, given, what, one_of(known), did_you_mean(given, known)));
    return false;
  };
  require_one_of("kind", options.kind, kKinds, "kind of tokenizer");
  SpecialTokens special;
  if (options.special_tokens.empty() ||
      require_one_of("special_tokens", options.special_tokens, special_token_families(), "family of models")) {
    special = special_tokens_of(options.special_tokens, options.kind);
  }
  const auto specials = static_cast<int64_t>(special.tokens.size());
  const bool bytes = options.kind == "byte_bpe" || options.kind == "byte";
  const int64_t least = specials + (bytes ? 256 : 1);
  if (options.vocabulary < least || options.vocabulary > 100'000'000) {
    errors.add(fmt::format("vocabulary: is {}, expected {} (special tokens{}) to 100,000,000", options.vocabulary,
                           least, bytes ? " and bytes" : " and one more"));
  }
  if (options.min_frequency < 1)
    errors.add(fmt::format("min_frequency: is {}, expected 1 or more", options.min_frequency));
  errors.throw_if_any();
  return special;
}

}  // namespace

std::shared_ptr<const Tokenizer> train_tokenizer(const ForEachText& for_each_text, const TrainOptions& options) {
  const SpecialTokens special = checked(options);
  Parts parts = options.kind == "byte_bpe"    ? train_bpe(for_each_text, options, special)
                : options.kind == "wordpiece" ? train_wordpiece(for_each_text, options, special)
                : options.kind == "byte"      ? byte_tokenizer(special)
                                              : train_plain(for_each_text, options, special);
  const bool plain = options.kind == "word" || options.kind == "character";
  for (const SpecialTokens::Token& one : special.tokens) {
    for (const std::string& role : one.roles) parts.roles[role] = one.content;
    // A word or character that is not known is written so in texts, and means just that.
    if (plain && one.roles == std::vector<std::string>{"unk"}) continue;
    AddedToken token;
    token.content = one.content;
    token.lstrip = one.takes_space_before;
    token.normalized = false;
    token.special = true;
    parts.added_tokens.push_back(token);
  }
  return make_tokenizer(std::move(parts), "the trained tokenizer");
}

}  // namespace gfsa::tokenizers
