// runtime.h -- the host side of a GPU: memory, streams, events, graphs. One interface, two halves: runtime_cuda.cu over
// the CUDA runtime, emulated/runtime.cpp over the emulated device.
//
// Work on a stream is ordered as issued; streams are ordered among each other only by events, and no stream is the
// legacy default stream. An asynchronous copy reads or writes host memory at any time until the stream is synchronized,
// so its host side must be pinned memory of this runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/device.h"

namespace gfsa {

// Handles, owned by the runtime that made them. A Stream of nullptr stands for the calling thread's current stream.
struct Stream {
  void* handle = nullptr;
};
struct Event {
  void* handle = nullptr;
};
struct Graph {
  void* handle = nullptr;
};

enum class Transfer : uint8_t { to_device, to_host, on_device };

class DeviceRuntime : public DeviceBackend {
 public:
  // Kernels may use what device.h calls warpgroups: compute capability 9.0, and this program was compiled for it.
  virtual bool has_warpgroups() const = 0;

  virtual Stream create_stream() = 0;
  virtual void destroy(Stream stream) = 0;  // waits for its work
  // Of the calling thread: the main stream, on which DeviceBackend's functions work too, unless a StreamScope says
  // otherwise.
  virtual Stream current_stream() = 0;
  virtual void set_current_stream(Stream stream) = 0;
  using DeviceBackend::synchronize;
  virtual void synchronize(Stream stream) = 0;

  virtual Event create_event() = 0;
  virtual void destroy(Event event) = 0;
  virtual void record(Event event, Stream stream) = 0;
  // Later work on the stream starts after the event's last record; nothing to wait for if it has none.
  virtual void wait(Stream stream, Event event) = 0;
  virtual bool is_done(Event event) = 0;
  virtual void synchronize(Event event) = 0;
  virtual double elapsed_ms(Event from, Event to) = 0;  // both recorded and done

  virtual void* allocate_pinned(size_t bytes) = 0;  // host memory; throws if there is none
  virtual void release_pinned(void* memory) = 0;
  virtual void copy_async(Transfer transfer, void* to, const void* from, size_t bytes, Stream stream) = 0;
  virtual void fill_async(void* memory, uint8_t byte, size_t bytes, Stream stream) = 0;

  // Between the two calls work on the stream, and on streams that wait for its events, is recorded instead of run.
  // Synchronizing is an error in between. Streams that joined must be waited for before end_capture().
  virtual void begin_capture(Stream stream) = 0;
  virtual Graph end_capture(Stream stream) = 0;
  // Instead of end_capture(), after an error in between: nothing of it is run.
  virtual void abandon_capture(Stream stream) = 0;
  virtual void launch(Graph graph, Stream stream) = 0;
  virtual void destroy(Graph graph) = 0;
};

// The calling thread's current stream within a C++ scope.
class StreamScope {
 public:
  StreamScope(DeviceRuntime& runtime, Stream stream) : runtime_(runtime), before_(runtime.current_stream()) {
    runtime_.set_current_stream(stream);
  }
  ~StreamScope() { runtime_.set_current_stream(before_); }
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  DeviceRuntime& runtime_;
  Stream before_;
};

namespace cuda {
// "" if a GPU can be used here; otherwise why not and what to do. Never throws.
std::string why_not();
int device_count();
DeviceRuntime& runtime(int index = 0);  // throws bad input with why_not()
DeviceRuntime& current_runtime();       // of the GPU that the calling thread used last, at first cuda:0
}  // namespace cuda

namespace emulated {
DeviceRuntime& runtime(int index = 0);
inline DeviceRuntime& current_runtime() { return runtime(); }
}  // namespace emulated

}  // namespace gfsa
