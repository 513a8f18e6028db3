// tiny_checkpoint.h -- checkpoints of a few hundred bytes, and the message of a refusal.
#pragma once

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/temporary_folder.h"
#include "train/checkpoint/store.h"
#include "train/fake_task.h"

namespace gfsa::train {

// Every tensor is full of `step`.
inline Snapshot tiny_snapshot(int64_t step, int64_t best = -1) {
  const auto value = static_cast<double>(step);
  Snapshot s;
  s.position.step = step;
  s.position.epoch = 1;
  s.position.batch = 3;
  s.position.samples = 16 * step;
  s.position.best_step = best;
  if (best >= 0) s.position.best = 0.25;
  s.position.evaluated_step = step;
  s.position.last_eval = {{"top1", 12.5}, {"loss", std::numeric_limits<double>::quiet_NaN()}};
  s.position.non_finite_in_a_row = 2;
  s.position.rollback_step = step - 1;
  s.model = {{"w", Tensor::full({2, 3}, value, DType::f32)}, {"b", Tensor::full({5}, value, DType::f32)}};
  s.optimizer = {{"step", Tensor::full({1}, value, DType::i64)}, {"exp_avg", Tensor::full({11}, value, DType::f32)}};
  s.config = "task: fake\n";
  return s;
}

// A run's folder with nothing but checkpoints in it.
class CheckpointFolder : public testing::Test {
 protected:
  // Names in the folder, without those that list() does not know unless `all`.
  std::vector<std::string> names(bool all = false) {
    std::vector<std::string> out;
    for (const auto& path : store_.list()) out.push_back(path.substr(checkpoints_.size() + 1));
    return all ? env_.list(checkpoints_) : out;
  }
  void flip(const std::string& path, size_t byte, int bit = 0) {
    std::string content = env_.read(path);
    content.at(byte) = static_cast<char>(content[byte] ^ (1 << bit));
    env_.write(path, content);
  }

  test::TemporaryFolder folder_;
  Env& env_ = Env::real();
  std::string checkpoints_ = folder_ / "checkpoints";
  CheckpointStore store_{env_, folder_.path()};
};

}  // namespace gfsa::train
