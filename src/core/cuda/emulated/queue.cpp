#include "core/cuda/emulated/queue.h"

#include <cxxabi.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <utility>

namespace gfsa::emulator {
namespace {
thread_local const char* launching_kernel = nullptr;
thread_local const Launch* launching = nullptr;

uint64_t seed_of_environment() {
  const char* text = std::getenv("GFSA_EMULATED_SEED");
  return text == nullptr ? 1 : std::strtoull(text, nullptr, 10);
}
double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
[[noreturn]] void bad_launch(const std::string& what) {
  std::string op = launching->op_text();
  report_on_host(FindingKind::bad_launch, fmt::format("launch of kernel {}{}: {}", launching_kernel,
                                                      op.empty() ? "" : " (op " + op + ")", what));
}
std::string text_of(Dim3 d) { return fmt::format("({}, {}, {})", d.x, d.y, d.z); }
}  // namespace

NamedLaunch::NamedLaunch(const char* kernel, const Launch& how) { launching_kernel = kernel, launching = &how; }
NamedLaunch::~NamedLaunch() { launching_kernel = nullptr, launching = nullptr; }

AddressRange range_of_argument(const void* pointer) {
  if (pointer == nullptr) return {};
  const std::lock_guard lock(queue().mutex());
  std::string what;
  const AddressRange range = global_memory().find(reinterpret_cast<uintptr_t>(pointer));
  if (!global_memory().contains(pointer)) {
    what = fmt::format("argument {} is host memory, not memory of the device", pointer);
  } else if (range.begin == 0) {
    what = fmt::format("argument {} lies in no allocation of the device", pointer);
  } else if (global_memory().is_freed(range.begin)) {
    what =
        "argument: memory that was released, " + global_memory().describe(reinterpret_cast<uintptr_t>(pointer), range);
  } else {
    return range;
  }
  if (launching == nullptr) report_on_host(FindingKind::bad_launch, what);
  bad_launch(what);
}

namespace {
// For scripts/gpu_kernels.py, which cannot know what a launch asks for.
void note_launch(const char* type, const Launch& how) {
  static const char* const path = std::getenv("GFSA_EMULATED_LAUNCHES");
  if (path == nullptr) return;
  static std::set<std::string> noted;
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type, nullptr, nullptr, &status), std::free);
  const std::string line = fmt::format("{}\t{}\t{}\n", name.get(), how.block.count(), how.shared_bytes);
  const std::lock_guard lock(queue().mutex());
  if (noted.insert(line).second) std::ofstream(path, std::ios::app) << line;
}
}  // namespace

void enqueue_host_work(std::function<void()> run) {
  const std::lock_guard lock(queue().mutex());
  queue().add(static_cast<StreamState*>(emulated::runtime().current_stream().handle),
              {std::move(run), nullptr, nullptr});
}

void enqueue_kernel(const char* kernel, const char* type, int max_threads, const Launch& how,
                    const std::vector<ArgumentInfo>& arguments, std::function<void()> run) {
  const Limits& limit = limits();
  if (how.grid.count() == 0 || how.block.count() == 0) {
    bad_launch(fmt::format("grid {} of blocks {} is empty", text_of(how.grid), text_of(how.block)));
  }
  if (how.block.count() > limit.threads || how.block.z > 64) {
    bad_launch(fmt::format("block {} has {} threads, {} takes at most {}, 64 in z", text_of(how.block),
                           how.block.count(), limit.name, limit.threads));
  }
  if (how.block.count() > static_cast<uint64_t>(max_threads)) {
    bad_launch(fmt::format("block {} has {} threads, the kernel's kMaxThreads is {}", text_of(how.block),
                           how.block.count(), max_threads));
  }
  if (how.grid.x > 0x7FFFFFFFu || how.grid.y > 65535 || how.grid.z > 65535) {
    bad_launch(fmt::format("grid {} is larger than (2147483647, 65535, 65535)", text_of(how.grid)));
  }
  if (how.shared_bytes > limit.dynamic_shared) {
    bad_launch(fmt::format("{} bytes of dynamic shared memory, {} has {}", how.shared_bytes, limit.name,
                           limit.dynamic_shared));
  }
  for (size_t i = 0; i < arguments.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const ArgumentInfo &a = arguments[i], &b = arguments[j];
      if (a.address == 0 || a.address != b.address || !(a.written || b.written) || (a.may_alias && b.may_alias))
        continue;
      bad_launch(fmt::format("arguments {} and {} are the same memory and one is written: declare both InPlace", j, i));
    }
  }
  note_launch(type, how);
  const LaunchInfo info{kernel, how.op_text(), how.grid, how.block, how.shared_bytes, 0};
  const Stream stream = how.stream.handle == nullptr ? emulated::runtime().current_stream() : how.stream;
  const std::lock_guard lock(queue().mutex());
  queue().add(static_cast<StreamState*>(stream.handle),
              {[info, run = std::move(run)] { queue().launch_kernel(info, run); }, nullptr, nullptr});
}

Queue::Queue() : choice_(seed_of_environment()), block_(std::make_unique<Block>()) {}

Queue& queue() {
  static auto* queue = new Queue;  // never destroyed: static tensors may outlive any order of destruction
  return *queue;
}

void set_seed(uint64_t seed) {
  const std::lock_guard lock(queue().mutex());
  queue().choice().reseed(seed);
}

StreamState* Queue::create() {
  streams_.push_back(std::make_unique<StreamState>());
  return streams_.back().get();
}

void Queue::destroy(StreamState* stream) {
  run_until([&] { return stream->queue.empty(); });
  std::erase_if(streams_, [&](const auto& s) { return s.get() == stream; });
}

void Queue::add(StreamState* stream, Work work) {
  if (stream->recording == nullptr) {
    stream->queue.push_back(std::move(work));
    return;
  }
  auto& nodes = stream->recording->nodes;
  nodes.push_back({std::move(work), stream->frontier});
  stream->frontier = {nodes.size() - 1};
}

void Queue::run_until(const std::function<bool()>& done) {
  if (late_ != nullptr) std::rethrow_exception(std::exchange(late_, nullptr));
  if (done()) return;
  // These stay behind unless nobody else can go on.
  std::vector<StreamState*> lazy;
  for (const auto& s : streams_) {
    if (choice_.below(2) == 0) lazy.push_back(s.get());
  }
  try {
    while (!done()) {
      std::vector<StreamState*> ready, late;
      for (const auto& s : streams_) {
        if (s->queue.empty()) continue;
        const Work& head = s->queue.front();
        if (head.waits_for != nullptr && !head.waits_for->done) continue;
        const bool is_lazy = std::find(lazy.begin(), lazy.end(), s.get()) != lazy.end();
        (is_lazy ? late : ready).push_back(s.get());
      }
      if (ready.empty()) ready = late;
      if (ready.empty()) {
        report_on_host(FindingKind::deadlock, "every stream waits for an event that nobody records");
      }
      StreamState* s = ready[choice_.below(static_cast<uint32_t>(ready.size()))];
      const Work work = std::move(s->queue.front());
      s->queue.pop_front();
      if (work.run) work.run();
      if (work.marks != nullptr) work.marks->done = true, work.marks->time_ms = now_ms();
    }
  } catch (...) {
    for (const auto& s : streams_) {
      for (const Work& work : s->queue) {
        if (work.marks != nullptr) work.marks->done = true;
      }
      s->queue.clear();
    }
    throw;
  }
}

void Queue::run_quietly(const std::function<bool()>& done) noexcept {
  try {
    run_until(done);
  } catch (...) {
    late_ = std::current_exception();
  }
}

void Queue::run_all() {
  run_until(
      [&] { return std::all_of(streams_.begin(), streams_.end(), [](const auto& s) { return s->queue.empty(); }); });
}

void Queue::run_recorded(const Recording& recording) {
  const size_t n = recording.nodes.size();
  std::vector<size_t> missing(n), ready;
  for (size_t i = 0; i < n; ++i) {
    missing[i] = recording.nodes[i].after.size();
    if (missing[i] == 0) ready.push_back(i);
  }
  while (!ready.empty()) {
    const size_t pick = choice_.below(static_cast<uint32_t>(ready.size()));
    const size_t i = ready[pick];
    ready.erase(ready.begin() + static_cast<std::ptrdiff_t>(pick));
    if (recording.nodes[i].work.run) recording.nodes[i].work.run();
    for (size_t j = i + 1; j < n; ++j) {
      for (const size_t before : recording.nodes[j].after) {
        if (before == i && --missing[j] == 0) ready.push_back(j);
      }
    }
  }
}

void Queue::leave_recording(const Recording& recording) {
  for (const auto& s : streams_) {
    if (s->recording.get() != &recording) continue;
    s->recording = nullptr;
    s->frontier.clear();
  }
}

void Queue::require_no_recording(const char* what) const {
  for (const auto& s : streams_) {
    if (s->recording != nullptr) {
      report_on_host(FindingKind::stream, fmt::format("{} while a stream is being captured", what));
    }
  }
}

void Queue::launch_kernel(const LaunchInfo& launch, const std::function<void()>& kernel) {
  LaunchInfo info = launch;
  info.number = ++launches_;
  block_->run(info, kernel, choice_);
}

}  // namespace gfsa::emulator
