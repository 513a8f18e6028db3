#include "e2e/disturbed_run.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <thread>

namespace gfsa {

int64_t soak(int64_t short_count, int64_t long_count) {
  const char* asked = std::getenv("GFSA_SOAK");
  return asked != nullptr && std::string(asked) != "0" ? long_count : short_count;
}

std::mt19937_64 moments() {
  const char* given = std::getenv("GFSA_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "moments of GFSA_SEED=" << seed << "\n";
  return std::mt19937_64(seed);
}

void sleep_seconds(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

DisturbedRunTest::DisturbedRunTest(std::vector<std::string> overrides) : overrides_(std::move(overrides)) {
  overrides_.push_back("model.depth=1");
  const auto result = train(start("undisturbed"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  metrics_ = metrics("undisturbed");
  tensors_ = tensors("undisturbed");
  const double begin = monotonic_seconds();
  test::Process process(command(start("timed")), options());
  const std::string file = folder_ / "timed/metrics.jsonl";
  std::error_code absent;
  for (uintmax_t size = 0; process.running(); sleep_seconds(0.001)) {
    const uintmax_t now = std::filesystem::file_size(file, absent);
    if (!absent && now != size) size = now, seconds_ = monotonic_seconds() - begin;
  }
  EXPECT_GT(seconds_, 0);
}

std::vector<std::string> DisturbedRunTest::start(const std::string& run) const {
  std::vector<std::string> arguments{"--config", "tiny.yaml", "run_dir=" + run};
  arguments.insert(arguments.end(), overrides_.begin(), overrides_.end());
  return arguments;
}

std::vector<std::string> DisturbedRunTest::resume(const std::string& run) const {
  return exists(run + "/config.yaml") ? std::vector<std::string>{"--resume", run} : start(run);
}

std::vector<int64_t> DisturbedRunTest::announced(const std::string& err) {
  std::vector<int64_t> steps;
  const std::string mark = "/checkpoints/step-";
  for (size_t begin = 0, end; (end = err.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = err.substr(begin, end - begin);
    const size_t path = line.find(mark);
    if (line.find(" info checkpoint ") == std::string::npos || path == std::string::npos) continue;
    steps.push_back(std::stoll(line.substr(path + mark.size())));
  }
  return steps;
}

int64_t DisturbedRunTest::newest_step(const std::string& run) const {
  const auto newest = train::CheckpointStore(Env::real(), folder_ / run).latest();
  if (newest.empty()) return -1;
  try {
    return train::CheckpointStore::load(Env::real(), newest).position.step;
  } catch (const Error& e) {
    ADD_FAILURE() << newest << " does not load: " << e.message();
    return -1;
  }
}

void DisturbedRunTest::expect_undisturbed_end(const std::string& run, const std::string& what) const {
  EXPECT_EQ(metrics(run), metrics_) << what;
  EXPECT_TRUE(tensors(run) == tensors_) << what << ": other weights than the undisturbed run";
  for (const char* file : {"config.yaml", "environment.json", "summary.md", "curves.png", "tensorboard"}) {
    EXPECT_TRUE(exists(run + "/" + file)) << what << ": no " << file;
  }
}

void DisturbedRunTest::expect_tidy(const std::string& run, const std::string& what) const {
  EXPECT_FALSE(exists(run + "/lock")) << what;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder_ / run)) {
    const std::string name = entry.path().filename().string();
    EXPECT_FALSE(name.starts_with(".") || name.ends_with(".tmp")) << what << ": left behind: " << entry.path();
  }
}

void DisturbedRunTest::expect_resumes(const std::string& run, const std::string& what) const {
  const auto result = train(resume(run));
  ASSERT_EQ(result.exit_code, 0) << what << ", going on: " << result.err;
  expect_undisturbed_end(run, what);
  expect_tidy(run, what);
}

}  // namespace gfsa
