#include "data/loader/order.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "core/philox.h"

namespace gfsa::data {
namespace {

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How many samples rank_samples() gives.
int64_t rank_sample_count(int64_t n, int repeats, bool even, int64_t rank, int64_t world) {
  if (repeats > 1) {
    constexpr int64_t kRound = 256;  // RASampler's, made for 8 ranks of 32
    return n >= kRound ? n / kRound * kRound / world : ceil_divide(n, world);
  }
  return even ? ceil_divide(n, world) : ceil_divide(std::max<int64_t>(n - rank, 0), world);
}

}  // namespace

std::span<const SampleRef> EpochPlan::batch(int64_t b) const {
  const auto begin = static_cast<size_t>(cuts[static_cast<size_t>(b)]);
  const auto end = static_cast<size_t>(cuts[static_cast<size_t>(b) + 1]);
  return std::span(samples).subspan(begin, end - begin);
}

std::vector<int64_t> shuffled(int64_t n, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  RandomSequence rng(RandomKey(seed, "data.order", static_cast<uint64_t>(epoch)));
  for (size_t i = order.size(); i-- > 1;) std::swap(order[i], order[rng.below(i + 1)]);
  return order;
}

std::vector<SampleRef> rank_samples(std::span<const int64_t> indices, int repeats, bool even, int64_t rank,
                                    int64_t world) {
  const int64_t n = static_cast<int64_t>(indices.size());
  const int64_t total = n * repeats, count = rank_sample_count(n, repeats, even, rank, world);
  std::vector<SampleRef> out;
  out.reserve(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = rank + i * world, repeated = position % total;
    out.push_back({indices[static_cast<size_t>(repeated / repeats)], static_cast<uint32_t>(repeated % repeats),
                   static_cast<uint64_t>(position)});
  }
  return out;
}

UniformOrder::UniformOrder(const UniformOrderOptions& o) : options_(o) {
  if (o.samples < 1) bad_input("data: there are no samples");
  if (o.batch_size < 1) bad_input("batch size is {}, expected at least 1", o.batch_size);
  if (o.repeats < 1) bad_input("repeated augmentation is {}, expected at least 1", o.repeats);
  if (o.world < 1 || o.rank < 0 || o.rank >= o.world) fail("rank {} of {} ranks", o.rank, o.world);
  if (o.samples > std::numeric_limits<uint32_t>::max() / o.repeats - o.world) {
    bad_input("data: {} samples x {} repetitions are too many, expected less than 2^32", o.samples, o.repeats);
  }
  const int64_t count = rank_sample_count(o.samples, o.repeats, o.even, o.rank, o.world);
  batches_ = o.drop_last ? count / o.batch_size : ceil_divide(count, o.batch_size);
  if (batches_ == 0 && o.drop_last) {
    bad_input("data: {} samples{} do not fill one batch of {}; expected a batch size of at most {}", o.samples,
              o.world > 1 ? fmt::format(" on {} ranks", o.world) : "", o.batch_size, count);
  }
}

EpochPlan UniformOrder::plan(int64_t epoch) const {
  const auto& o = options_;
  std::vector<int64_t> indices;
  if (o.shuffle) {
    indices = shuffled(o.samples, o.seed, epoch);
  } else {
    indices.resize(static_cast<size_t>(o.samples));
    std::iota(indices.begin(), indices.end(), int64_t{0});
  }
  EpochPlan plan;
  plan.samples = rank_samples(indices, o.repeats, o.even, o.rank, o.world);
  const auto count = static_cast<int64_t>(plan.samples.size());
  for (int64_t b = 1; b <= batches_; ++b) plan.cuts.push_back(std::min(b * o.batch_size, count));
  plan.samples.resize(static_cast<size_t>(plan.cuts.back()));
  return plan;
}

}  // namespace gfsa::data
