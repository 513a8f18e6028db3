#include "tokenizers/train.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "base/error.h"
#include "base/strings.h"
#include "tokenizers/pipeline.h"
#include "tokenizers/train_bpe.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

using ForEachText = std::function<void(const std::function<void(std::string_view)>&)>;
using Counts = std::vector<std::pair<std::string, int64_t>>;

const std::vector<std::string> kKinds = {"byte_bpe", "wordpiece", "word", "character", "byte"};
constexpr const char* kUnknown = "<unk>";

std::vector<std::string> usual_special_tokens(const std::string& kind) {
  if (kind == "byte_bpe") return {"<|endoftext|>"};
  if (kind == "wordpiece") return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  if (kind == "word") return {kUnknown, "<eos>"};
  if (kind == "character") return {kUnknown};
  return {};
}

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

Parts train_bpe(const ForEachText& for_each_text, const TrainOptions& options,
                const std::vector<std::string>& special) {
  BpeTraining training{options.vocabulary, options.min_frequency, special, {}, ""};
  Parts parts;
  parts.pre_tokenizer = byte_level_pre_tokenizer(false, true, true);
  for (unsigned b = 0; b < 256; ++b) training.alphabet.push_back(char_of_byte(static_cast<unsigned char>(b)));
  const LearnedBpe learned = learn_bpe(count_words(for_each_text, parts.normalizer, *parts.pre_tokenizer), training);
  parts.model = bpe_model(Vocabulary::in_order(learned.tokens, "the trained tokenizer"), learned.merges, {},
                          [](size_t i) { return fmt::format("the trained tokenizer: merge {}", i); });
  parts.decoder = byte_level_decoder(true, true, true);
  parts.post_processor = byte_level_processor(true, false, true);
  return parts;
}

Parts train_wordpiece(const ForEachText& for_each_text, const TrainOptions& options,
                      const std::vector<std::string>& special) {
  const auto need = [&](const std::string& token) {
    const auto found = std::find(special.begin(), special.end(), token);
    if (found == special.end()) bad_input("special_tokens: a wordpiece tokenizer needs '{}' among them", token);
    return static_cast<int32_t>(found - special.begin());
  };
  const int32_t cls = need("[CLS]"), sep = need("[SEP]");
  need("[UNK]");
  Parts parts;
  parts.normalizer = Normalizer({bert_normalizer(true, true, std::nullopt, options.lowercase)}, false);
  parts.pre_tokenizer = bert_pre_tokenizer();
  const LearnedBpe learned = learn_bpe(count_words(for_each_text, parts.normalizer, *parts.pre_tokenizer),
                                       {options.vocabulary, options.min_frequency, special, {}, "##"});
  parts.model =
      wordpiece_model(Vocabulary::in_order(learned.tokens, "the trained tokenizer"), {}, "the trained tokenizer");
  parts.decoder = wordpiece_decoder("##", true);
  parts.post_processor = bert_template("[CLS]", cls, "[SEP]", sep);
  return parts;
}

// Words or characters: the most frequent ones, of equally frequent ones those that come first bytewise.
Parts train_plain(const ForEachText& for_each_text, const TrainOptions& options,
                  const std::vector<std::string>& special) {
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
  parts.model = word_level_model(Vocabulary::in_order(std::move(tokens), "the trained tokenizer"), kUnknown);
  if (!words) parts.decoder = fuse_decoder();
  return parts;
}

// The 256 bytes in order, behind the special tokens.
Parts byte_tokenizer(const std::vector<std::string>& special) {
  Parts parts;
  std::vector<std::string> tokens = special;
  for (unsigned b = 0; b < 256; ++b) tokens.push_back(to_utf8(char_of_byte(static_cast<unsigned char>(b))));
  parts.pre_tokenizer = byte_level_pre_tokenizer(false, true, false);
  parts.model = bpe_model(Vocabulary::in_order(std::move(tokens), "special_tokens"), {}, {},
                          [](size_t) { return std::string(); });
  parts.decoder = byte_level_decoder(true, true, false);
  return parts;
}

void check(const TrainOptions& options, const std::vector<std::string>& special) {
  ErrorList errors;
  if (std::find(kKinds.begin(), kKinds.end(), options.kind) == kKinds.end()) {
    errors.add(fmt::format("kind: '{}' is no kind of tokenizer; expected {}{}", options.kind, one_of(kKinds),
                           did_you_mean(options.kind, kKinds)));
  }
  const auto specials = static_cast<int64_t>(special.size());
  const bool bytes = options.kind == "byte_bpe" || options.kind == "byte";
  const int64_t least = specials + (bytes ? 256 : 1);
  if (options.vocabulary < least || options.vocabulary > 100'000'000) {
    errors.add(fmt::format("vocabulary: is {}, expected {} (special tokens{}) to 100,000,000", options.vocabulary,
                           least, bytes ? " and bytes" : " and one more"));
  }
  if (options.min_frequency < 1)
    errors.add(fmt::format("min_frequency: is {}, expected 1 or more", options.min_frequency));
  std::set<std::string> seen;
  for (const std::string& token : special) {
    if (token.empty() || !is_valid_utf8(token)) errors.add("special_tokens: expected UTF-8 texts that are not empty");
    if (!seen.insert(token).second) errors.add(fmt::format("special_tokens: '{}' stands there twice", token));
  }
  if ((options.kind == "word" || options.kind == "character") && !seen.contains(kUnknown)) {
    errors.add(fmt::format("special_tokens: a {} tokenizer needs '{}' among them", options.kind, kUnknown));
  }
  errors.throw_if_any();
}

}  // namespace

std::shared_ptr<const Tokenizer> train_tokenizer(const ForEachText& for_each_text, const TrainOptions& options) {
  const std::vector<std::string> special =
      options.special_tokens.empty() ? usual_special_tokens(options.kind) : options.special_tokens;
  check(options, special);
  Parts parts = options.kind == "byte_bpe"    ? train_bpe(for_each_text, options, special)
                : options.kind == "wordpiece" ? train_wordpiece(for_each_text, options, special)
                : options.kind == "byte"      ? byte_tokenizer(special)
                                              : train_plain(for_each_text, options, special);
  for (const std::string& content : special) {
    // A word or character that is not known is written so in texts, and means just that.
    if (content == kUnknown && (options.kind == "word" || options.kind == "character")) continue;
    AddedToken token;
    token.content = content;
    token.normalized = false;
    token.special = true;
    token.single_word = false;
    parts.added_tokens.push_back(token);
  }
  add_usual_roles(parts.roles, *parts.model, parts.added_tokens);
  return make_tokenizer(std::move(parts), "the trained tokenizer");
}

}  // namespace gfsa::tokenizers
