#include "data/text/token_stream.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/threads.h"
#include "data/source.h"
#include "data/text/text_file.h"
#include "formats/checksum.h"

namespace gfsa::data {
namespace {

constexpr size_t kLongestParagraph = size_t{1} << 30;  // of running text: a paragraph, or a book without line ends
constexpr int64_t kLinesOfAGroup = 1000;               // the default batch_size of datasets.map

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f'; }

std::string_view stripped(std::string_view line) {
  while (!line.empty() && is_space(line.front())) line.remove_prefix(1);
  while (!line.empty() && is_space(line.back())) line.remove_suffix(1);
  return line;
}

// Pieces of running text that are encoded each for itself, cut behind line ends where byte-level BPE's split pattern
// cuts in any case: "x\n" before "y", or any white space that ends with a line's end before a space and "y".
std::vector<std::string_view> running_pieces(std::string_view text) {
  constexpr size_t kPieceBytes = 1 << 16;
  std::vector<std::string_view> pieces;
  const auto visible = [&](size_t i) { return i < text.size() && !is_space(text[i]); };
  size_t begin = 0;
  while (text.size() - begin > kPieceBytes) {
    size_t cut = text.find('\n', begin + kPieceBytes);
    for (; cut != std::string_view::npos; cut = text.find('\n', cut + 1)) {
      const bool after_visible = cut > 0 && !is_space(text[cut - 1]);
      if ((after_visible && visible(cut + 1)) || (cut + 1 < text.size() && text[cut + 1] == ' ' && visible(cut + 2))) {
        break;
      }
    }
    if (cut == std::string_view::npos) break;
    pieces.push_back(text.substr(begin, cut + 1 - begin));
    begin = cut + 1;
  }
  if (begin < text.size()) pieces.push_back(text.substr(begin));
  return pieces;
}

struct Pieces {
  std::vector<std::string_view> texts;
  std::vector<size_t> group_ends;  // pieces before the end of each group
};

Pieces cut(std::string_view text, const StreamOptions& options) {
  Pieces out;
  if (options.lines == "keep" && !options.per_1000_lines) {
    out.texts = running_pieces(text);
    out.group_ends.push_back(out.texts.size());
    return out;
  }
  LineReader lines(text);
  TextLine line;
  while (lines.next(line)) {
    std::string_view piece = stripped(line.text);
    if (options.lines == "keep" && !piece.empty()) {  // as it stands, with its end
      const char* end = line.text.data() + line.text.size();
      while (end < text.data() + text.size() && (*end == '\r' || *end == '\n')) {
        if (*end++ == '\n') break;
      }
      piece = {line.text.data(), static_cast<size_t>(end - line.text.data())};
    }
    out.texts.push_back(piece);
    if (options.per_1000_lines && line.number % kLinesOfAGroup == 0) out.group_ends.push_back(out.texts.size());
  }
  if (out.group_ends.empty() || out.group_ends.back() < out.texts.size()) out.group_ends.push_back(out.texts.size());
  return out;
}

}  // namespace

int64_t count_words(std::string_view text) {
  int64_t words = 0;
  bool inside = false;
  for (const char c : text) {
    words += c == '\n';
    if (!is_space(c) && !inside) words += 1;
    inside = !is_space(c);
  }
  return words;
}

std::shared_ptr<const TokenStream> TokenStream::make(Env& env, std::string_view text, const std::string& name,
                                                     const tokenizers::Tokenizer& tokenizer,
                                                     const StreamOptions& options) {
  std::shared_ptr<TokenStream> s(new TokenStream());
  Fingerprint hash;
  hash.add(text.data(), text.size());
  hash.add(tokenizer.fingerprint());
  hash.add(options.lines);
  hash.add(int64_t{options.per_1000_lines});
  s->fingerprint_ = hash.hex();
  s->words_ = count_words(text);
  s->bytes_ = static_cast<int64_t>(text.size());
  const std::string path = fmt::format("{}/tokens-{}.safetensors", options.cache, s->fingerprint_);
  if (!options.cache.empty() && s->map(env, path, tokenizer.size())) return s;

  LineReader lines(text);
  TextLine line;
  while (lines.next(line)) require_text(line, name, kLongestParagraph);
  std::optional<int32_t> end;
  if (options.lines == "token") {
    end = tokenizer.special_id("eos");
    if (!end) bad_input("data.lines: token needs a tokenizer with an end-of-text token, and this one has none");
    s->own_ids_.push_back(*end);
  }
  const Pieces pieces = cut(text, options);
  const tokenizers::EncodeOptions plain{.special_tokens = false, .max_length = std::nullopt};
  constexpr int64_t kHeld = 16384, kGrain = 4;  // pieces whose encodings are held at once
  const auto n = static_cast<int64_t>(pieces.texts.size());
  std::vector<std::vector<int32_t>> ids;
  size_t group = 0;
  s->own_groups_.push_back(0);
  for (int64_t begin = 0; begin < n; begin += kHeld) {
    const int64_t count = std::min(kHeld, n - begin);
    ids.assign(static_cast<size_t>(count), {});
    parallel_for(count, kGrain, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; ++i) {
        const std::string_view piece = pieces.texts[static_cast<size_t>(begin + i)];
        if (!piece.empty()) ids[static_cast<size_t>(i)] = tokenizer.encode(piece, plain).ids;
      }
    });
    for (int64_t i = 0; i < count; ++i) {
      const auto& piece = ids[static_cast<size_t>(i)];
      s->own_ids_.insert(s->own_ids_.end(), piece.begin(), piece.end());
      if (end) s->own_ids_.push_back(*end);
      if (static_cast<size_t>(begin + i + 1) == pieces.group_ends[group]) {
        s->own_groups_.push_back(static_cast<int64_t>(s->own_ids_.size()));
        ++group;
      }
    }
  }
  if (n == 0) s->own_groups_.push_back(static_cast<int64_t>(s->own_ids_.size()));
  s->ids_ = s->own_ids_;
  s->groups_ = s->own_groups_;
  if (options.cache.empty()) return s;
  try {
    s->save(env, options.cache);
    if (s->map(env, path, tokenizer.size())) s->own_ids_ = {}, s->own_groups_ = {};
  } catch (const Error& e) {
    log::warn("{}; the tokens of {} are kept in memory", e.message(), name);
  }
  return s;
}

bool TokenStream::map(Env& env, const std::string& path, int64_t vocabulary) {
  if (!env.exists(path)) return false;
  try {
    auto file = std::make_unique<SafetensorsFile>(SafetensorsFile::open(path));
    const TensorBytes &tokens = file->at("tokens"), &groups = file->at("groups");
    const std::string_view content(reinterpret_cast<const char*>(tokens.data), tokens.bytes);
    const auto& about = file->metadata();
    if (tokens.dtype != "I32" || groups.dtype != "I64" || about.at("fingerprint") != fingerprint_ ||
        about.at("xxh3_64") != checksum64(content)) {
      bad_input("{}: is damaged or was made from something else", path);
    }
    const std::span ids(reinterpret_cast<const int32_t*>(tokens.data), tokens.bytes / sizeof(int32_t));
    const std::span ends(reinterpret_cast<const int64_t*>(groups.data), groups.bytes / sizeof(int64_t));
    const bool sound = ends.size() > 1 && ends.front() == 0 && ends.back() == static_cast<int64_t>(ids.size()) &&
                       std::is_sorted(ends.begin(), ends.end()) &&
                       std::all_of(ids.begin(), ids.end(), [&](int32_t id) { return id >= 0 && id < vocabulary; });
    if (!sound) bad_input("{}: holds tokens that the tokenizer does not have, or groups out of order", path);
    ids_ = ids;
    groups_ = ends;
    mapped_ = std::move(file);
    file_ = path;
    return true;
  } catch (const std::exception& e) {
    log::warn("{}; it is made anew", e.what());
    return false;
  }
}

void TokenStream::save(Env& env, const std::string& folder) {
  env.create_directories(folder);
  const auto bytes = [](const auto& values, const char* dtype) {
    return TensorBytes{dtype,
                       {static_cast<int64_t>(values.size())},
                       reinterpret_cast<const std::byte*>(values.data()),
                       values.size_bytes()};
  };
  const std::string_view content(reinterpret_cast<const char*>(ids_.data()), ids_.size_bytes());
  write_safetensors(env, fmt::format("{}/tokens-{}.safetensors", folder, fingerprint_),
                    {{"tokens", bytes(ids_, "I32")}, {"groups", bytes(groups_, "I64")}},
                    {{"fingerprint", fingerprint_}, {"xxh3_64", checksum64(content)}});
}

}  // namespace gfsa::data
