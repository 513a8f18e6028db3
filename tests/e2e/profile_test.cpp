// gfsa-train --profile: its files are read as other programs read them.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "e2e/train_program.h"

namespace gfsa {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class ProfileProgramTest : public TrainProgramTest {
 protected:
  json trace() const { return json::parse(read("run/profile.json")); }
  // FLOPs of all linear layers of the trace, forward and backward.
  int64_t linear_flops() const {
    int64_t flops = 0;
    const json all = trace();
    for (const auto& e : all["traceEvents"]) flops += e["name"] == "linear" ? e["args"]["flops"].get<int64_t>() : 0;
    return flops;
  }
  std::vector<std::string> list(const std::string& folder) const { return Env::real().list(folder_ / folder); }

  void refused(const std::vector<std::string>& arguments, const std::string& message) const {
    const auto before = Env::real().list(folder_.path());
    const auto result = train(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(Env::real().list(folder_.path()), before);
  }
};

struct Event {
  std::string name, category;
  double start, end;
  const Event* around = nullptr;  // the innermost event of its thread that it lies in
  bool lies_in(const std::string& what) const {
    return around != nullptr && (around->name == what || around->lies_in(what));
  }
};

// The events of one thread, outer ones first. Fails where two overlap without one lying in the other.
std::vector<Event> nested(const json& trace, int thread) {
  std::vector<Event> events;
  for (const auto& e : trace["traceEvents"]) {
    if (e["ph"] != "X" || e["tid"] != thread) continue;
    const double start = e["ts"], length = e["dur"];
    events.push_back({e["name"], e["cat"], start, start + length});
  }
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.start != b.start ? a.start < b.start : a.end > b.end;
  });
  constexpr double kRounding = 1e-3;  // of sums of doubles; the file has whole nanoseconds
  std::vector<Event*> open;
  for (Event& e : events) {
    while (!open.empty() && open.back()->end <= e.start + kRounding) open.pop_back();
    if (!open.empty()) {
      e.around = open.back();
      EXPECT_LE(e.end, e.around->end + kRounding) << e.name << " in " << e.around->name;
    }
    open.push_back(&e);
  }
  return events;
}

// Cells of the first table of a page by its first two columns; the third and fourth, calls and ms.
std::map<std::string, std::pair<double, double>> rows_of(const std::string& page) {
  std::map<std::string, std::pair<double, double>> rows;
  std::istringstream lines(page.substr(page.find("| op ")));
  std::string line;
  std::getline(lines, line), std::getline(lines, line);
  while (std::getline(lines, line) && line.starts_with("|")) {
    std::vector<std::string> cells;
    std::istringstream rest(line.substr(1));
    for (std::string cell; std::getline(rest, cell, '|');) {
      const size_t first = cell.find_first_not_of(' ');
      cells.push_back(cell.substr(first, cell.find_last_not_of(' ') + 1 - first));
    }
    rows[cells[0] + (cells[1] == "-" ? "" : " " + cells[1])] = {std::stod(cells[2]), std::stod(cells[3])};
  }
  return rows;
}

// Steps 3 to 9, with the evaluation and the checkpoint behind step 8.
TEST_F(ProfileProgramTest, WritesATraceAndATable) {
  const auto result = train({"--config", "tiny.yaml", "run_dir=run", "data.workers=2", "--profile", "7"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(list("run"), (std::vector<std::string>{"profile.json", "profile.md"}));
  const std::string page = read("run/profile.md");
  EXPECT_THAT(result.out, AllOf(HasSubstr(page), HasSubstr("run/profile.json")));

  const json trace = this->trace();
  std::map<int, std::string> threads;
  for (const auto& e : trace["traceEvents"]) {
    if (e["ph"] == "M" && e["name"] == "thread_name") threads[e["tid"]] = e["args"]["name"];
  }
  EXPECT_EQ(threads[0], "training");
  std::vector<std::string> others;
  for (const auto& [id, name] : threads) others.push_back(name);
  EXPECT_THAT(others, testing::Contains("data loader 2"));
  for (const auto& [id, name] : threads) EXPECT_FALSE(nested(trace, id).empty()) << name;

  const auto events = nested(trace, 0);
  std::map<std::string, int> count;
  double steps = 0;
  for (const Event& e : events) {
    ++count[e.name];
    if (e.name == "step") {
      steps += (e.end - e.start) / 1e3;
      EXPECT_EQ(e.around, nullptr);
    } else {
      EXPECT_TRUE(e.lies_in("step")) << e.name;
    }
    if (e.category == "backward") {
      EXPECT_TRUE(e.lies_in("backward")) << e.name;
    }
    if (e.category == "forward") {
      EXPECT_TRUE(e.lies_in("forward") || e.lies_in("evaluation")) << e.name;
    }
  }
  EXPECT_EQ(count["step"], 7);
  EXPECT_EQ(count["data wait"], 7);
  EXPECT_EQ(count["update"], 7);
  EXPECT_EQ(count["evaluation"], 1);
  EXPECT_EQ(count["checkpoint"], 1);
  EXPECT_EQ(count["forward"], 13);  // two batches a step; an epoch's last step has one
  EXPECT_EQ(count["backward"], 13);
  // In forward and backward of 13 batches, and in the evaluation's 2, of 32 and 8 samples.
  EXPECT_EQ(count["blocks.1.attn"], 13 + 13 + 2);
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const Event& e) {
    return e.name == "attention" && e.lies_in("blocks.1.attn") && e.lies_in("blocks.1");
  }));

  const auto rows = rows_of(page);
  double sum = 0;
  for (const auto& [name, figures] : rows) sum += name == "a step" ? 0 : figures.second;
  EXPECT_NEAR(sum, rows.at("a step").second, 0.01 * rows.at("a step").second);
  EXPECT_NEAR(7 * rows.at("a step").second, steps, 0.01 * steps);
  for (const char* row : {"linear forward", "linear backward", "attention forward", "attention backward",
                          "attention evaluation", "data wait", "optimizer", "averages", "clip gradients", "log",
                          "rest of the step", "forward, not in an op", "backward, not in an op"}) {
    EXPECT_TRUE(rows.contains(row)) << row;
  }
  // 2 blocks, of 13 batches in 7 steps.
  EXPECT_NEAR(rows.at("attention forward").first, 2 * 13 / 7.0, 1e-4);
}

TEST_F(ProfileProgramTest, RunsGoOnAsIfThereHadBeenNone) {
  ASSERT_EQ(train({"--config", "tiny.yaml", "run_dir=run", "--profile", "1"}).exit_code, 0);
  ASSERT_EQ(train({"--config", "tiny.yaml", "run_dir=run", "train.epochs=1"}).exit_code, 0);
  ASSERT_EQ(train({"--config", "tiny.yaml", "run_dir=plain", "train.epochs=1"}).exit_code, 0);
  EXPECT_EQ(metrics("run"), metrics("plain"));
  EXPECT_EQ(tensors("run"), tensors("plain"));
  EXPECT_FALSE(exists("plain/profile.json"));
  EXPECT_FALSE(exists("plain/profile.md"));
  // Also beside a run that is there.
  const auto before = read("run/metrics.jsonl");
  EXPECT_EQ(train({"--config", "tiny.yaml", "run_dir=run", "--profile", "1"}).exit_code, 0);
  EXPECT_EQ(read("run/metrics.jsonl"), before);
}

TEST_F(ProfileProgramTest, WhatCannotBeProfiled) {
  refused({"--config", "tiny.yaml", "--profile", "0"}, "--profile");
  refused({"--config", "tiny.yaml", "--profile", "x"}, "--profile");
  refused({"--config", "tiny.yaml", "--profile", "2", "--dry-run"},
          "--profile and --dry-run: leave one of the two out");
  refused({"--config", "tiny.yaml", "--profile", "2", "--benchmark", "3"}, "--profile and --benchmark: leave one");
  refused({"--config", "tiny.yaml", "--profile", "2", "--print-config"}, "--profile and --print-config: leave one");
  refused({"--config", "tiny.yaml", "--profile", "2", "--seeds", "0,1"}, "--profile is of one run; leave out --seeds");
  refused({"--config", "tiny.yaml", "--profile", "2", "--resume"}, "--profile starts from the initial weights");
  refused({"--config", "tiny.yaml", "--profile", "7", "train.epochs=1"},
          "--profile 7: the run has 8 steps, but 2 to warm up come first; lower it, or raise train.epochs");
}

TEST_F(ProfileProgramTest, OnADeviceOfItsOwn) {
  if (!why_not({DeviceType::emulated, 0}).empty()) GTEST_SKIP() << "no emulated device";
  const auto result = train({"--config", "tiny.yaml", "run_dir=run", "device=emulated", "train.batch_size=2",
                             "train.accumulate=1", "--profile", "1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto rows = rows_of(read("run/profile.md"));
  double sum = 0;
  for (const auto& [name, figures] : rows) sum += name == "a step" ? 0 : figures.second;
  EXPECT_NEAR(sum, rows.at("a step").second, 0.01 * rows.at("a step").second);
  EXPECT_EQ(rows.at("attention backward").first, 2);
  const int64_t flops = linear_flops();
  EXPECT_GT(flops, 0);
  ASSERT_EQ(
      train({"--config", "tiny.yaml", "run_dir=run", "train.batch_size=2", "train.accumulate=1", "--profile", "1"})
          .exit_code,
      0);
  EXPECT_EQ(linear_flops(), flops);
  // The work is the op's, not that of who waits for it next.
  EXPECT_GT(rows.at("attention backward").second, rows.at("backward, not in an op").second);
}

}  // namespace
}  // namespace gfsa
