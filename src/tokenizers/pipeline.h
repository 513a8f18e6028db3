// pipeline.h -- the one Tokenizer: the parts of a tokenizer.json, one after the other.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tokenizers/added_tokens.h"
#include "tokenizers/decode.h"
#include "tokenizers/model.h"
#include "tokenizers/normalize.h"
#include "tokenizers/post_process.h"
#include "tokenizers/pre_tokenize.h"
#include "tokenizers/tokenizer.h"

namespace gfsa::tokenizers {

// "pad", "unk", "cls", "sep", "mask", "bos", "eos" and the tokens that have these parts. In tokenizer.json they stand
// with their added token, in a list "roles"; the unknown token is also known from the model.
using Roles = std::map<std::string, std::string>;

struct Parts {
  Normalizer normalizer;
  std::shared_ptr<PreTokenizer> pre_tokenizer;  // null: none
  std::shared_ptr<Model> model;
  std::shared_ptr<const PostProcessor> post_processor;  // null: none
  std::shared_ptr<const Decoder> decoder;               // null: tokens with spaces between them
  std::vector<AddedToken> added_tokens;
  Roles roles;
};

// `where` begins messages about what does not fit together.
std::shared_ptr<const Tokenizer> make_tokenizer(Parts parts, const std::string& where);

// A whole tokenizer.json.
Parts parse_tokenizer_json(const std::string& text, const std::string& file);
// The usual names of the roles, where the vocabulary has them and nothing else was said.
void add_usual_roles(Roles& roles, const Model& model, const std::vector<AddedToken>& added);

}  // namespace gfsa::tokenizers
