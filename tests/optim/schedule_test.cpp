// Schedules against timm's and PyTorch's values (tests/golden/optim.json), closed forms and DeiT's published log.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>

#include "config/reader.h"
#include "optim/schedule.h"

namespace gfsa {
namespace {

struct Root {
  ScheduleConfig schedule;
  void describe(config::Schema& s) { s.section("schedule", schedule, "Schedule."); }
};
ScheduleConfig schedule_from(const std::string& text) {
  Root root;
  config::load_text(root, "schedule: " + text + "\n");
  return std::move(root.schedule);
}
std::string error_of(const std::string& text) {
  try {
    schedule_from(text);
  } catch (const Error& e) {
    return e.message();
  }
  return "";
}

// One epoch is one step long.
double at(const std::string& text, int64_t step, int64_t total, double lr = 1) {
  return schedule_from(text).lr(lr, {step, 1, total});
}

TEST(Schedule, EqualsTimmAndPyTorch) {
  std::ifstream file(GFSA_SOURCE_DIR "/tests/golden/optim.json");
  const auto golden = nlohmann::json::parse(file);
  const double base = golden["base_lr_of_schedules"];
  ASSERT_GE(golden["schedules"].size(), 5u);
  for (const auto& c : golden["schedules"]) {
    const ScheduleConfig schedule = schedule_from(c["config"]);
    const int64_t per_epoch = c["steps_per_epoch"];
    const bool in_epochs = c["per_epoch"];
    const int64_t total = c["total"].get<int64_t>() * (in_epochs ? per_epoch : 1);
    for (const auto& [time, lr] : c["lr"].items()) {
      const int64_t step = std::stoll(time) * (in_epochs ? per_epoch : 1);
      EXPECT_NEAR(schedule.lr(base, {step, per_epoch, total}), lr.get<double>(), 1e-15) << c["name"] << " at " << time;
      if (in_epochs) {  // the same throughout the epoch
        EXPECT_EQ(schedule.lr(base, {step, per_epoch, total}),
                  schedule.lr(base, {step + per_epoch - 1, per_epoch, total}));
      }
    }
  }
}

TEST(Schedule, ASpanWithoutLengthIsOver) {
  ScheduleSpan span;
  span.begin = span.total = 5;
  EXPECT_EQ(span.progress(5), 1);
  span.begin = 7;
  EXPECT_EQ(span.progress(6), 1);
  EXPECT_EQ(at("{name: cosine, warmup_steps: 4, min_lr: 0.25}", 4, 4), 0.25);
}

TEST(Schedule, DeitsLog) {
  const ScheduleConfig deit = schedule_from(
      "{name: cosine, warmup_epochs: 5, warmup_lr: 1e-6, min_lr: 1e-5, per: epoch, warmup_prefix: false, epoch_lag: "
      "1}");
  const auto lr = [&](int64_t epoch) { return deit.lr(1e-3, {epoch * 1251 + 17, 1251, 500 * 1251}); };
  EXPECT_DOUBLE_EQ(lr(0), 1e-6);
  EXPECT_DOUBLE_EQ(lr(1), 1e-6);
  EXPECT_NEAR(lr(4), 6.004e-4, 5e-9);
  EXPECT_NEAR(lr(6), 9.9976e-4, 5e-9);
}

TEST(Schedule, ClosedForms) {
  EXPECT_EQ(at("constant", 0, 100, 0.3), 0.3);
  EXPECT_EQ(at("constant", 99, 100, 0.3), 0.3);
  EXPECT_DOUBLE_EQ(at("{name: linear, min_lr: 0.1}", 25, 100), 0.1 + 0.9 * 0.75);
  EXPECT_DOUBLE_EQ(at("{name: linear, warmup_steps: 20}", 60, 100), 0.5);
  EXPECT_DOUBLE_EQ(at("{name: linear, warmup_steps: 20, warmup_lr: 0.2}", 5, 100), 0.4);
  EXPECT_DOUBLE_EQ(at("{name: linear, warmup_steps: 20}", 20, 100), 1);
  EXPECT_DOUBLE_EQ(at("{name: cosine, min_lr: 0.2}", 50, 100), 0.6);
  EXPECT_DOUBLE_EQ(at("cosine", 25, 100), 0.5 * (1 + std::cos(std::numbers::pi / 4)));
  EXPECT_DOUBLE_EQ(at("{name: polynomial, power: 2, min_lr: 0.1}", 50, 100), 0.1 + 0.9 * 0.25);
  EXPECT_DOUBLE_EQ(at("{name: inverse_sqrt, warmup_steps: 16}", 64, 1000), 0.5);
  EXPECT_DOUBLE_EQ(at("{name: inverse_sqrt, warmup_steps: 16}", 8, 1000), 0.5);
  EXPECT_DOUBLE_EQ(at("{name: inverse_sqrt, warmup_steps: 16, min_lr: 0.25}", 900, 1000), 0.25);
  // Noam: update n = step + 1; the peak is the base rate at update W.
  EXPECT_DOUBLE_EQ(at("{name: noam, warmup_steps: 25}", 24, 1000), 1);
  EXPECT_DOUBLE_EQ(at("{name: noam, warmup_steps: 25}", 0, 1000), 1.0 / 25);
  EXPECT_DOUBLE_EQ(at("{name: noam, warmup_steps: 25}", 99, 1000), 0.5);
}

TEST(Schedule, StaysAtMinimumAfterTheEnd) {
  EXPECT_DOUBLE_EQ(at("{name: cosine, min_lr: 0.2}", 150, 100), 0.2);
  EXPECT_DOUBLE_EQ(at("{name: linear, min_lr: 0.2}", 100, 100), 0.2);
}

TEST(Schedule, RunShorterThanItsWarmupRises) { EXPECT_DOUBLE_EQ(at("{name: cosine, warmup_steps: 20}", 2, 3), 0.1); }

TEST(Schedule, ConfigErrors) {
  EXPECT_NE(error_of("{name: cosine, warmup_epochs: 1, warmup_steps: 5}").find("only one of"), std::string::npos);
  EXPECT_NE(error_of("{name: cosine, epoch_lag: 1}").find("needs per: epoch"), std::string::npos);
  EXPECT_NE(error_of("{name: cosine, per: epoch, warmup_steps: 5}").find("needs warmup_epochs"), std::string::npos);
  EXPECT_NE(error_of("cosin").find("cosine"), std::string::npos);
  EXPECT_NE(error_of("{name: cosine, power: 2}").find("power"), std::string::npos);
}

}  // namespace
}  // namespace gfsa
