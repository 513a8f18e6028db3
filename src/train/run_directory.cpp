#include "train/run_directory.h"

#include <sys/utsname.h>

#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/threads.h"
#include "core/device.h"
#include "formats/plot.h"
#include "train/version.h"

namespace gfsa::train {
namespace {

using nlohmann::ordered_json;

ordered_json number(double x) { return std::isfinite(x) ? ordered_json(x) : ordered_json(nullptr); }

LineChart chart_of(const std::vector<MetricsRow>& rows, const std::string& title, const std::vector<std::pair<std::string, std::string>>& wanted) {
  LineChart chart{.title = title, .x_label = "epoch", .y_label = "", .series = {}};
  for (const auto& [kind, name] : wanted) {
    Series series;
    series.name = wanted.size() > 1 ? kind : "";
    for (const auto& row : rows) {
      if (row.kind != kind) continue;
      for (const auto& [key, value] : row.figures) {
        if (key == name) series.x.push_back(row.epoch), series.y.push_back(value);
      }
    }
    series.markers = kind == "eval";
    if (!series.x.empty()) chart.series.push_back(std::move(series));
  }
  return chart;
}

// One line a layer: the mean over heads, which keeps 24 layers of 16 heads readable.
LineChart coefficient_chart(const std::vector<MetricsRow>& rows) {
  LineChart chart{.title = "learned filter coefficients, one line a head", .x_label = "epoch", .y_label = "", .series = {}};
  std::vector<std::string> names;
  for (const auto& row : rows) {
    for (const auto& [name, values] : row.coefficients) {
      size_t first = 0;
      while (first < chart.series.size() && names[first] != name) ++first;
      if (first == chart.series.size()) {
        for (size_t h = 0; h < values.size(); ++h) {
          names.push_back(name);
          Series series;
          series.name = h == 0 ? name : "";
          series.color = static_cast<int>(std::count_if(chart.series.begin(), chart.series.end(), [](const auto& s) { return !s.name.empty(); }));
          chart.series.push_back(series);
        }
      }
      for (size_t h = 0; h < values.size(); ++h) {
        chart.series[first + h].x.push_back(row.epoch);
        chart.series[first + h].y.push_back(values[h]);
      }
    }
  }
  return chart;
}

}  // namespace

RunDirectory::RunDirectory(Env& env, std::string path) : env_(env), path_(std::move(path)) {}

void RunDirectory::require_fresh() const {
  if (env_.exists(path_ + "/metrics.jsonl") || env_.exists(path_ + "/checkpoints")) {
    bad_input("run_dir: {} holds a run already; continue it with --resume, or name another folder with run_dir=...", path_);
  }
}

void RunDirectory::write_config(const std::string& yaml) {
  env_.create_directories(path_);
  env_.write(path_ + "/config.yaml", yaml);
}

void RunDirectory::write_environment(const Task& task, const std::string& device) {
  ordered_json j;
  utsname name{};
  ::uname(&name);
  j["program"] = kVersion;
  j["commit"] = kCommit;
  j["compiler"] = __VERSION__;
  j["started"] = utc_time_now();
  j["host"] = name.nodename;
  j["system"] = fmt::format("{} {} {}", name.sysname, name.release, name.machine);
  j["device"] = device;
  j["device_description"] = backend(parse_device(device)).description();
  j["threads"] = threads();
  j["data"] = task.data_summary();
  j["data_fingerprint"] = task.data_fingerprint();
  env_.write(path_ + "/environment.json", j.dump(2) + "\n");
}

void RunDirectory::rewind_metrics(int64_t step) {
  const std::string file = path_ + "/metrics.jsonl";
  if (!env_.exists(file)) return;
  const std::string text = env_.read(file);
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // a line torn by a crash
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    const auto j = ordered_json::parse(line, nullptr, false);
    if (!j.is_discarded() && j.value("step", int64_t{0}) <= step) kept += line + "\n";
  }
  env_.write(file, kept);
}

void RunDirectory::append_line(const std::string& line) { env_.append(path_ + "/metrics.jsonl", line + "\n"); }

TensorBoardWriter& RunDirectory::tensorboard() {
  if (!tensorboard_) {
    env_.create_directories(path_ + "/tensorboard");
    tensorboard_ = std::make_unique<TensorBoardWriter>(path_ + "/tensorboard");
  }
  return *tensorboard_;
}

void RunDirectory::log(const std::string& kind, int64_t step, double epoch, const Metrics& figures) {
  ordered_json j;
  j["kind"] = kind;
  j["step"] = step;
  j["epoch"] = epoch;
  Metrics tagged;
  for (const auto& [name, value] : figures) {
    j[name] = number(value);
    tagged.emplace_back(kind + "/" + name, value);
  }
  append_line(j.dump());
  tensorboard().scalars(step, tagged);
}

void RunDirectory::log_coefficients(int64_t step, double epoch, const std::vector<std::pair<std::string, Tensor>>& coefficients) {
  if (coefficients.empty()) return;
  ordered_json j;
  j["kind"] = "coefficients";
  j["step"] = step;
  j["epoch"] = epoch;
  Metrics tagged;
  for (const auto& [name, tensor] : coefficients) {
    const auto values = tensor.to_vector<double>();
    j[name] = values;
    for (size_t h = 0; h < values.size(); ++h) tagged.emplace_back(fmt::format("coefficients/{}/{}", name, h), values[h]);
  }
  append_line(j.dump());
  tensorboard().scalars(step, tagged);
}

std::vector<MetricsRow> read_metrics(Env& env, const std::string& run_dir) {
  std::vector<MetricsRow> rows;
  const std::string file = run_dir + "/metrics.jsonl";
  if (!env.exists(file)) return rows;
  const std::string text = env.read(file);
  for (size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const auto j = ordered_json::parse(text.substr(begin, end - begin), nullptr, false);
    if (j.is_discarded() || !j.is_object()) continue;
    MetricsRow row;
    for (const auto& [key, value] : j.items()) {
      if (key == "kind") {
        row.kind = value.get<std::string>();
      } else if (key == "step") {
        row.step = value.get<int64_t>();
      } else if (key == "epoch") {
        row.epoch = value.get<double>();
      } else if (value.is_array()) {
        row.coefficients.emplace_back(key, value.get<std::vector<double>>());
      } else {
        row.figures.emplace_back(key, value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN());
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

void RunDirectory::write_summary(const std::string& title, const std::vector<std::pair<std::string, std::string>>& facts) {
  const auto rows = read_metrics(env_, path_);
  std::string text = fmt::format("# {}\n\n| | |\n|---|---|\n", title);
  for (const auto& [name, value] : facts) text += fmt::format("| {} | {} |\n", name, value);

  std::vector<std::string> names;
  for (const auto& row : rows) {
    if (row.kind != "eval") continue;
    for (const auto& [name, value] : row.figures) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  if (!names.empty()) {
    text += "\n## Evaluations\n\n| step | epoch |";
    for (const auto& name : names) text += " " + name + " |";
    text += "\n|---|---|";
    for (size_t i = 0; i < names.size(); ++i) text += "---|";
    text += "\n";
    for (const auto& row : rows) {
      if (row.kind != "eval") continue;
      text += fmt::format("| {} | {:.2f} |", row.step, row.epoch);
      for (const auto& name : names) {
        const auto it = std::find_if(row.figures.begin(), row.figures.end(), [&](const auto& f) { return f.first == name; });
        text += it == row.figures.end() ? " |" : fmt::format(" {:.4f} |", it->second);
      }
      text += "\n";
    }
  }
  text += "\n![curves](curves.png)\n";
  env_.write(path_ + "/summary.md", text);

  std::vector<Chart> charts;
  const auto add = [&](LineChart chart) {
    if (!chart.series.empty()) charts.emplace_back(std::move(chart));
  };
  add(chart_of(rows, "loss", {{"train", "loss"}, {"eval", "loss"}}));
  for (const auto& name : names) {
    if (name != "loss") add(chart_of(rows, name, {{"eval", name}}));
  }
  add(chart_of(rows, "learning rate", {{"train", "lr"}}));
  add(chart_of(rows, "gradient norm", {{"train", "grad_norm"}}));
  add(coefficient_chart(rows));
  if (!charts.empty()) save_grid(env_, path_ + "/curves.png", charts, 2);
}

}  // namespace gfsa::train
