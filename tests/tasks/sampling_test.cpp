#include "tasks/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/philox.h"

namespace gfsa::tasks {
namespace {

const std::vector<float> kLogits{std::log(0.5f), std::log(0.2f), std::log(0.2f), std::log(0.1f)};

std::map<int32_t, double> shares(const train::GenerateRequest& request, const std::vector<float>& logits = kLogits,
                                 const std::vector<int32_t>& before = {}) {
  constexpr int kDraws = 20000;
  std::map<int32_t, double> out;
  for (int i = 0; i < kDraws; ++i) out[sample_token(logits, before, request, static_cast<uint32_t>(i))] += 1.0 / kDraws;
  return out;
}

TEST(SampleToken, FollowsTheProbabilities) {
  const auto all = shares({});
  EXPECT_NEAR(all.at(0), 0.5, 0.015);
  EXPECT_NEAR(all.at(2), 0.2, 0.015);
  EXPECT_NEAR(all.at(3), 0.1, 0.015);
  const auto cold = shares({.temperature = 0.5});  // squares: 25 : 4 : 4 : 1
  EXPECT_NEAR(cold.at(0), 25.0 / 34, 0.015);
}

TEST(SampleToken, TemperatureZeroIsTheFirstOfTheLikeliest) {
  EXPECT_EQ(sample_token(std::vector<float>{1, 3, 3, 2}, {}, {.temperature = 0}, 5), 1);
}

TEST(SampleToken, CutsTheTail) {
  const auto k = shares({.top_k = 2});
  EXPECT_EQ(k.size(), 2u);
  EXPECT_NEAR(k.at(0), 5.0 / 7, 0.015);
  EXPECT_TRUE(k.contains(1));  // of equals the smaller id
  const auto p = shares({.top_p = 0.6});
  EXPECT_EQ(p.size(), 2u);
  EXPECT_EQ(shares({.top_p = 0.5}).size(), 1u);
  EXPECT_EQ(shares({.top_p = 0}).size(), 1u);
  EXPECT_EQ(shares({.top_k = 100}).size(), 4u);
}

// Many tokens, some of them equally likely, of which the function sorts no more than it must.
TEST(SampleToken, IsThatOfTheWholeOrder) {
  const auto by_order = [](const std::vector<float>& logits, const train::GenerateRequest& r, uint32_t text) {
    std::vector<int32_t> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
    });
    if (r.top_k > 0) order.resize(static_cast<size_t>(r.top_k));
    std::vector<double> weights;
    for (const int32_t id : order) weights.push_back(std::exp(logits[static_cast<size_t>(id)] / r.temperature));
    const double all = std::accumulate(weights.begin(), weights.end(), 0.0);
    double kept = 0;
    size_t n = 0;
    while (n < weights.size() && (n == 0 || kept < r.top_p * all)) kept += weights[n++];
    RandomSequence random(RandomKey(r.seed, "generate", 0), text);
    double left = random.uniform() * kept;
    for (size_t i = 0; i < n; ++i) {
      if ((left -= weights[i]) < 0) return order[i];
    }
    return order[n - 1];
  };
  RandomSequence random(RandomKey(3, "logits"));
  std::vector<float> logits;
  for (int i = 0; i < 3000; ++i) logits.push_back(static_cast<float>(random.below(200)) / 40);
  for (const train::GenerateRequest& r : std::vector<train::GenerateRequest>{{},
                                                                             {.temperature = 0.3},
                                                                             {.temperature = 5},
                                                                             {.top_k = 900},
                                                                             {.top_p = 0.9},
                                                                             {.top_k = 200, .top_p = 0.7}}) {
    for (uint32_t text = 0; text < 100; ++text) {
      ASSERT_EQ(sample_token(logits, {}, r, text), by_order(logits, r, text)) << "text " << text;
    }
  }
}

TEST(SampleToken, RepetitionIsPunished) {
  // transformers' rule: a positive logit is divided, a negative one multiplied; once, however often the token stands.
  const std::vector<float> logits{2, 1.5f, -1, -1.5f};
  EXPECT_EQ(sample_token(logits, {0, 0}, {.temperature = 0, .repetition_penalty = 1.5}, 0), 1);
  EXPECT_EQ(sample_token(std::vector<float>{-1, -1.5f}, {0}, {.temperature = 0, .repetition_penalty = 1.6}, 0), 1);
  EXPECT_EQ(sample_token(std::vector<float>{-1, -1.5f}, {0}, {.temperature = 0, .repetition_penalty = 1.4}, 0), 0);
}

TEST(SampleToken, IsAFunctionOfSeedTextAndPlace) {
  const auto draw = [](uint64_t seed, uint32_t text, size_t place) {
    std::vector<int32_t> many;
    const std::vector<float> flat(1000, 0.0f);
    return sample_token(flat, std::vector<int32_t>(place, 1), {.seed = seed}, text);
  };
  EXPECT_EQ(draw(1, 2, 3), draw(1, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(2, 2, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 3, 3));
  EXPECT_NE(draw(1, 2, 3), draw(1, 2, 4));
}

}  // namespace
}  // namespace gfsa::tasks
