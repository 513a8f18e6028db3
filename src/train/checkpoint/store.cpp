#include "train/checkpoint/store.h"

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "base/error.h"
#include "base/log.h"
#include "train/checkpoint/manifest.h"
#include "train/checkpoint/reader.h"

namespace gfsa::train {
namespace {

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kWriting = ".writing-";    // + the final name, while the folder is filled
constexpr std::string_view kRemoving = ".removing-";  // + the final name, while it is emptied
constexpr std::string_view kDamaged = "damaged-";     // + the final name, of what cannot be read any more

std::string name_of_step(int64_t step) { return fmt::format("{}{:08}", kPrefix, step); }

bool is_checkpoint_name(const std::string& name) {
  return name.starts_with(kPrefix) && name.size() == name_of_step(0).size() &&
         std::all_of(name.begin() + 5, name.end(), [](unsigned char c) { return std::isdigit(c); });
}

std::string last_part(const std::string& path) { return std::filesystem::path(path).filename().string(); }

// Runs `action` where its own failure must not hide the one that led here.
template <class F>
void quietly(const F& action) {
  try {
    action();
  } catch (const Error& e) {
    log::debug("while tidying up: {}", e.message());
  }
}

}  // namespace

uint64_t bytes_on_disk(const Snapshot& s) {
  constexpr uint64_t kBeside = 64 << 10, kBesideEachTensor = 512;  // headers, manifest, whole blocks
  uint64_t bytes = kBeside + s.config.size();
  for (const auto& [name, text] : s.companions) bytes += text.size();
  for (const auto* tensors : {&s.model, &s.optimizer, &s.ema}) {
    for (const auto& [name, tensor] : *tensors) bytes += tensor.bytes() + 3 * name.size() + kBesideEachTensor;
  }
  return bytes;
}

CheckpointStore::CheckpointStore(Env& env, std::string run_dir)
    : env_(env), folder_(std::move(run_dir) + "/checkpoints") {}

void CheckpointStore::fill(const std::string& folder, const Snapshot& s) {
  const std::map<std::string, std::string> metadata{{"format", "pt"}, {"step", std::to_string(s.position.step)}};
  Manifest manifest;
  const auto add_tensors = [&](const char* name, const NamedTensors& tensors) {
    manifest.files.emplace_back(name, write_tensors(env_, folder + "/" + name, tensors, metadata));
  };
  const auto add_text = [&](const std::string& name, const std::string& text) {
    FileChecksums sums;
    sums.bytes = text.size();
    sums.xxh3_128 = checksum128(text);
    manifest.files.emplace_back(name, sums);
    env_.write(folder + "/" + name, text);
  };
  add_tensors("model.safetensors", s.model);
  add_tensors("optimizer.safetensors", s.optimizer);
  if (!s.ema.empty()) add_tensors("ema.safetensors", s.ema);
  add_text("config.yaml", s.config);
  for (const auto& [name, text] : s.companions) add_text(name, text);
  add_text("state.json", state_text(s.position));
  env_.write(folder + "/manifest.json", manifest_text(manifest));
}

std::string CheckpointStore::write(const Snapshot& s) {
  const std::string name = name_of_step(s.position.step);
  const std::string temporary = folder_ + "/" + std::string(kWriting) + name;
  try {
    env_.create_directories(folder_);
    env_.remove_all(temporary);
    env_.create_directories(temporary);
    fill(temporary, s);
    give_name(temporary, name);
  } catch (...) {
    quietly([&] { env_.remove_all(temporary); });
    throw;
  }
  return folder_ + "/" + name;
}

void CheckpointStore::give_name(const std::string& temporary, const std::string& name) {
  const std::string path = folder_ + "/" + name;
  if (!env_.exists(path)) return env_.rename(temporary, path);
  // The same step again: it was stopped before its evaluation, which has now changed the position.
  const std::string former = folder_ + "/" + std::string(kRemoving) + name;
  env_.remove_all(former);
  try {
    env_.rename(path, former);
    env_.rename(temporary, path);
  } catch (...) {
    if (!env_.exists(path)) quietly([&] { env_.rename(former, path); });
    throw;
  }
  quietly([&] { env_.remove_all(former); });
}

void CheckpointStore::prune(int64_t keep_last, const std::vector<int64_t>& keep_steps) {
  const auto all = list();
  const size_t kept = static_cast<size_t>(std::max<int64_t>(1, keep_last));
  for (size_t i = 0; i + kept < all.size(); ++i) {
    const bool wanted =
        std::any_of(keep_steps.begin(), keep_steps.end(), [&](int64_t step) { return all[i] == path_of_step(step); });
    if (!wanted) discard(last_part(all[i]));
  }
}

std::string CheckpointStore::path_of_step(int64_t step) const { return folder_ + "/" + name_of_step(step); }

void CheckpointStore::discard(const std::string& name) {
  const std::string doomed = folder_ + "/" + std::string(kRemoving) + name;
  env_.remove_all(doomed);
  env_.rename(folder_ + "/" + name, doomed);
  env_.remove_all(doomed);
}

bool CheckpointStore::is_complete(const std::string& path) const {
  try {
    return CheckpointReader(env_, path).all_files_there();
  } catch (const Error&) {
    return false;
  }
}

void CheckpointStore::recover() {
  if (!env_.is_directory(folder_)) return;
  // What was being written first: it takes the place of what was being removed.
  for (const std::string_view prefix : {kWriting, kRemoving}) {
    for (const auto& name : env_.list(folder_)) {
      if (!name.starts_with(prefix)) continue;
      const std::string path = folder_ + "/" + name, final_path = folder_ + "/" + name.substr(prefix.size());
      if (is_checkpoint_name(last_part(final_path)) && !env_.exists(final_path) && is_complete(path)) {
        env_.rename(path, final_path);
      } else {
        env_.remove_all(path);
      }
    }
  }
}

void CheckpointStore::set_aside(const std::string& path, const std::string& why) {
  std::string aside = folder_ + "/" + std::string(kDamaged) + last_part(path);
  for (int i = 2; env_.exists(aside); ++i) {
    aside = fmt::format("{}/{}{}.{}", folder_, kDamaged, last_part(path), i);
  }
  env_.rename(path, aside);
  log::warn("{}; renamed to {}, which may be removed", why, last_part(aside));
}

LoadedCheckpoint CheckpointStore::load_newest() {
  const auto all = list();
  std::vector<std::pair<std::string, std::string>> damaged;
  for (auto path = all.rbegin(); path != all.rend(); ++path) {
    try {
      LoadedCheckpoint checkpoint = load(env_, *path);
      for (const auto& [broken, why] : damaged) set_aside(broken, why);
      return checkpoint;
    } catch (const OtherFormat&) {
      throw;
    } catch (const Error& e) {
      if (e.exit_code() != kExitBadInput) throw;
      damaged.emplace_back(*path, e.message());
    }
  }
  ErrorList errors;
  errors.add(fmt::format("{}: no checkpoint is whole, so the run cannot go on:", folder_));
  for (const auto& [path, why] : damaged) errors.add(why);
  errors.throw_if_any();
  fail("{}: there is no checkpoint to load", folder_);
}

std::vector<std::string> CheckpointStore::list() const {
  std::vector<std::string> out;
  if (!env_.is_directory(folder_)) return out;
  for (const auto& name : env_.list(folder_)) {
    if (is_checkpoint_name(name)) out.push_back(folder_ + "/" + name);
  }
  return out;
}

std::string CheckpointStore::latest() const {
  const auto all = list();
  return all.empty() ? "" : all.back();
}

std::string CheckpointStore::advice_without(const std::string& directory) const {
  const auto all = list();
  for (auto path = all.rbegin(); path != all.rend(); ++path) {
    if (last_part(*path) >= last_part(directory)) continue;
    try {
      CheckpointReader(env_, *path).verify();
      return fmt::format("; {} is whole", *path);
    } catch (const Error& e) {
      log::debug("{}", e.message());
    }
  }
  return "";
}

Position CheckpointStore::load_position(Env& env, const std::string& directory) {
  return CheckpointReader(env, directory).position();
}

LoadedCheckpoint CheckpointStore::load(Env& env, const std::string& directory) {
  const CheckpointReader reader(env, directory);
  LoadedCheckpoint c;
  c.directory = directory;
  c.position = reader.position();
  reader.text("config.yaml");
  c.model = reader.tensors("model.safetensors");
  c.optimizer = reader.tensors("optimizer.safetensors");
  if (reader.has("ema.safetensors")) c.ema = reader.tensors("ema.safetensors");
  c.companions = reader.companions();
  return c;
}

}  // namespace gfsa::train
