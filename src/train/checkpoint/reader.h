// reader.h -- a checkpoint folder, read so that damage cannot pass: nothing is given away before its
// checksum fitted the manifest's.
#pragma once

#include <map>
#include <string>

#include "base/env.h"
#include "formats/tensor_file.h"
#include "train/checkpoint/manifest.h"
#include "train/checkpoint/state.h"

namespace gfsa::train {

class CheckpointReader {
 public:
  // Reads the manifest. Bad input if it is missing or damaged; OtherFormat if another version wrote the checkpoint.
  CheckpointReader(Env& env, std::string directory);

  const std::string& directory() const { return directory_; }
  bool has(const std::string& file) const { return manifest_.find(file) != nullptr; }
  // Each throws bad input that names the file, and the tensor or "header", if something is missing or damaged.
  std::string text(const std::string& file) const;
  Position position() const;
  std::map<std::string, Tensor> tensors(const std::string& file) const;
  Companions companions() const;  // config.json and tokenizer.json, where they are there
  // Everything, one tensor at a time; a value that is not finite is damage too.
  void verify() const;
  // Whether every file is there with the length it should have, without reading them: how a checkpoint that a killed
  // process had just finished differs from one that it had begun to remove.
  bool all_files_there() const;
  uint64_t bytes() const;

 private:
  const FileChecksums& sums_of(const std::string& file) const;
  std::string path_of(const std::string& file) const { return directory_ + "/" + file; }

  Env& env_;
  std::string directory_;
  Manifest manifest_;
};

}  // namespace gfsa::train
