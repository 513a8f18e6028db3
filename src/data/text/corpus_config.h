// corpus_config.h -- the section `data` of a language model: running text in files, read into token streams.
#pragma once

#include <memory>
#include <string>

#include "config/schema.h"
#include "data/loader/loader.h"
#include "data/text/token_stream.h"

namespace gfsa::data {

struct CorpusConfig {
  std::string path, train_file, val_file, test_file;
  double val_share = 0.1;
  std::string lines = "keep", concatenation = "stream";
  int64_t block = 128, stride = 0;
  bool shift = false;
  std::string token_cache;
  LoaderConfig loader;

  void describe(config::Schema& s);

  struct Text {
    std::string name, content;  // name: the file
  };
  // split: "train", "val", "test". Bad input: no such file, a split that a single file does not have.
  Text read(const std::string& split) const;
  std::shared_ptr<const TokenStream> open(const std::string& split, const tokenizers::Tokenizer& tokenizer) const;
  StreamOptions stream_options() const;
};

}  // namespace gfsa::data
