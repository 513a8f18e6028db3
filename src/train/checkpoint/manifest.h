// manifest.h -- manifest.json, the last file of a checkpoint to be written: what every other file of it must hash to.
//
//   {
//     "format": 2,
//     "files": {
//       "model.safetensors": {
//         "bytes": 40712, "xxh3_128": "...",
//         "header": {"bytes": 1736, "xxh3_64": "..."}, "tensors": {"head.weight": "...", ...}},
//       "config.yaml": {"bytes": 1310, "xxh3_128": "..."}, ...
//     },
//     "manifest": "..."
//   }
//
// "manifest" is the XXH3-128 of the text before that line. Every byte of the file counts, blanks too.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "formats/checksum.h"

namespace gfsa::train {

// Of what this version writes and reads. 1 had no manifest.
constexpr int kCheckpointFormat = 2;

// A checkpoint that is whole, but of another version of this program.
class OtherFormat : public Error {
 public:
  explicit OtherFormat(const std::string& message) : Error(kExitBadInput, message) {}
};

struct Manifest {
  std::vector<std::pair<std::string, FileChecksums>> files;

  // nullptr if there is none of that name.
  const FileChecksums* find(const std::string& file) const;
};

std::string manifest_text(const Manifest& manifest);
// Bad input that names `path` and what is damaged; OtherFormat.
Manifest parse_manifest(const std::string& text, const std::string& path);

}  // namespace gfsa::train
