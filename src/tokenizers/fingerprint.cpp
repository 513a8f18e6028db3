#include "formats/checksum.h"
#include "tokenizers/tokenizer.h"

namespace gfsa::tokenizers {

std::string Tokenizer::fingerprint() const { return checksum64(to_json()); }

}  // namespace gfsa::tokenizers
