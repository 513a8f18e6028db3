#include "data/text/length_order.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/philox.h"

namespace gfsa::data {

LengthOrder::LengthOrder(std::vector<int64_t> lengths, int64_t batch_size, uint64_t seed)
    : lengths_(std::move(lengths)), batch_size_(batch_size), seed_(seed) {}

int64_t LengthOrder::batches(int64_t) const {
  return (static_cast<int64_t>(lengths_.size()) + batch_size_ - 1) / batch_size_;
}

EpochPlan LengthOrder::plan(int64_t epoch) const {
  constexpr int64_t kBatchesOfAGroup = 50;
  const auto n = static_cast<int64_t>(lengths_.size());
  auto order = shuffled(n, seed_, epoch);
  const int64_t group = kBatchesOfAGroup * batch_size_;
  for (int64_t begin = 0; begin < n; begin += group) {
    const int64_t end = std::min(n, begin + group);
    std::stable_sort(order.begin() + begin, order.begin() + end, [&](int64_t a, int64_t b) {
      return lengths_[static_cast<size_t>(a)] > lengths_[static_cast<size_t>(b)];
    });
  }
  std::vector<int64_t> batch(static_cast<size_t>(batches(epoch)));
  std::iota(batch.begin(), batch.end(), int64_t{0});
  RandomSequence rng(RandomKey(seed_, "data.length_order", static_cast<uint64_t>(epoch)));
  for (size_t i = batch.size(); i-- > 1;) std::swap(batch[i], batch[rng.below(i + 1)]);

  EpochPlan plan;
  for (const int64_t b : batch) {
    for (int64_t i = b * batch_size_; i < std::min(n, (b + 1) * batch_size_); ++i) {
      plan.samples.push_back({order[static_cast<size_t>(i)], 0, static_cast<uint64_t>(plan.samples.size())});
    }
    plan.cuts.push_back(static_cast<int64_t>(plan.samples.size()));
  }
  return plan;
}

}  // namespace gfsa::data
