#include "core/profile.h"

#include <mutex>

#include "base/env.h"
#include "base/error.h"
#ifdef GFSA_HAS_CUDA
#include <nvtx3/nvToolsExt.h>
#endif

namespace gfsa {
namespace profile {
namespace {

// What a thread has open in the recording `number`.
struct OfThread {
  uint64_t number = 0;
  int index = 0;
  std::vector<int64_t> open;
};

std::mutex mutex;     // of all below; uncontended but for the loader's threads
Recording recording;  // in the making
uint64_t number = 0;  // of the recording; 0: none has been yet
double began = 0;
Device device;

thread_local OfThread mine;
thread_local const char* thread_name = "thread";

// "data loader", "data loader 2", ...
int register_thread() {
  int alike = 0;
  for (const auto& name : recording.threads) {
    alike += name == thread_name || name.starts_with(fmt::format("{} ", thread_name)) ? 1 : 0;
  }
  recording.threads.push_back(alike == 0 ? thread_name : fmt::format("{} {}", thread_name, alike + 1));
  return static_cast<int>(recording.threads.size()) - 1;
}

// The thread's place in the recording; the lock is held.
OfThread& here() {
  if (mine.number != number) mine = {number, register_thread(), {}};
  return mine;
}

// On the thread that began the recording.
void wait_for_device() {
  Device of;
  {
    const std::lock_guard lock(mutex);
    if (mine.number != number || mine.index != 0) return;
    of = device;
  }
  if (of.type != DeviceType::cpu) backend(of).synchronize();
}

// f(range) of the innermost range, if there is one.
template <class F>
void innermost_do(const F& f) {
  if (!is_on()) return;
  const std::lock_guard lock(mutex);
  if (mine.number == number && !mine.open.empty()) f(recording.ranges[static_cast<size_t>(mine.open.back())]);
}

}  // namespace

void start(Device of) {
  const std::lock_guard lock(mutex);
  if (is_on()) fail("profile: a recording is under way");
  recording = {};
  ++number;
  device = of;
  detail::flops = 0;
  began = monotonic_seconds();
  here();
  detail::on = true;
}

Recording stop() {
  const std::lock_guard lock(mutex);
  detail::on = false;
  const double now = monotonic_seconds() - began;
  for (Range& range : recording.ranges) {
    if (range.end >= range.start) continue;
    range.end = now;
    range.flops += detail::flops;
  }
  recording.seconds = now;
  ++number;  // ranges that are still open belong to none
  return std::move(recording);
}

void name_thread(const char* name) { thread_name = name; }

void set_flops(int64_t n) {
  innermost_do([&](Range& r) { r.set_flops = n; });
}
void set_bytes(uint64_t bytes) {
  innermost_do([&](Range& r) { r.bytes += static_cast<int64_t>(bytes), r.bytes_are_set = true; });
}
void note_operands(uint64_t bytes) {
  innermost_do([&](Range& r) { r.bytes += r.bytes_are_set ? 0 : static_cast<int64_t>(bytes); });
}
void add_bytes(uint64_t bytes) {
  innermost_do([&](Range& r) { r.bytes += static_cast<int64_t>(bytes); });
}
void note_parameter(const void* slot) {
  innermost_do([&](Range& r) { r.parameters.push_back(slot); });
}

int64_t innermost() {
  const std::lock_guard lock(mutex);
  return mine.number == number && !mine.open.empty() ? mine.open.back() : -1;
}
const char* innermost_name() {
  const char* name = "";
  innermost_do([&](const Range& r) { name = r.name; });
  return name;
}

}  // namespace profile

using namespace profile;

void ProfileRange::begin(const char* name, Kind kind, int64_t forward) {
  wait_for_device();
#ifdef GFSA_HAS_CUDA
  nvtxRangePushA(name);
#endif
  const std::lock_guard lock(profile::mutex);
  if (!is_on()) return;
  OfThread& thread = here();
  recording_ = number;
  at_ = static_cast<int64_t>(recording.ranges.size());
  recording.ranges.push_back({.name = name,
                              .kind = kind,
                              .thread = thread.index,
                              .parent = thread.open.empty() ? -1 : thread.open.back(),
                              .forward = forward,
                              .start = monotonic_seconds() - began,
                              .end = -1,
                              .flops = -detail::flops});
  thread.open.push_back(at_);
}

void ProfileRange::end() {
  wait_for_device();
  const double now = monotonic_seconds();
#ifdef GFSA_HAS_CUDA
  nvtxRangePop();
#endif
  const std::lock_guard lock(profile::mutex);
  if (at_ < 0 || recording_ != number) return;
  Range& range = recording.ranges[static_cast<size_t>(at_)];
  range.end = now - began;
  range.flops += detail::flops;
  if (range.set_flops >= 0) {
    detail::flops += range.set_flops - range.flops;
    range.flops = range.set_flops;
  }
  mine.open.pop_back();
}

}  // namespace gfsa
