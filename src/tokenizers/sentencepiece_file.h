// sentencepiece_file.h -- spiece.model as ALBERT uses it, through the SentencePiece library.
#pragma once

#include <string>

#include "tokenizers/hub_config.h"
#include "tokenizers/pipeline.h"

namespace gfsa::tokenizers {

// The same tokenizer that transformers' AlbertTokenizer makes of the file.
Parts parse_albert_model(const std::string& bytes, const std::string& file, const HubConfig& config);

}  // namespace gfsa::tokenizers
