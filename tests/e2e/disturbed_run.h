// disturbed_run.h -- what the tests of disturbed runs share: a run of a few steps, how it ends undisturbed, and what
// must hold of a run directory after a disturbance.
//
// GFSA_SOAK=1 in the environment asks for the long counts; GFSA_SEED=N for the random moments of an earlier run.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "e2e/train_program.h"

namespace gfsa {

// short_count, or long_count in a soak.
int64_t soak(int64_t short_count, int64_t long_count);
// The generator of the moments; prints its seed.
std::mt19937_64 moments();
void sleep_seconds(double seconds);

class DisturbedRunTest : public TrainProgramTest {
 protected:
  // The steps are 16 samples each. Runs twice undisturbed, for what is to be compared and for the time it takes.
  explicit DisturbedRunTest(std::vector<std::string> overrides);

  // Command line of a run in folder `run` (of the test's folder), or of going on with it where that is possible:
  // a run that was stopped before it wrote its config.yaml is started again.
  std::vector<std::string> start(const std::string& run) const;
  std::vector<std::string> resume(const std::string& run) const;

  // Steps of the checkpoints that standard error announces, in order.
  static std::vector<int64_t> announced(const std::string& err);
  // Step of the newest checkpoint, which must load completely; -1 if there is none.
  int64_t newest_step(const std::string& run) const;
  // The run's weights, optimizer, averages and metrics are those of the undisturbed run.
  void expect_undisturbed_end(const std::string& run, const std::string& what) const;
  // Nothing that is half-written or half-removed, and no lock.
  void expect_tidy(const std::string& run, const std::string& what) const;
  // Goes on to the end and checks it.
  void expect_resumes(const std::string& run, const std::string& what) const;

  std::vector<std::string> overrides_;
  std::vector<std::string> metrics_, tensors_;
  // From the start to the last line of metrics. What comes after, the last checkpoint and above all the drawing of the
  // curves, takes longer than such a short training: moments are drawn from the time before and a little of that.
  double seconds_ = 0;
};

}  // namespace gfsa
