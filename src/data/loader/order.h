// order.h -- which samples stand in which batch: a pure function of (seed, epoch), so that a run can be resumed at any
// batch from two numbers, and so that other numbers of workers or ranks see the same data.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gfsa::data {

struct SampleRef {
  int64_t index = 0;      // in the source
  uint32_t copy = 0;      // which of the repetitions of repeated augmentation
  uint64_t position = 0;  // in the epoch, over all ranks: the `sample` of this sample's random numbers; below 2^32
  bool operator==(const SampleRef&) const = default;
};

// One epoch of one rank: batch b is samples[cuts[b]] up to samples[cuts[b + 1]].
struct EpochPlan {
  std::vector<SampleRef> samples;
  std::vector<int64_t> cuts{0};

  int64_t batches() const { return static_cast<int64_t>(cuts.size()) - 1; }
  std::span<const SampleRef> batch(int64_t b) const;
};

// The face that the loader sees. Other orders (by length, by token budget) are other implementations.
class BatchOrder {
 public:
  virtual ~BatchOrder() = default;
  // Pure; called from any thread.
  virtual EpochPlan plan(int64_t epoch) const = 0;
  virtual int64_t batches(int64_t epoch) const { return plan(epoch).batches(); }
};

struct UniformOrderOptions {
  int64_t samples = 0;     // of the source
  int64_t batch_size = 1;  // of one rank
  uint64_t seed = 0;
  bool shuffle = true;    // else in the source's order
  int repeats = 1;        // > 1: repeated augmentation (Hoffer et al. 2019, arXiv:1901.09335)
  bool drop_last = true;  // leave out the batch that would be smaller
  // Wrap around so that every rank has equally many samples; without, the last ranks may have one less (evaluation,
  // where each sample counts once).
  bool even = true;
  int64_t rank = 0, world = 1;
};

// Batches of one size. Rank r takes positions r, r + world, ... of the epoch, so the samples of a global batch are the
// same for every number of ranks with the same global batch size.
//
// repeats > 1 is timm's RepeatAugSampler (DeiT's RASampler): each index stands `repeats` times in a row, the list is
// cut among the ranks, and each keeps the first floor(samples / 256) * 256 / world (fewer than 256 samples: samples /
// world, rounded up). One epoch so has as many samples as without repetition, of a third of the indices.
class UniformOrder : public BatchOrder {
 public:
  // Throws bad input on sizes that give no batch.
  explicit UniformOrder(const UniformOrderOptions& options);
  EpochPlan plan(int64_t epoch) const override;
  int64_t batches(int64_t) const override { return batches_; }
  const UniformOrderOptions& options() const { return options_; }

 private:
  UniformOrderOptions options_;
  int64_t batches_ = 0;
};

// A permutation of 0 .. n - 1 (Fisher-Yates) from the random stream "data.order" of (seed, epoch).
std::vector<int64_t> shuffled(int64_t n, uint64_t seed, int64_t epoch);

// The samples of one rank, before they are cut into batches: `indices` is one epoch's order of the source.
std::vector<SampleRef> rank_samples(std::span<const int64_t> indices, int repeats, bool even, int64_t rank,
                                    int64_t world);

}  // namespace gfsa::data
