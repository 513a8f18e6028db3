// special_tokens.h -- the tokens that a trained tokenizer begins with, what each is for, and what stands around texts.
//
//   bert     [PAD] [UNK] [CLS] [SEP] [MASK]; [CLS] a [SEP], [CLS] a [SEP] b [SEP] with type 1 from b on
//   albert   <pad> <unk> [CLS] [SEP] [MASK]; around texts as bert
//   roberta  <s> <pad> </s> <unk> <mask>; <s> a </s>, <s> a </s> </s> b </s>, all of type 0
//   ""       what running text needs, by the kind of tokenizer; nothing around texts. byte_bpe: <|endoftext|>; word:
//            <unk> <eos>; character: <unk>; byte: none. wordpiece knows no text without bert's and gets those
//
// Tokens, ids and places are those of the published models (transformers).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tokenizers/post_process.h"

namespace gfsa::tokenizers {

struct SpecialTokens {
  struct Token {
    std::string content;
    std::vector<std::string> roles;   // "pad", "unk", "cls", "sep", "mask", "bos", "eos"
    bool takes_space_before = false;  // in a text
  };
  enum class Around { nothing, bert, roberta };

  std::vector<Token> tokens;  // ids are places
  Around around = Around::nothing;

  std::vector<std::string> contents() const;
  // The id of the token with this role; fails if there is none.
  int32_t id(const std::string& role) const;
  const std::string& content(const std::string& role) const { return tokens[static_cast<size_t>(id(role))].content; }
  // Null: nothing.
  std::shared_ptr<const PostProcessor> post_processor(bool byte_level) const;
};

// "bert", "albert", "roberta".
std::vector<std::string> special_token_families();
// family: one of these or "".
SpecialTokens special_tokens_of(const std::string& family, const std::string& kind);

}  // namespace gfsa::tokenizers
