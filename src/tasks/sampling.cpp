#include "tasks/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/philox.h"

namespace gfsa::tasks {
namespace {

// Tokens from the most to the least probable, equals by their ids, put into order only as far as somebody asks: to sort
// a vocabulary takes as long as a small model's next step.
class Ranking {
 public:
  Ranking(const std::vector<double>& scores, const std::vector<double>& weights)
      : scores_(scores), weights_(weights), order_(scores.size()) {
    std::iota(order_.begin(), order_.end(), 0);
  }
  // Drops all but the first n.
  void keep(size_t n) {
    if (n >= order_.size()) return;
    split(0, n, order_.size());
    order_.resize(n);
  }
  double weight() const { return weight(0, order_.size()); }
  // The first place up to which, with it, there is this weight; the last one if there is none.
  size_t find(double target) {
    size_t first = 0, last = order_.size();
    while (last - first > 1) {
      const size_t middle = first + (last - first) / 2;
      split(first, middle, last);
      const double below = weight(first, middle);
      if (target <= below) {
        last = middle;
      } else {
        target -= below;
        first = middle;
      }
    }
    return first;
  }
  int32_t id(size_t place) const { return order_[place]; }

 private:
  // What belongs before `middle` goes there.
  void split(size_t first, size_t middle, size_t last) {
    const auto at = [&](size_t place) { return order_.begin() + static_cast<ptrdiff_t>(place); };
    std::nth_element(at(first), at(middle), at(last), [&](int32_t a, int32_t b) {
      const double x = scores_[static_cast<size_t>(a)], y = scores_[static_cast<size_t>(b)];
      return x != y ? x > y : a < b;
    });
  }
  double weight(size_t first, size_t last) const {
    double sum = 0;
    for (size_t i = first; i < last; ++i) sum += weights_[static_cast<size_t>(order_[i])];
    return sum;
  }

  const std::vector<double>&scores_, &weights_;
  std::vector<int32_t> order_;
};

}  // namespace

int32_t sample_token(std::span<const float> logits, const std::vector<int32_t>& so_far,
                     const train::GenerateRequest& request, uint32_t text) {
  std::vector<double> scores(logits.begin(), logits.end());
  if (request.repetition_penalty != 1) {
    std::vector<bool> seen(scores.size(), false);
    for (const int32_t id : so_far) {
      const auto i = static_cast<size_t>(id);
      if (seen[i]) continue;
      seen[i] = true;
      scores[i] = scores[i] > 0 ? scores[i] / request.repetition_penalty : scores[i] * request.repetition_penalty;
    }
  }
  if (request.temperature == 0) {
    return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  }
  const double highest = *std::max_element(scores.begin(), scores.end());
  std::vector<double> weights;
  weights.reserve(scores.size());
  for (const double score : scores) weights.push_back(std::exp((score - highest) / request.temperature));
  Ranking ranking(scores, weights);
  if (request.top_k > 0) ranking.keep(static_cast<size_t>(request.top_k));
  if (request.top_p < 1) ranking.keep(ranking.find(request.top_p * ranking.weight()) + 1);
  RandomSequence rng(RandomKey(request.seed, "generate", so_far.size()), text);
  return ranking.id(ranking.find(rng.uniform() * ranking.weight()));
}

}  // namespace gfsa::tasks
