#include "tasks/sampling.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

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
