#include "train/checkpoint_state.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/error.h"

namespace gfsa::train {

using nlohmann::ordered_json;

bool Position::note_if_best(const Metrics& metrics, const std::pair<std::string, bool>& primary) {
  for (const auto& [name, value] : metrics) {
    if (name != primary.first || !std::isfinite(value)) continue;
    if (best && (primary.second ? value <= *best : value >= *best)) return false;
    best = value;
    best_step = step;
    return true;
  }
  return false;
}

std::string state_text(const Position& p) {
  ordered_json j;
  j["step"] = p.step;
  j["epoch"] = p.epoch;
  j["batch"] = p.batch;
  j["samples"] = p.samples;
  j["train_seconds"] = p.train_seconds;
  if (p.best) j["best"] = *p.best;
  j["best_step"] = p.best_step;
  j["evaluated_step"] = p.evaluated_step;
  j["last_eval"] = ordered_json::object();
  for (const auto& [name, value] : p.last_eval) j["last_eval"][name] = value;
  j["non_finite_in_a_row"] = p.non_finite_in_a_row;
  j["last_non_finite_step"] = p.last_non_finite_step;
  j["rollback_step"] = p.rollback_step;
  j["written"] = utc_time_now();
  return j.dump(2) + "\n";
}

Position parse_state(const std::string& text, const std::string& path) {
  try {
    const auto j = ordered_json::parse(text);
    Position p;
    p.step = j.at("step");
    p.epoch = j.at("epoch");
    p.batch = j.at("batch");
    p.samples = j.at("samples");
    p.train_seconds = j.at("train_seconds");
    if (j.contains("best")) p.best = j.at("best").get<double>();
    p.best_step = j.at("best_step");
    p.evaluated_step = j.at("evaluated_step");
    p.non_finite_in_a_row = j.at("non_finite_in_a_row");
    p.last_non_finite_step = j.at("last_non_finite_step");
    p.rollback_step = j.at("rollback_step");
    if (p.step < 0 || p.epoch < 0 || p.batch < 0) bad_input("{}: the position is negative", path);
    for (const auto& [name, value] : j.at("last_eval").items()) {
      p.last_eval.emplace_back(name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
    }
    return p;
  } catch (const nlohmann::json::exception& e) {
    bad_input("{}: damaged, this is not a checkpoint's state: {}", path, e.what());
  }
}

}  // namespace gfsa::train
