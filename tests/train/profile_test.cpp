// What a profile says of ops whose work is known, and how it is laid out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "autograd/autograd.h"
#include "core/profile.h"
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "train/profile_report.h"
#include "train/profile_trace.h"

namespace gfsa::train {
namespace {

using profile::Kind;
using profile::Range;
using profile::Recording;
using testing::ElementsAre;

Tensor leaf(const Shape& shape) {
  Tensor t = Tensor::full(shape, 0.5, DType::f32);
  require_grad(t);
  return t;
}

template <class F>
Recording recorded(const F& f) {
  profile::start({});
  f();
  return profile::stop();
}

const Range& only(const Recording& r, Kind kind, const std::string& name) {
  const Range* found = nullptr;
  for (const Range& range : r.ranges) {
    if (range.kind != kind || name != range.name) continue;
    EXPECT_EQ(found, nullptr) << "a second " << name;
    found = &range;
  }
  if (found == nullptr) fail("no {}", name);
  return *found;
}

// 2 rows I O forward; dW and dx have as many each. 11 rows of 5 numbers become rows of 3.
TEST(ProfileOps, ALinearLayerByHand) {
  const Tensor x = leaf({11, 5}), w = leaf({3, 5}), b = leaf({3});
  const Recording r = recorded([&] { backward(sum(linear(x, w, b))); });
  const Range &forward = only(r, Kind::forward, "linear"), &back = only(r, Kind::backward, "linear");
  EXPECT_EQ(forward.flops, 2 * 11 * 5 * 3);
  EXPECT_EQ(back.flops, 2 * (2 * 11 * 5 * 3));
  constexpr int64_t kOperands = 11 * 5 + 3 * 5 + 3, kResult = 11 * 3;
  EXPECT_EQ(forward.bytes, 4 * (kOperands + kResult));
  EXPECT_EQ(back.bytes, 4 * (kOperands + kResult + kOperands));  // dy, what it read, its gradients
  EXPECT_THAT(forward.parameters, ElementsAre(x.slot().get(), w.slot().get(), b.slot().get()));
  EXPECT_EQ(&r.ranges[static_cast<size_t>(back.forward)], &forward);
}

TEST(ProfileOps, WhatIsHandedOnIsNotMoved) {
  const Tensor x = leaf({4, 6}), z = leaf({4, 6});
  const Recording r = recorded([&] { backward(sum(reshape(add(x, z), {6, 4}))); });
  EXPECT_EQ(only(r, Kind::forward, "add").bytes, 3 * 4 * 24);
  EXPECT_EQ(only(r, Kind::backward, "add").bytes, 0);
  EXPECT_EQ(only(r, Kind::forward, "reshape").bytes, 0);
  EXPECT_EQ(only(r, Kind::backward, "reshape").bytes, 0);
  EXPECT_EQ(only(r, Kind::forward, "add").flops, 0);
}

// x is used twice: the second contribution is added, which reads two and writes one.
TEST(ProfileOps, SumsOfGradientsAreMovedByWhoAdds) {
  const Tensor x = leaf({4, 6});
  const Recording r = recorded([&] { backward(sum(add(x, x))); });
  EXPECT_EQ(only(r, Kind::backward, "add").bytes, 3 * 4 * 24);
}

TEST(ProfileOps, OfATableOnlyTheRowsThatAreRead) {
  const Tensor table = leaf({100, 8}), indices = Tensor::from<int64_t>({3}, {4, 4, 9});
  const Recording r = recorded([&] { backward(sum(embedding(table, indices))); });
  EXPECT_EQ(only(r, Kind::forward, "embedding").bytes, 2 * 4 * 3 * 8);
  EXPECT_EQ(only(r, Kind::backward, "embedding").bytes, 4 * (3 * 8 + 100 * 8));
}

TEST(ProfileOps, ARecomputedSegment) {
  const Tensor x = leaf({4, 6}), w = leaf({6, 6});
  const auto f = [&](const std::vector<Tensor>& in) { return activation(Activation::gelu, linear(in[0], w, {})); };
  const Recording r = recorded([&] {
    const ProfileRange step("step");
    backward(sum(checkpoint(f, {x})));
  });
  const ProfileReport report = summarise(r, modules_of(r, {}), {});
  std::vector<std::string> rows;
  for (const auto& row : report.ops) {
    if (row.name == "linear") rows.push_back(fmt::format("{} {} {}", row.pass, row.calls, row.flops));
  }
  constexpr int64_t kFlops = 2 * 4 * 6 * 6;
  EXPECT_THAT(rows,
              testing::UnorderedElementsAre(fmt::format("forward 1 {}", kFlops), fmt::format("recompute 1 {}", kFlops),
                                            fmt::format("backward 1 {}", 2 * kFlops)));
}

TEST(ProfileOps, AnOpThatRecordsOutsideOfItsRangeIsOurFault) {
  const Tensor x = leaf({4});
  profile::start({});
  EXPECT_THROW(record("nameless", x.clone(), {x}, [](const Tensor&, GradOut&) {}), Error);
  profile::stop();
}

TEST(ProfileModules, LevelsAndParts) {
  EXPECT_THAT(levels_of("encoder.layer.3.attention.self"),
              ElementsAre("encoder", "encoder.layer.3", "encoder.layer.3.attention", "encoder.layer.3.attention.self"));
  EXPECT_THAT(levels_of(""), ElementsAre());
  EXPECT_THAT(levels_of("0.weight"), ElementsAre("0", "0.weight"));
  EXPECT_EQ(part_of("encoder.layer.3.attention.self"), "encoder.layer.3");
  EXPECT_EQ(part_of("cls.predictions.transform.dense"), "cls.predictions");
  EXPECT_EQ(part_of("head"), "head");
  EXPECT_EQ(part_of(""), "");
}

// A recording as a block of a model makes it, and one op before it.
class MadeUp : public testing::Test {
 protected:
  int64_t add(const char* name, Kind kind, int64_t parent, double start, double end,
              std::vector<const void*> parameters = {}, int64_t forward = -1) {
    r_.ranges.push_back({.name = name,
                         .kind = kind,
                         .parent = parent,
                         .forward = forward,
                         .start = start,
                         .end = end,
                         .parameters = std::move(parameters)});
    return static_cast<int64_t>(r_.ranges.size()) - 1;
  }
  MadeUp() {
    r_.threads = {"training", "data loader"};
    const int64_t step = add("step", Kind::phase, -1, 0, 10), forward = add("forward", Kind::phase, step, 1, 5);
    embed_ = add("embedding", Kind::forward, forward, 1, 2, {&slots_[0]});
    const int64_t block = add("block", Kind::module, forward, 2, 4.5);
    norm_ = add("layer_norm", Kind::forward, block, 2, 2.5, {&slots_[1]});
    qkv_ = add("linear", Kind::forward, block, 2.5, 3, {&slots_[2]});
    attention_ = add("attention", Kind::forward, block, 3, 3.5);
    proj_ = add("linear", Kind::forward, block, 3.5, 4, {&slots_[3]});
    residual_ = add("add", Kind::forward, block, 4, 4.25);
    const int64_t backward = add("backward", Kind::phase, step, 5, 9);
    dresidual_ = add("add", Kind::backward, backward, 5, 6, {}, residual_);
    dproj_ = add("linear", Kind::backward, backward, 6, 8, {}, proj_);
    for (const int64_t i : {proj_, block, forward, step}) r_.ranges[static_cast<size_t>(i)].flops = 1000;
    r_.ranges[static_cast<size_t>(proj_)].bytes = 40;
  }

  std::string path(int64_t i) const { return modules_of(r_, names_)[static_cast<size_t>(i)].path; }

  Recording r_;
  char slots_[4] = {};
  const ParameterNames names_{{&slots_[0], "embeddings.word.weight"},
                              {&slots_[1], "layer.0.norm1.weight"},
                              {&slots_[2], "layer.0.attn.qkv.weight"},
                              {&slots_[3], "layer.0.attn.proj.weight"}};
  int64_t embed_, norm_, qkv_, attention_, proj_, residual_, dresidual_, dproj_;
};

TEST_F(MadeUp, OpsBelongToWhatTheirNeighboursShare) {
  EXPECT_EQ(path(embed_), "embeddings.word");
  EXPECT_EQ(path(norm_), "layer.0.norm1");
  EXPECT_EQ(path(attention_), "layer.0.attn");
  EXPECT_EQ(path(proj_), "layer.0.attn.proj");
  EXPECT_EQ(path(residual_), "layer.0");
  EXPECT_EQ(path(dresidual_), "layer.0");
  EXPECT_EQ(path(dproj_), "layer.0.attn.proj");
}

TEST_F(MadeUp, RowsAddUpToTheStep) {
  const ProfileReport report = summarise(r_, modules_of(r_, names_), {.flops = 4000, .bytes = 100});
  EXPECT_EQ(report.steps, 1);
  EXPECT_EQ(report.step_seconds, 10);
  double sum = 0;
  for (const auto* rows : {&report.ops, &report.rest}) {
    for (const auto& row : *rows) sum += row.seconds;
  }
  EXPECT_DOUBLE_EQ(sum, 10);
  const auto& rest = report.rest;
  ASSERT_EQ(rest.size(), 3u);
  EXPECT_EQ(rest[0].name + " " + rest[1].name, "rest of the step backward, not in an op");
  EXPECT_DOUBLE_EQ(rest[0].seconds, 2);     // of [0, 10], forward and backward have [1, 9]
  EXPECT_DOUBLE_EQ(rest[1].seconds, 1);     // 8 to 9
  EXPECT_DOUBLE_EQ(rest[2].seconds, 0.75);  // 4.25 to 5, the block's end among it
  ASSERT_EQ(report.ops[0].name + " " + report.ops[0].pass, "linear backward");
  const auto linear = std::find_if(report.ops.begin(), report.ops.end(),
                                   [](const auto& row) { return row.name == "linear" && row.pass == "forward"; });
  EXPECT_EQ(linear->calls, 2);
  EXPECT_EQ(linear->flops, 1000);
  EXPECT_DOUBLE_EQ(linear->bound, 0.4);  // 40 bytes at 100 a second: more than 1000 FLOPs at 4000
  ASSERT_EQ(report.parts.size(), 2u);
  EXPECT_EQ(report.parts[1].name, "layer.0");
  EXPECT_DOUBLE_EQ(report.parts[1].backward, 3);

  const std::string text = to_markdown(report, {{"device", "made up"}});
  EXPECT_THAT(text, testing::HasSubstr("- device: made up\n"));
  EXPECT_THAT(text, testing::ContainsRegex("\\| linear +\\| forward +\\| +2 \\| +1000.000 \\| +10.0% \\|"));
  EXPECT_THAT(text, testing::ContainsRegex("\\| a step +\\| - +\\| +1 \\| 10000.000 \\| 100.0% \\|"));
}

TEST_F(MadeUp, TheTraceHasModulesAroundTheirOps) {
  r_.ranges.push_back({.name = "make samples", .thread = 1, .start = 0.5, .end = 1.5});
  const auto trace = nlohmann::json::parse(trace_json(r_, modules_of(r_, names_), {{"commit", "abc"}}));
  EXPECT_EQ(trace["otherData"]["commit"], "abc");
  std::vector<std::string> modules, threads;
  for (const auto& e : trace["traceEvents"]) {
    if (e["ph"] == "M" && e["name"] == "thread_name") threads.push_back(e["args"]["name"]);
    if (e["ph"] != "X" || e["cat"] != "module") continue;
    modules.push_back(fmt::format("{} {} {}", e["name"].get<std::string>(), e["ts"].get<double>() / 1e6,
                                  (e["ts"].get<double>() + e["dur"].get<double>()) / 1e6));
  }
  EXPECT_THAT(threads, ElementsAre("training", "data loader"));
  EXPECT_THAT(modules, testing::UnorderedElementsAre("embeddings 1 2", "embeddings.word 1 2", "layer.0 2 4.25",
                                                     "layer.0.norm1 2 2.5", "layer.0.attn 2.5 4",
                                                     "layer.0.attn.qkv 2.5 3", "layer.0.attn.proj 3.5 4", "layer.0 5 8",
                                                     "layer.0.attn 6 8", "layer.0.attn.proj 6 8"));
  const auto& last = trace["traceEvents"].back();
  EXPECT_EQ(trace["traceEvents"].size(), 1u + 4u + 12u + 10u);
  EXPECT_EQ(last["ph"], "X");
}

}  // namespace
}  // namespace gfsa::train
