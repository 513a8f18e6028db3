// length_order.h -- batches of texts of about one length, so that little is padding.
#pragma once

#include <cstdint>
#include <vector>

#include "data/loader/order.h"

namespace gfsa::data {

// Each epoch the samples are shuffled (the permutation of UniformOrder) and cut into groups of 50 batches; a group is
// sorted by length, the longest first, equal ones as they were shuffled, and cut into batches, as the option
// group_by_length of Hugging Face's trainer does; then all batches of the epoch are shuffled. A pure function of
// (lengths, batch_size, seed, epoch). The last samples make a smaller batch.
class LengthOrder : public BatchOrder {
 public:
  LengthOrder(std::vector<int64_t> lengths, int64_t batch_size, uint64_t seed);
  EpochPlan plan(int64_t epoch) const override;
  int64_t batches(int64_t) const override;

 private:
  std::vector<int64_t> lengths_;
  int64_t batch_size_;
  uint64_t seed_;
};

}  // namespace gfsa::data
