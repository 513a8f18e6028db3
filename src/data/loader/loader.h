// loader.h -- batches made ahead of time by worker threads and delivered in order. It knows no images, no text: an
// order says which samples, a BatchMaker makes them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/schema.h"
#include "data/batch.h"
#include "data/loader/batch_maker.h"
#include "data/loader/order.h"

namespace gfsa::data {

// The keys that every `data` section has.
struct LoaderConfig {
  int workers = 1;
  int prefetch = 2;
  std::string on_error = "fail";
  void describe(config::Schema& s);
};

// Which batch is next. All that a checkpoint needs of a loader.
struct LoaderPosition {
  int64_t epoch = 0, batch = 0;
  bool operator==(const LoaderPosition&) const = default;
};

struct SkippedSample {
  int64_t index = 0;
  std::string name, why;
};

struct LoaderFigures {
  int64_t batches = 0, samples = 0;  // delivered
  double waited_seconds = 0;         // the caller's, inside next()
  double total_seconds = 0;          // since the first next() began
  int64_t skipped = 0;               // distinct broken samples met (on_error: skip)
  double waiting_share() const { return total_seconds > 0 ? waited_seconds / total_seconds : 0; }
};

// Batches are equal bit for bit for every number of workers and every start position. Used by one thread.
//
// on_error: fail -- what fill() threw comes out of next() when its batch is due, with the sample's name. skip -- the
// broken sample's slot is filled with the next index of the source that is not broken, so that batches keep their size.
class Loader {
 public:
  // Delivers from `start` to the end of epoch `end_epoch` - 1 (default: for ever). `maker` and `order` must outlive it.
  Loader(BatchMaker& maker, const BatchOrder& order, const LoaderConfig& config, LoaderPosition start = {},
         int64_t end_epoch = INT64_MAX);
  // Stops the workers at their next sample, whatever is under way.
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Nothing once end_epoch is reached. Epochs follow each other without a gap: batch.epoch and batch.index tell them.
  // After an error every further call throws it again.
  std::optional<Batch> next();
  // Of the batch that the next call will give.
  LoaderPosition position() const;
  int64_t batches(int64_t epoch) const;

  LoaderFigures figures() const;
  // Each broken sample once, by index.
  std::vector<SkippedSample> skipped() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace gfsa::data
