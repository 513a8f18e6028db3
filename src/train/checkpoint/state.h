// state.h -- where a run stands, and its text in a checkpoint (state.json).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "train/task.h"

namespace gfsa::train {

// Between two optimizer steps.
struct Position {
  int64_t step = 0;     // optimizer steps done
  int64_t epoch = 0;    // the epoch of the next batch
  int64_t batch = 0;    // the next batch within the epoch
  int64_t samples = 0;  // seen in training so far
  double train_seconds = 0;
  std::optional<double> best;  // of the primary metric
  int64_t best_step = -1;
  int64_t evaluated_step = -1;  // of last_eval
  Metrics last_eval;
  // train.on_non_finite: steps that had no update, in a row (rollback: since a rollback_step with good steps before
  // it); the last of them, or -1; and the step whose checkpoint a rollback returns to, or -1. That checkpoint must not
  // be removed as an old one.
  int64_t non_finite_in_a_row = 0;
  int64_t last_non_finite_step = -1;
  int64_t rollback_step = -1;

  // Takes the primary metric (name, whether more is better) of this step's evaluation as the best, if it is finite and
  // better than that of every evaluation before; returns whether it is.
  bool note_if_best(const Metrics& metrics, const std::pair<std::string, bool>& primary);
};

std::string state_text(const Position& position);
// Bad input that names `path` if the text is not a state.
Position parse_state(const std::string& text, const std::string& path);

}  // namespace gfsa::train
