#include "train/checkpoint/state.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/error.h"
#include "base/strings.h"

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
  if (!is_valid_utf8(text)) bad_input("{}: damaged, this is not UTF-8 text", path);
  try {
    const auto j = ordered_json::parse(text);
    const auto whole = [&](const char* key) {  // a conversion would make any number of 1e300
      const auto& value = j.at(key);
      if (!value.is_number_integer()) bad_input("{}: '{}' is {}, expected a whole number", path, key, value.dump());
      return value.get<int64_t>();
    };
    Position p;
    p.step = whole("step");
    p.epoch = whole("epoch");
    p.batch = whole("batch");
    p.samples = whole("samples");
    p.train_seconds = j.at("train_seconds");
    if (j.contains("best")) p.best = j.at("best").get<double>();
    p.best_step = whole("best_step");
    p.evaluated_step = whole("evaluated_step");
    p.non_finite_in_a_row = whole("non_finite_in_a_row");
    p.last_non_finite_step = whole("last_non_finite_step");
    p.rollback_step = whole("rollback_step");
    if (p.step < 0 || p.epoch < 0 || p.batch < 0) bad_input("{}: the position is negative", path);
    for (const auto& [name, value] : j.at("last_eval").items()) {
      p.last_eval.emplace_back(name, value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
    }
    return p;
  } catch (const nlohmann::json::parse_error& e) {  // its text may end within a character
    bad_input("{}: damaged, this is not a checkpoint's state: no JSON from its byte {} on", path, e.byte);
  } catch (const nlohmann::json::exception& e) {
    bad_input("{}: damaged, this is not a checkpoint's state: {}", path, e.what());
  }
}

}  // namespace gfsa::train
