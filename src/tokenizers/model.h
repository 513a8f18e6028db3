// model.h -- the models of tokenizer.json, which cut one word into tokens: WordPiece, BPE, Unigram, WordLevel.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizers/vocabulary.h"
#include "tokenizers/word_cache.h"

namespace gfsa::tokenizers {

class JsonReader;

class Model {
 public:
  explicit Model(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)), number_(WordCache::next_model()) {}
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // Appends the tokens of a word, which is not empty.
  void tokenize(std::string_view word, std::vector<Token>& out) const;

  const Vocabulary& vocabulary() const { return vocabulary_; }
  virtual std::optional<std::string> unknown_token() const { return std::nullopt; }
  // Its object in tokenizer.json without "vocab" and "merges".
  virtual nlohmann::ordered_json describe() const = 0;
  // "vocab" and the like: the end of its object, as text.
  virtual std::string describe_vocabulary() const;
  // Whether it can take bytes in place of GPT-2's characters (pre_tokenize.h); `take` makes it.
  virtual bool can_take_bytes() const { return false; }
  virtual void take_bytes(bool) {}

 protected:
  virtual void cut(std::string_view word, std::vector<Token>& out) const = 0;
  // Whether cutting costs more than remembering.
  virtual bool cached() const { return true; }

 private:
  Vocabulary vocabulary_;
  uint64_t number_;
};

// From tokenizer.json's "model".
std::shared_ptr<Model> read_model(const JsonReader& json);

struct WordPieceOptions {
  std::string unknown = "[UNK]";
  std::string prefix = "##";
  int64_t longest_word = 100;  // in characters
};
std::shared_ptr<Model> wordpiece_model(Vocabulary vocabulary, const WordPieceOptions& options,
                                       const std::string& where);

struct BpeOptions {
  std::optional<std::string> unknown, prefix, suffix;  // of continuing subwords, of the last one
  bool fuse_unknown = false, byte_fallback = false, ignore_merges = false;
};
using Merges = std::vector<std::pair<std::string, std::string>>;
// `place(i)` names the i-th merge in messages.
std::shared_ptr<Model> bpe_model(Vocabulary vocabulary, const Merges& merges, const BpeOptions& options,
                                 const std::function<std::string(size_t)>& place);
std::shared_ptr<Model> read_bpe(const JsonReader& json, Vocabulary vocabulary);

// Scores are logarithms of probabilities. `unknown`: its id.
std::shared_ptr<Model> unigram_model(std::vector<std::pair<std::string, double>> pieces, std::optional<int64_t> unknown,
                                     bool byte_fallback, const std::string& where);

std::shared_ptr<Model> word_level_model(Vocabulary vocabulary, const std::string& unknown);

}  // namespace gfsa::tokenizers
