// decode.h -- tokens back to text: the decoders of tokenizer.json (ByteLevel, WordPiece, Metaspace, BPEDecoder,
// Replace, Fuse, Strip, ByteFallback, Sequence).
#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace gfsa::tokenizers {

class JsonReader;

class Decoder {
 public:
  virtual ~Decoder() = default;
  // The text is what the tokens are then, one behind the other.
  virtual void decode(std::vector<std::string>& tokens) const = 0;
  virtual nlohmann::ordered_json describe() const = 0;
};

// From tokenizer.json's "decoder"; null: none.
std::shared_ptr<const Decoder> read_decoder(const JsonReader& json);

std::shared_ptr<const Decoder> byte_level_decoder(bool add_prefix_space, bool trim_offsets, bool use_regex);
std::shared_ptr<const Decoder> wordpiece_decoder(const std::string& prefix, bool cleanup);
std::shared_ptr<const Decoder> metaspace_decoder(bool prepend);
std::shared_ptr<const Decoder> fuse_decoder();

}  // namespace gfsa::tokenizers
