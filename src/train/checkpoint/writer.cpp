#include "train/checkpoint/writer.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "core/arena.h"
#include "core/dispatch.h"
#include "core/profile.h"

namespace gfsa::train {
namespace {

// To the CPU, into the tensors that are there already, where they fit.
void copy_tensors(const NamedTensors& from, NamedTensors& to) {
  to.resize(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    const auto& [name, source] = from[i];
    Tensor& target = to[i].second;
    to[i].first = name;
    if (!target || !(target.shape() == source.shape()) || target.dtype() != source.dtype()) {
      target = Tensor::empty(source.shape(), source.dtype());
    }
    if (is_on_cpu(source) && source.is_contiguous() && source.bytes() > 0) {
      std::memcpy(target.raw(), source.raw(), source.bytes());
    } else {
      target.copy_from(source);
    }
  }
}

std::string human(uint64_t bytes) { return human_bytes(static_cast<double>(bytes)); }

// The file system's free bytes where `folder` is or will be; nothing if it does not say.
std::optional<uint64_t> free_bytes(Env& env, std::string folder) {
  while (!env.exists(folder)) {
    const auto parent = std::filesystem::path(folder).parent_path().string();
    folder = parent.empty() ? "." : parent;
  }
  try {
    return env.free_bytes(folder);
  } catch (const Error&) {
    return std::nullopt;  // the write will tell
  }
}

}  // namespace

CheckpointWriter::CheckpointWriter(Env& env, CheckpointStore& store, int64_t keep_last)
    : env_(env), store_(store), keep_last_(keep_last) {}

CheckpointWriter::~CheckpointWriter() {
  if (in_flight_.valid()) in_flight_.wait();
}

void CheckpointWriter::begin(const Snapshot& snapshot, std::vector<int64_t> keep_steps) {
  if (in_flight_.valid()) fail("checkpoint writer: one checkpoint is in flight already");
  // The copy's memory is taken once: what the step has left free goes back first, as the largest tensors fit into none
  // of its segments and would come on top of them.
  if (copy_.model.empty()) arena({}).trim();
  copy_tensors(snapshot.model, copy_.model);
  copy_tensors(snapshot.optimizer, copy_.optimizer);
  copy_tensors(snapshot.ema, copy_.ema);
  copy_.position = snapshot.position;
  copy_.config = snapshot.config;
  copy_.companions = snapshot.companions;
  const auto work = [this, keep = std::move(keep_steps)] { return write(keep); };
  try {
    in_flight_ = std::async(std::launch::async, work);
  } catch (const std::system_error&) {  // no thread to be had
    in_flight_ = std::async(std::launch::deferred, work);
  }
}

std::optional<CheckpointOutcome> CheckpointWriter::take(bool wait) {
  if (!in_flight_.valid()) return std::nullopt;
  // Work that had to be deferred runs in get().
  if (!wait && in_flight_.wait_for(std::chrono::seconds(0)) == std::future_status::timeout) return std::nullopt;
  return in_flight_.get();
}

CheckpointOutcome CheckpointWriter::write(const std::vector<int64_t>& keep_steps) {
  profile::name_thread("checkpoint writer");
  const ProfileRange range("write checkpoint");
  CheckpointOutcome outcome;
  outcome.step = copy_.position.step;
  try {
    require_space();
    outcome.path = store_.write(copy_);
    store_.prune(keep_last_, keep_steps);
  } catch (const Error& e) {
    outcome.problem = e.message();
  } catch (const std::exception& e) {
    outcome.problem = fmt::format("{}: {}", store_.path_of_step(outcome.step), e.what());
  }
  return outcome;
}

void CheckpointWriter::require_space() const {
  const uint64_t needed = bytes_on_disk(copy_);
  const auto free = free_bytes(env_, store_.folder());
  if (free && *free < needed) {
    fail("{}: no room: a checkpoint takes {}, {} are free", store_.path_of_step(copy_.position.step), human(needed),
         human(*free));
  }
}

std::string space_warning(Env& env, const CheckpointStore& store, uint64_t bytes, int64_t folders) {
  const auto there = static_cast<int64_t>(store.list().size());
  const auto needed = bytes * static_cast<uint64_t>(std::max<int64_t>(folders - there, 1));
  const auto free = free_bytes(env, store.folder());
  if (!free || *free >= needed) return "";
  return fmt::format("{}: room for {} is needed ({} checkpoints of {} at once, {} there already), but {} are free",
                     store.folder(), human(needed), folders, human(bytes), there, human(*free));
}

}  // namespace gfsa::train
