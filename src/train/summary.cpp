#include "train/summary.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "formats/plot.h"
#include "train/metrics.h"

namespace gfsa::train {
namespace {

using Rows = std::vector<MetricsRow>;

const double* find(const Metrics& figures, const std::string& name) {
  for (const auto& [key, value] : figures) {
    if (key == name) return &value;
  }
  return nullptr;
}

// Names of evaluation figures, in the order of their first appearance.
std::vector<std::string> eval_names(const Rows& rows) {
  std::vector<std::string> names;
  for (const auto& row : rows) {
    if (row.kind != "eval") continue;
    for (const auto& figure : row.figures) {
      if (std::find(names.begin(), names.end(), figure.first) == names.end()) names.push_back(figure.first);
    }
  }
  return names;
}

std::string evaluation_table(const Rows& rows, const std::vector<std::string>& names) {
  if (names.empty()) return "";
  std::string head = "| step | epoch |", rule = "|---|---|", body;
  for (const auto& name : names) head += " " + name + " |", rule += "---|";
  for (const auto& row : rows) {
    if (row.kind != "eval") continue;
    body += fmt::format("| {} | {:.2f} |", row.step, row.epoch);
    for (const auto& name : names) {
      const double* value = find(row.figures, name);
      body += value != nullptr ? fmt::format(" {:.4f} |", *value) : " |";
    }
    body += "\n";
  }
  return fmt::format("\n## Evaluations\n\n{}\n{}\n{}", head, rule, body);
}

// One figure over the epochs, as training and evaluation have it.
LineChart chart_of(const Rows& rows, const std::string& title, const std::string& figure,
                   const std::vector<std::string>& kinds) {
  LineChart chart{.title = title, .x_label = "epoch", .y_label = "", .series = {}};
  for (const auto& kind : kinds) {
    Series series;
    series.name = kinds.size() > 1 ? kind : "";
    series.markers = kind == "eval";
    for (const auto& row : rows) {
      const double* value = row.kind == kind ? find(row.figures, figure) : nullptr;
      if (value != nullptr) series.x.push_back(row.epoch), series.y.push_back(*value);
    }
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  return chart;
}

// "layer 3" for "blocks.3.attn.gfsa.wK".
std::string layer_name(const std::string& name) {
  const size_t digit = name.find_first_of("0123456789");
  if (digit == std::string::npos) return name;
  return fmt::format("layer {}", std::stoi(name.substr(digit)));
}

// "wK" of "blocks.3.attn.gfsa.wK".
std::string kind_of(const std::string& name) { return name.substr(name.rfind('.') + 1); }

// The learned coefficients of one kind ("wK"): a line a head, a colour a layer.
std::vector<LineChart> coefficient_charts(const Rows& rows) {
  std::vector<LineChart> charts;
  std::vector<std::map<std::string, size_t>> firsts;  // of each chart: where a parameter's lines begin
  for (const auto& row : rows) {
    for (const auto& [name, values] : row.coefficients) {
      const std::string title = fmt::format("learned {}: a colour a layer, a line a head", kind_of(name));
      size_t c = 0;
      while (c < charts.size() && charts[c].title != title) ++c;
      if (c == charts.size()) {
        charts.push_back({.title = title, .x_label = "epoch", .y_label = "", .series = {}});
        firsts.emplace_back();
      }
      auto& series = charts[c].series;
      const auto [first, is_new] = firsts[c].emplace(name, series.size());
      if (is_new) {
        series.resize(series.size() + values.size());
        for (size_t i = first->second; i < series.size(); ++i) series[i].color = static_cast<int>(firsts[c].size()) - 1;
        if (!values.empty()) series[first->second].name = layer_name(name);
      }
      for (size_t h = 0; h < values.size() && first->second + h < series.size(); ++h) {
        series[first->second + h].x.push_back(row.epoch);
        series[first->second + h].y.push_back(values[h]);
      }
    }
  }
  return charts;
}

// Their latest values, layers by heads.
std::vector<HeatMap> coefficient_maps(const Rows& rows) {
  const auto last = std::find_if(rows.rbegin(), rows.rend(), [](const auto& row) { return !row.coefficients.empty(); });
  std::vector<HeatMap> maps;
  if (last == rows.rend()) return maps;
  for (const auto& [name, values] : last->coefficients) {
    const std::string title = fmt::format("learned {} after step {}", kind_of(name), last->step);
    auto map = std::find_if(maps.begin(), maps.end(), [&](const HeatMap& m) { return m.title == title; });
    if (map == maps.end()) {
      map = maps.insert(maps.end(), HeatMap{.title = title,
                                            .x_label = "head",
                                            .y_label = "",
                                            .values = {},
                                            .row_names = {},
                                            .column_names = {},
                                            .value_label = kind_of(name)});
      map->columns = static_cast<int64_t>(values.size());
    }
    map->rows += 1;
    map->row_names.push_back(layer_name(name));
    for (int64_t h = 0; h < map->columns; ++h) {
      const bool has = h < static_cast<int64_t>(values.size());
      map->values.push_back(has ? values[static_cast<size_t>(h)] : std::numeric_limits<double>::quiet_NaN());
    }
  }
  return maps;
}

}  // namespace

void write_summary(Env& env, const std::string& run_dir, const Facts& facts) {
  const auto rows = read_metrics(env, run_dir);
  const auto names = eval_names(rows);
  std::vector<Chart> charts;
  const auto add = [&](LineChart chart) {
    if (!chart.series.empty()) charts.emplace_back(std::move(chart));
  };
  add(chart_of(rows, "loss", "loss", {"train", "eval"}));
  for (const auto& name : names) {
    if (name != "loss") add(chart_of(rows, name, name, {"eval"}));
  }
  add(chart_of(rows, "learning rate", "lr", {"train"}));
  add(chart_of(rows, "gradient norm", "grad_norm", {"train"}));
  for (auto& chart : coefficient_charts(rows)) add(std::move(chart));
  for (auto& map : coefficient_maps(rows)) charts.emplace_back(std::move(map));
  if (!charts.empty()) save_grid(env, run_dir + "/curves.png", charts, 2);

  std::string text = fmt::format("# {}\n\n| | |\n|---|---|\n", run_dir);
  for (const auto& [name, value] : facts) text += fmt::format("| {} | {} |\n", name, value);
  text += evaluation_table(rows, names);
  if (!charts.empty()) text += "\n![curves](curves.png)\n";
  env.write(run_dir + "/summary.md", text);
}

}  // namespace gfsa::train
