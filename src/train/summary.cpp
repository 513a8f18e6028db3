#include "train/summary.h"

#include <algorithm>

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

// The number in "blocks.3.attn.gfsa.wK", or -1: names a layer in a legend.
std::string short_name(const std::string& name) {
  const size_t digit = name.find_first_of("0123456789");
  if (digit == std::string::npos) return name;
  return fmt::format("layer {}", std::stoi(name.substr(digit)));
}

// The learned coefficients of one kind ("wK"): a line a head, a colour a layer.
std::vector<LineChart> coefficient_charts(const Rows& rows) {
  std::vector<LineChart> charts;
  std::vector<std::vector<std::string>> layers;  // of each chart
  for (const auto& row : rows) {
    for (const auto& [name, values] : row.coefficients) {
      const std::string kind = name.substr(name.rfind('.') + 1);
      const std::string title = fmt::format("learned {}: a colour for each layer, a line for each head", kind);
      size_t c = 0;
      while (c < charts.size() && charts[c].title != title) ++c;
      if (c == charts.size()) {
        charts.push_back({.title = title, .x_label = "epoch", .y_label = "", .series = {}});
        layers.emplace_back();
      }
      auto& series = charts[c].series;
      const size_t layer = static_cast<size_t>(std::find(layers[c].begin(), layers[c].end(), name) - layers[c].begin());
      if (layer == layers[c].size()) layers[c].push_back(name);
      for (size_t h = 0; h < values.size(); ++h) {
        const auto it = std::find_if(series.begin(), series.end(), [&, seen = size_t{0}](const Series& s) mutable {
          return s.color == static_cast<int>(layer) && seen++ == h;
        });
        Series& line = it != series.end() ? *it : series.emplace_back();
        if (line.x.empty()) {
          line.name = h == 0 ? short_name(name) : "";
          line.color = static_cast<int>(layer);
        }
        line.x.push_back(row.epoch);
        line.y.push_back(values[h]);
      }
    }
  }
  return charts;
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
  if (!charts.empty()) save_grid(env, run_dir + "/curves.png", charts, 2);

  std::string text = fmt::format("# {}\n\n| | |\n|---|---|\n", run_dir);
  for (const auto& [name, value] : facts) text += fmt::format("| {} | {} |\n", name, value);
  text += evaluation_table(rows, names);
  if (!charts.empty()) text += "\n![curves](curves.png)\n";
  env.write(run_dir + "/summary.md", text);
}

}  // namespace gfsa::train
