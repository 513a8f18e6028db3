// Lines of metrics.jsonl, the progress line, evaluation over batches that do not divide.
#include "train/metrics.h"

#include <gmock/gmock.h>

#include <limits>

#include "base/log.h"
#include "support/temporary_folder.h"
#include "train/evaluate.h"
#include "train/fake_task.h"
#include "train/progress.h"
#include "train/summary.h"

namespace gfsa::train {
namespace {

using testing::HasSubstr;

const double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Metrics, ComeBackAsTheyWere) {
  const MetricsRow row{"eval", 17, 0.1 + 0.2, {{"top1", 1.0 / 3}, {"loss", kNan}}, {}};
  EXPECT_EQ(to_json(row),
            R"({"kind":"eval","step":17,"epoch":0.30000000000000004,"top1":0.3333333333333333,"loss":null})");
  const auto back = parse_metrics_row(to_json(row));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->kind, "eval");
  EXPECT_EQ(back->step, 17);
  EXPECT_EQ(back->epoch, row.epoch);
  EXPECT_EQ(back->figures[0], row.figures[0]);
  EXPECT_TRUE(std::isnan(back->figures[1].second));

  const MetricsRow learned{"coefficients", 3, 1, {}, {{"blocks.0.attn.gfsa.wK", {0.5, kNan}}}};
  EXPECT_EQ(to_json(learned), R"({"kind":"coefficients","step":3,"epoch":1.0,"blocks.0.attn.gfsa.wK":[0.5,null]})");
  EXPECT_EQ(to_json(*parse_metrics_row(to_json(learned))), to_json(learned));
}

TEST(Metrics, TagsOfTensorBoard) {
  EXPECT_EQ(tags_of({"train", 1, 1, {{"loss", 2}}, {}}), (Metrics{{"train/loss", 2}}));
  EXPECT_EQ(tags_of({"coefficients", 1, 1, {}, {{"a.wK", {3, 4}}}}),
            (Metrics{{"coefficients/a.wK/0", 3}, {"coefficients/a.wK/1", 4}}));
}

TEST(Metrics, WhatIsNoLineIsLeftOut) {
  for (const char* text : {"", "{", "[]", "1", "{\"kind\":\"train\"}", "{\"kind\":1,\"step\":1,\"epoch\":1}",
                           "{\"kind\":\"train\",\"step\":1,\"epoch\":1,\"loss\":\"x\"}"}) {
    EXPECT_FALSE(parse_metrics_row(text)) << text;
  }
  spdlog::set_level(spdlog::level::info);
  const test::TemporaryFolder folder;
  std::string said;
  EXPECT_TRUE(read_metrics(Env::real(), folder.path()).empty());
  const std::string line = to_json({"train", 1, 1, {}, {}});
  const auto rows_of = [&](const std::string& text) {
    Env::real().write(folder / "metrics.jsonl", text);
    testing::internal::CaptureStderr();
    const size_t rows = read_metrics(Env::real(), folder.path()).size();
    said = testing::internal::GetCapturedStderr();
    return rows;
  };
  EXPECT_EQ(rows_of(line + "\n{\"kind\":\"train\",\"st"), 1u);
  EXPECT_EQ(said, "") << "a killed process leaves this";
  EXPECT_EQ(rows_of(line + "\n" + line), 2u) << "only its end of line is missing";
  EXPECT_EQ(said, "");
  EXPECT_EQ(rows_of(line + "\nnonsense\n" + line + "\n"), 2u);
  EXPECT_THAT(said, HasSubstr("metrics.jsonl:2: not a line of metrics"));
}

TEST(Summary, WithoutMetricsHasNoCurves) {
  const test::TemporaryFolder folder;
  write_summary(Env::real(), folder.path(), {{"steps", "0 of 3"}});
  EXPECT_THAT(Env::real().read(folder / "summary.md"), HasSubstr("| steps | 0 of 3 |"));
  EXPECT_FALSE(Env::real().exists(folder / "curves.png"));
}

TEST(Progress, OneLine) {
  ProgressLine line;
  line.step = 12, line.steps = 40, line.epoch = 1.5, line.loss = 0.25, line.learning_rate = 1e-3;
  line.grad_norm = 2, line.samples_per_second = 321.04, line.eta_seconds = 75, line.waiting_share = 0.031;
  line.memory_bytes = 3 << 20;
  EXPECT_EQ(
      to_text(line),
      "step 12/40  epoch 1.50  loss 0.2500  lr 0.001  |g| 2  321.0 samples/s  data wait 3%  3.0 MiB  ETA 1 min 15 s");
}

TEST(Evaluate, DoesNotDependOnTheBatchSize) {
  const auto config = fake_config();
  Session session(*config);
  const auto set = config->task->eval_batches("val");
  const auto whole = evaluate(*config->task, *set, 13, {});
  EXPECT_EQ(whole.samples, 13);
  EXPECT_FALSE(whole.stopped);
  for (const int64_t size : {1, 2, 5, 12, 64}) {
    EXPECT_EQ(evaluate(*config->task, *set, size, {}).metrics, whole.metrics) << size;
  }
}

TEST(Evaluate, StopsBetweenBatches) {
  const auto config = fake_config();
  Session session(*config);
  const auto set = config->task->eval_batches("val");
  int asked = 0;
  const auto run = evaluate(*config->task, *set, 5, {}, [&] { return asked++ == 2; });
  EXPECT_TRUE(run.stopped);
  EXPECT_EQ(run.samples, 10);
}

}  // namespace
}  // namespace gfsa::train
