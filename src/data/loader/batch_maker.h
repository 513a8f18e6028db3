// batch_maker.h -- how a domain fills batches; all that the loader knows of it.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/batch.h"
#include "data/loader/order.h"

namespace gfsa::data {

// The life of a batch: allocate() once, fill() once a slot, finish() once. Each is a pure function of its arguments
// (random numbers come from the epoch and SampleRef::position), so that batches do not depend on threads or timing.
class BatchMaker {
 public:
  virtual ~BatchMaker() = default;

  // Samples of the source.
  virtual int64_t size() const = 0;
  // The sample of which a batch takes most memory; where all take the same, any.
  virtual int64_t largest_sample() const { return 0; }
  // For messages: a file's path, a line's number.
  virtual std::string sample_name(int64_t index) const = 0;

  // The tensors of a batch, to be filled. batch.size, epoch and index are set. May run beside fill() of other batches.
  virtual void allocate(Batch& batch, std::span<const SampleRef> samples) = 0;
  // Writes one sample into its slot; runs at the same time in several threads, for different slots, and never in a
  // team of base/threads.h. Throws if the sample is broken; the loader then fails with its name, or calls again with
  // another index (same copy and position) for the same slot.
  virtual void fill(Batch& batch, int64_t slot, const SampleRef& sample) = 0;
  // What needs the whole batch: mixing, padding, packing. May replace tensors.
  virtual void finish(Batch&) {}
};

}  // namespace gfsa::data
