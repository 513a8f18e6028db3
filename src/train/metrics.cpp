#include "train/metrics.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/log.h"

namespace gfsa::train {
namespace {

using nlohmann::ordered_json;

ordered_json number(double x) { return std::isfinite(x) ? ordered_json(x) : ordered_json(nullptr); }
double number(const ordered_json& j) {
  return j.is_null() ? std::numeric_limits<double>::quiet_NaN() : j.get<double>();
}

}  // namespace

std::string to_json(const MetricsRow& row) {
  ordered_json j;
  j["kind"] = row.kind;
  j["step"] = row.step;
  j["epoch"] = row.epoch;
  for (const auto& [name, value] : row.figures) j[name] = number(value);
  for (const auto& [name, values] : row.coefficients) {
    j[name] = ordered_json::array();
    for (const double value : values) j[name].push_back(number(value));
  }
  return j.dump();
}

std::optional<MetricsRow> parse_metrics_row(std::string_view line) {
  try {
    const auto j = ordered_json::parse(line);
    MetricsRow row;
    row.kind = j.at("kind").get<std::string>();
    row.step = j.at("step").get<int64_t>();
    row.epoch = j.at("epoch").get<double>();
    for (const auto& [key, value] : j.items()) {
      if (key == "kind" || key == "step" || key == "epoch") continue;
      if (value.is_array()) {
        auto& values = row.coefficients.emplace_back(key, std::vector<double>{}).second;
        for (const auto& element : value) values.push_back(number(element));
      } else {
        row.figures.emplace_back(key, number(value));
      }
    }
    return row;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

Metrics tags_of(const MetricsRow& row) {
  Metrics tags;
  for (const auto& [name, value] : row.figures) tags.emplace_back(row.kind + "/" + name, value);
  for (const auto& [name, values] : row.coefficients) {
    for (size_t h = 0; h < values.size(); ++h) tags.emplace_back(fmt::format("{}/{}/{}", row.kind, name, h), values[h]);
  }
  return tags;
}

std::vector<MetricsRow> read_metrics(Env& env, const std::string& run_dir) {
  std::vector<MetricsRow> rows;
  const std::string file = run_dir + "/metrics.jsonl";
  if (!env.exists(file)) return rows;
  const std::string text = env.read(file);
  std::string_view rest = text;
  for (int64_t line = 1; !rest.empty(); ++line) {
    const size_t end = rest.find('\n');
    if (auto row = parse_metrics_row(rest.substr(0, end))) {
      rows.push_back(std::move(*row));
    } else if (end != std::string_view::npos && end + 1 < rest.size()) {
      log::warn("{}:{}: not a line of metrics; it is left out", file, line);
    }
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  }
  return rows;
}

}  // namespace gfsa::train
