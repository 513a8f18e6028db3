#include "tasks/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/philox.h"

namespace gfsa::tasks {

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
  std::vector<int32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return scores[static_cast<size_t>(a)] > scores[static_cast<size_t>(b)];
  });
  if (request.top_k > 0 && request.top_k < static_cast<int64_t>(order.size())) {
    order.resize(static_cast<size_t>(request.top_k));
  }
  const double highest = scores[static_cast<size_t>(order[0])];
  std::vector<double> weights;
  double sum = 0;
  for (const int32_t id : order) {
    weights.push_back(std::exp((scores[static_cast<size_t>(id)] - highest) / request.temperature));
    sum += weights.back();
  }
  if (request.top_p < 1) {
    double kept = 0;
    size_t n = 0;
    while (n < weights.size() && (n == 0 || kept < request.top_p * sum)) kept += weights[n++];
    weights.resize(n);
    sum = kept;
  }
  RandomSequence rng(RandomKey(request.seed, "generate", so_far.size()), text);
  double left = rng.uniform() * sum;
  for (size_t i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0) return order[i];
  }
  return order[weights.size() - 1];
}

}  // namespace gfsa::tasks
