#include "train/checkpoint/reader.h"

#include "base/error.h"
#include "train/finite.h"

namespace gfsa::train {
namespace {

constexpr uint64_t kMostTextBytes = 64 << 20;

Manifest read_manifest(Env& env, const std::string& directory) {
  const std::string path = directory + "/manifest.json";
  if (!env.exists(path) && env.exists(directory + "/state.json")) {
    // Format 1 says so in its state; format 2 never has a state without a manifest, unless somebody removed it.
    const std::string state = env.read(directory + "/state.json", 1 << 20);
    if (state.find("\"format\": 1,") != std::string::npos) {
      throw OtherFormat(
          fmt::format("{}: was written by an older version of this program (checkpoint format 1), "
                      "expected format {}; go on with that version, or start again with "
                      "init_from={}/model.safetensors",
                      directory, kCheckpointFormat, directory));
    }
  }
  return parse_manifest(env.read(path, kMostTextBytes), path);
}

}  // namespace

CheckpointReader::CheckpointReader(Env& env, std::string directory)
    : env_(env), directory_(std::move(directory)), manifest_(read_manifest(env, directory_)) {}

const FileChecksums& CheckpointReader::sums_of(const std::string& file) const {
  const FileChecksums* sums = manifest_.find(file);
  if (sums == nullptr) bad_input("{}: has no {}", directory_, file);
  return *sums;
}

std::string CheckpointReader::text(const std::string& file) const {
  const FileChecksums& sums = sums_of(file);
  std::string content = env_.read(path_of(file), kMostTextBytes);
  if (content.size() != sums.bytes) {
    bad_input("{}: damaged: has {} bytes, expected {}", path_of(file), content.size(), sums.bytes);
  }
  if (const std::string found = checksum128(content); found != sums.xxh3_128) {
    bad_input("{}: damaged: its checksum is {}, expected {}", path_of(file), found, sums.xxh3_128);
  }
  return content;
}

Position CheckpointReader::position() const { return parse_state(text("state.json"), path_of("state.json")); }

std::map<std::string, Tensor> CheckpointReader::tensors(const std::string& file) const {
  return read_tensors(env_, path_of(file), &sums_of(file));
}

Companions CheckpointReader::companions() const {
  Companions out;
  for (const char* name : {"config.json", "tokenizer.json"}) {
    if (has(name)) out[name] = text(name);
  }
  return out;
}

void CheckpointReader::verify() const {
  for (const auto& [file, sums] : manifest_.files) {
    if (file.ends_with(".safetensors")) {
      for_each_tensor(env_, path_of(file), &sums, [&](const std::string& name, const Tensor& tensor) {
        if (first_not_finite(tensor)) bad_input("{}: tensor '{}': is not finite", path_of(file), name);
      });
    } else {
      text(file);
    }
  }
  position();
}

bool CheckpointReader::all_files_there() const {
  for (const auto& [file, sums] : manifest_.files) {
    if (!env_.exists(path_of(file)) || env_.open(path_of(file))->size() != sums.bytes) return false;
  }
  return true;
}

uint64_t CheckpointReader::bytes() const {
  uint64_t sum = 0;
  for (const auto& [file, sums] : manifest_.files) sum += sums.bytes;
  return sum;
}

}  // namespace gfsa::train
