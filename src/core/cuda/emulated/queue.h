// queue.h -- work on the streams of the emulated device.
//
// Nothing runs when it is issued. When the host waits for something, work runs one piece at a time, from a random
// stream among those that may go on, until what the host waits for is done; some streams are left behind on purpose. So
// work runs as late as the rules allow, in any order that they allow: a missing wait shows as bytes that nobody wrote
// yet, or as a race. GFSA_EMULATED_SEED or set_seed() choose the order.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/cuda/emulated/block.h"

namespace gfsa::emulator {

void set_seed(uint64_t seed);
// 80 or 90: whose limits count from here on, also for launches that were issued and have not run.
void set_architecture(int architecture);

// What a launch needs to know of one argument.
struct ArgumentInfo {
  uintptr_t address = 0;
  bool written = false;
  bool may_alias = false;
};

// While it lives, findings on the host name the kernel and its op.
class NamedLaunch {
 public:
  NamedLaunch(const char* kernel, const Launch& how);
  ~NamedLaunch();
  NamedLaunch(const NamedLaunch&) = delete;
  NamedLaunch& operator=(const NamedLaunch&) = delete;
};

// Throws bad_launch for anything but nullptr and live device memory.
AddressRange range_of_argument(const void* pointer);

// Throws bad_launch: limits of the device, aliasing arguments. The kernel runs later. type: the kernel's, as typeid
// names it; GFSA_EMULATED_LAUNCHES=FILE notes types, threads and dynamic shared memory of all launches, each once.
void enqueue_kernel(const char* kernel, const char* type, int max_threads, const Launch& how,
                    const std::vector<ArgumentInfo>& arguments, std::function<void()> run);

// Work of a library, which is no kernel of ours: the host does it when the current stream comes to it.
void enqueue_host_work(std::function<void()> run);

// One record() of an event.
struct Moment {
  bool done = false;
  double time_ms = 0;
};

struct Work {
  std::function<void()> run;          // empty: only waits or marks
  std::shared_ptr<Moment> waits_for;  // it may start when that is done
  std::shared_ptr<Moment> marks;      // done with it
};

// Work recorded instead of run, and what must come before what.
struct Recording {
  struct Node {
    Work work;
    std::vector<size_t> after;
  };
  std::vector<Node> nodes;
  std::vector<AddressRange> freed;  // memory released in it: the graph's until it is destroyed
};

struct StreamState {
  std::deque<Work> queue;
  std::shared_ptr<Recording> recording;
  bool began_recording = false;
  std::vector<size_t> frontier;  // nodes that the next one comes after
};

class Queue {
 public:
  Queue();
  StreamState* create();
  void destroy(StreamState* stream);
  void add(StreamState* stream, Work work);
  // Runs work until `done()`; throws the first Finding, after which all waiting work is dropped.
  void run_until(const std::function<bool()>& done);
  void run_all();
  // The same from a destructor, which must not throw: a Finding waits for the next run_until().
  void run_quietly(const std::function<bool()>& done) noexcept;
  void run_recorded(const Recording& recording);
  // Streams that joined this recording work as usual again.
  void leave_recording(const Recording& recording);
  void require_no_recording(const char* what) const;
  void launch_kernel(const LaunchInfo& launch, const std::function<void()>& kernel);
  Choice& choice() { return choice_; }
  std::recursive_mutex& mutex() { return mutex_; }

 private:
  std::vector<std::unique_ptr<StreamState>> streams_;
  Choice choice_;
  std::unique_ptr<Block> block_;
  uint32_t launches_ = 0;
  std::exception_ptr late_;
  std::recursive_mutex mutex_;
};
Queue& queue();

}  // namespace gfsa::emulator
