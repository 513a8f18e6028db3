// device_feed.h -- batches on their way to a GPU while it computes: through pinned memory, on a stream of their own.
//
// At most one batch is ahead. Two pieces of device and of pinned memory are kept and used in turn, so that a step in
// its steady state allocates nothing here. On the CPU there is nothing to do, and batches are delivered as they are.
#pragma once

#include <array>

#include "core/cuda/runtime.h"
#include "data/batch.h"

namespace gfsa::train {

class DeviceFeed {
 public:
  explicit DeviceFeed(Device device);
  ~DeviceFeed();
  DeviceFeed(const DeviceFeed&) = delete;
  DeviceFeed& operator=(const DeviceFeed&) = delete;

  // Begins to copy a batch of the CPU; does not wait for the device's work.
  void prefetch(const data::Batch& batch);
  // The batch on the device, for work that is queued on the current stream from now on and up to the next call of
  // either function. One that was prefetched is there or arrives in time; another one is copied now.
  data::Batch deliver(const data::Batch& batch);

 private:
  struct Slot {
    Tensor source;  // the first tensor of the batch that it holds, on the CPU; undefined: none that may be asked for
    data::Batch batch;
    void* pinned = nullptr;
    size_t pinned_bytes = 0;
    Event arrived, used;  // the copy is done; so is all work on the batch
  };
  void in_use_until_now();
  void fill(Slot& slot, const data::Batch& batch);

  Device device_;
  DeviceRuntime* runtime_ = nullptr;  // of a GPU
  Stream stream_;
  std::array<Slot, 2> slots_;
  Slot* delivered_ = nullptr;
  size_t next_ = 0;
};

}  // namespace gfsa::train
