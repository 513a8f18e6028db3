// The emulated half of core/cuda/runtime.h.
#include "core/cuda/runtime.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "core/cuda/emulated/queue.h"

namespace gfsa::emulated {
using namespace emulator;
namespace {

using Lock = std::lock_guard<std::recursive_mutex>;

struct EventState {
  std::shared_ptr<Moment> last;
  std::shared_ptr<Recording> recording;  // recorded while its stream was captured
  std::vector<size_t> nodes;
};

struct GraphState {
  std::shared_ptr<Recording> recording;
};

StreamState* state_of(Stream s) { return static_cast<StreamState*>(s.handle); }
EventState* state_of(Event e) { return static_cast<EventState*>(e.handle); }
GraphState* state_of(Graph g) { return static_cast<GraphState*>(g.handle); }

class EmulatedRuntime : public DeviceRuntime {
 public:
  EmulatedRuntime() : main_(queue().create()) {}

  void* allocate(size_t bytes) override {
    const Lock lock(queue().mutex());
    void* memory = global_memory().allocate(bytes);
    StreamState* s = current();
    if (memory != nullptr && s->recording != nullptr) {  // fresh again in every replay
      const auto begin = reinterpret_cast<uintptr_t>(memory);
      queue().add(s, {[begin, bytes] { global_memory().make_fresh({begin, begin + bytes}); }, nullptr, nullptr});
    }
    return memory;
  }
  void release(void* memory, size_t bytes) override {
    const Lock lock(queue().mutex());
    StreamState* s = current();
    const auto begin = reinterpret_cast<uintptr_t>(memory);
    if (s->recording == nullptr) {
      queue().add(s, {[begin] { global_memory().release(begin); }, nullptr, nullptr});
      // Nobody may ever wait for it: memory that only waits to be released is released now and then.
      if (s->queue.size() > kLongQueue) queue().run_quietly([&] { return s->queue.empty(); });
    } else {
      s->recording->freed.push_back({begin, begin + bytes});
      queue().add(s, {[begin, bytes] { global_memory().make_freed({begin, begin + bytes}); }, nullptr, nullptr});
    }
  }
  void copy_from_host(void* to, const void* from, size_t bytes) override {
    const Lock lock(queue().mutex());
    if (bytes == 0) return;
    queue().require_no_recording("copy from pageable host memory");
    const std::string staged(static_cast<const char*>(from), bytes);
    queue().add(current(), {[=] { global_memory().write(to, staged.data(), bytes); }, nullptr, nullptr});
  }
  void copy_to_host(void* to, const void* from, size_t bytes) override {
    const Lock lock(queue().mutex());
    if (bytes == 0) return;
    queue().require_no_recording("copy to pageable host memory");
    queue().add(current(), {[=] { global_memory().read(to, from, bytes); }, nullptr, nullptr});
    synchronize(Stream{});
  }
  void copy(void* to, const void* from, size_t bytes) override { copy_async(Transfer::on_device, to, from, bytes, {}); }
  void zero(void* memory, size_t bytes) override { fill_async(memory, 0, bytes, {}); }
  void synchronize() override {
    const Lock lock(queue().mutex());
    queue().require_no_recording("synchronize");
    queue().run_all();
  }
  std::string description() const override { return fmt::format("emulated device, limits of {}", limits().name); }
  DeviceMemory memory() const override {
    const Lock lock(queue().mutex());
    return {GlobalMemory::kCapacity - global_memory().used(), GlobalMemory::kCapacity};
  }

  bool wants_every_block() const override { return true; }
  bool has_warpgroups() const override { return limits().warpgroups; }

  Stream create_stream() override {
    const Lock lock(queue().mutex());
    return {queue().create()};
  }
  void destroy(Stream stream) override {
    const Lock lock(queue().mutex());
    queue().destroy(state_of(stream));
  }
  Stream current_stream() override { return {current()}; }
  void set_current_stream(Stream stream) override { current_ = state_of(stream); }
  void synchronize(Stream stream) override {
    const Lock lock(queue().mutex());
    queue().require_no_recording("synchronize");
    StreamState* s = pick(stream);
    queue().run_until([&] { return s->queue.empty(); });
  }

  Event create_event() override { return {new EventState}; }
  void destroy(Event event) override { delete state_of(event); }
  void record(Event event, Stream stream) override {
    const Lock lock(queue().mutex());
    StreamState* s = pick(stream);
    EventState& e = *state_of(event);
    e.recording = s->recording;
    e.nodes = s->frontier;
    if (s->recording != nullptr) return;
    e.last = std::make_shared<Moment>();
    queue().add(s, {nullptr, nullptr, e.last});
  }
  void wait(Stream stream, Event event) override {
    const Lock lock(queue().mutex());
    StreamState* s = pick(stream);
    const EventState& e = *state_of(event);
    if (e.recording != nullptr) {
      if (s->recording == nullptr) {
        s->recording = e.recording;
        s->frontier.clear();
      }
      s->frontier.insert(s->frontier.end(), e.nodes.begin(), e.nodes.end());
      return;
    }
    if (s->recording != nullptr) {
      report_on_host(FindingKind::stream, "a captured stream waits for an event from outside of the capture");
    }
    if (e.last != nullptr) queue().add(s, {nullptr, e.last, nullptr});
  }
  bool is_done(Event event) override {
    const Lock lock(queue().mutex());
    const EventState& e = *state_of(event);
    return e.last == nullptr || e.last->done;
  }
  void synchronize(Event event) override {
    const Lock lock(queue().mutex());
    queue().require_no_recording("synchronize");
    const std::shared_ptr<Moment> last = state_of(event)->last;
    if (last != nullptr) queue().run_until([&] { return last->done; });
  }
  double elapsed_ms(Event from, Event to) override {
    const Lock lock(queue().mutex());
    if (!state_of(from)->last || !state_of(to)->last || !is_done(from) || !is_done(to)) {
      report_on_host(FindingKind::stream, "elapsed_ms of events that are not done");
    }
    return state_of(to)->last->time_ms - state_of(from)->last->time_ms;
  }

  void* allocate_pinned(size_t bytes) override {
    const Lock lock(queue().mutex());
    auto memory = std::make_unique<char[]>(std::max<size_t>(bytes, 1));
    std::memset(memory.get(), kPoison, bytes);
    char* p = memory.get();
    pinned_[p] = {bytes, std::move(memory)};
    return p;
  }
  void release_pinned(void* memory) override {
    const Lock lock(queue().mutex());
    if (pinned_.count(static_cast<char*>(memory)) == 0) {
      report_on_host(FindingKind::stream, "release of host memory that was not allocated as pinned");
    }
    queue().run_all();  // copies may still use it
    pinned_.erase(static_cast<char*>(memory));
  }
  void copy_async(Transfer transfer, void* to, const void* from, size_t bytes, Stream stream) override {
    const Lock lock(queue().mutex());
    if (bytes == 0) return;
    Work work;
    if (transfer == Transfer::to_device) {
      require_pinned(from, bytes);
      work.run = [=] { global_memory().write(to, from, bytes); };
    } else if (transfer == Transfer::to_host) {
      require_pinned(to, bytes);
      work.run = [=] { global_memory().read(to, from, bytes); };
    } else {
      work.run = [=] { global_memory().copy(to, from, bytes); };
    }
    queue().add(pick(stream), std::move(work));
  }
  void fill_async(void* memory, uint8_t byte, size_t bytes, Stream stream) override {
    const Lock lock(queue().mutex());
    if (bytes == 0) return;
    queue().add(pick(stream), {[=] { global_memory().fill(memory, byte, bytes); }, nullptr, nullptr});
  }

  void begin_capture(Stream stream) override {
    const Lock lock(queue().mutex());
    queue().require_no_recording("begin_capture");
    StreamState* s = pick(stream);
    s->recording = std::make_shared<Recording>();
    s->began_recording = true;
    s->frontier.clear();
  }
  Graph end_capture(Stream stream) override {
    const Lock lock(queue().mutex());
    StreamState* s = pick(stream);
    if (!s->began_recording) report_on_host(FindingKind::stream, "end_capture of a stream that is not being captured");
    const auto recording = std::move(s->recording);
    const std::vector<size_t> last = std::move(s->frontier);
    s->recording = nullptr;
    s->began_recording = false;
    s->frontier.clear();
    queue().leave_recording(*recording);
    // Everything must lie before what the stream does next.
    std::vector<bool> before(recording->nodes.size(), false);
    for (const size_t i : last) before[i] = true;
    for (size_t i = recording->nodes.size(); i-- > 0;) {
      if (!before[i]) {
        report_on_host(FindingKind::stream, "end_capture: a stream that joined the capture was not waited for");
      }
      for (const size_t j : recording->nodes[i].after) before[j] = true;
    }
    return {new GraphState{recording}};
  }
  void abandon_capture(Stream stream) override {
    const Lock lock(queue().mutex());
    StreamState* s = pick(stream);
    const auto recording = std::move(s->recording);
    s->recording = nullptr;
    s->began_recording = false;
    s->frontier.clear();
    if (recording == nullptr) return;
    queue().leave_recording(*recording);
    for (const AddressRange& range : recording->freed) release(reinterpret_cast<void*>(range.begin), 0);
  }
  void launch(Graph graph, Stream stream) override {
    const Lock lock(queue().mutex());
    const auto recording = state_of(graph)->recording;
    queue().add(pick(stream), {[recording] { queue().run_recorded(*recording); }, nullptr, nullptr});
  }
  void destroy(Graph graph) override {
    const Lock lock(queue().mutex());
    queue().run_all();
    for (const AddressRange& range : state_of(graph)->recording->freed) global_memory().release(range.begin);
    delete state_of(graph);
  }

 private:
  static constexpr size_t kLongQueue = 4096;

  StreamState* current() { return current_ != nullptr ? current_ : main_; }
  StreamState* pick(Stream stream) { return stream.handle == nullptr ? current() : state_of(stream); }
  void require_pinned(const void* memory, size_t bytes) {
    const char* p = static_cast<const char*>(memory);
    auto it = pinned_.upper_bound(const_cast<char*>(p));
    if (it != pinned_.begin() && (--it, p + bytes <= it->first + it->second.bytes)) return;
    report_on_host(FindingKind::stream,
                   fmt::format("asynchronous copy of {} bytes with host memory that is not pinned", bytes));
  }

  struct Pinned {
    size_t bytes;
    std::unique_ptr<char[]> memory;
  };
  StreamState* main_;
  static thread_local StreamState* current_;
  std::map<char*, Pinned> pinned_;
};
thread_local StreamState* EmulatedRuntime::current_ = nullptr;

}  // namespace

DeviceRuntime& runtime(int index) {
  if (index != 0) bad_input("device: 'emulated:{}' cannot be used: there is one emulated device, 'emulated'", index);
  static auto* runtime = new EmulatedRuntime;
  return *runtime;
}

}  // namespace gfsa::emulated
