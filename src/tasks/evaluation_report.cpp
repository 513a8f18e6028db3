#include "tasks/evaluation_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "train/evaluate.h"

namespace gfsa::tasks {
namespace {

using nlohmann::ordered_json;

constexpr double kZ = 1.959963984540054;  // 97.5% point of the normal distribution
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kLargestListedConfusion = 100;

ordered_json number(double x) { return std::isfinite(x) ? ordered_json(x) : ordered_json(nullptr); }
ordered_json count(int64_t n) { return n >= 0 ? ordered_json(n) : ordered_json(nullptr); }

ordered_json to_json(const Estimate& e, const char* interval) {
  ordered_json j;
  j["value"] = number(e.value);
  j["low"] = number(e.low);
  j["high"] = number(e.high);
  j["interval"] = interval;
  return j;
}

double percent(int64_t part, int64_t whole) {
  return whole == 0 ? kNone : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string interval_text(const Estimate& e, int digits, const char* unit) {
  if (!std::isfinite(e.low)) return "";
  return fmt::format("[{:.{}f}, {:.{}f}]{}", e.low, digits, e.high, digits, unit);
}

}  // namespace

Estimate wilson_interval(int64_t hits, int64_t count) {
  const auto n = static_cast<double>(count);
  const double p = static_cast<double>(hits) / n, z2 = kZ * kZ;
  const double center = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  // At p = 0 and p = 1 an end is p itself, but for rounding.
  return {100.0 * static_cast<double>(hits) / n, 100 * (hits == 0 ? 0 : center - half),
          100 * (hits == count ? 1 : center + half)};
}

Estimate mean_interval(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double v : values) mean += v;
  mean /= n;
  if (values.size() < 2) return {mean, kNone, kNone};
  for (const double v : values) squares += (v - mean) * (v - mean);
  const double half = kZ * std::sqrt(squares / (n - 1) / n);
  return {mean, mean - half, mean + half};
}

EvaluationReport summarize(const std::vector<ImageEvaluation::Sample>& samples,
                           const std::vector<std::string>& class_names, int64_t classes) {
  EvaluationReport r;
  r.samples = static_cast<int64_t>(samples.size());
  r.classes.resize(static_cast<size_t>(classes));
  for (size_t i = 0; i < r.classes.size(); ++i) {
    r.classes[i].name = i < class_names.size() ? class_names[i] : fmt::format("class {}", i);
  }
  r.confusion.assign(static_cast<size_t>(classes * classes), 0);
  int64_t top1 = 0, top5 = 0;
  std::vector<double> losses;
  for (const auto& s : samples) {
    top1 += s.predicted == s.label;
    top5 += s.in_top5;
    losses.push_back(s.loss);
    r.confusion[static_cast<size_t>(s.label * classes + s.predicted)] += 1;
  }
  r.top1 = wilson_interval(top1, r.samples);
  r.top5 = wilson_interval(top5, r.samples);
  r.loss = mean_interval(losses);
  for (int64_t truth = 0; truth < classes; ++truth) {
    ClassFigures& c = r.classes[static_cast<size_t>(truth)];
    for (int64_t predicted = 0; predicted < classes; ++predicted) {
      const int64_t n = r.confusion[static_cast<size_t>(truth * classes + predicted)];
      c.samples += n;
      if (predicted == truth) {
        c.hits = n;
      } else if (n > c.mistake_count) {
        c.mistake = predicted, c.mistake_count = n;
      }
    }
  }
  return r;
}

EvaluationReport evaluate(TrainedModel& trained, const std::string& split, int64_t batch_size) {
  ImageClassification& task = trained.task();
  const auto batches = task.eval_batches(split);
  const auto known = static_cast<int64_t>(task.class_names().size());
  if (known > trained.classes()) {
    bad_input("{}: the data has {} classes, but the model only {}: it was trained on other data", trained.name(), known,
              trained.classes());
  }
  const auto run = train::evaluate(task, *batches, batch_size, trained.config().evaluation_context());
  EvaluationReport r =
      summarize(dynamic_cast<const ImageEvaluation&>(*run.evaluation).samples(), task.class_names(), trained.classes());
  r.name = trained.name();
  r.weights = trained.weights();
  r.averaged = trained.averaged();
  r.split = split;
  r.model = trained.model_text();
  r.attention = trained.attention_text();
  r.precision = trained.config().precision;
  r.parameters = trained.parameters();
  if (trained.position()) r.step = trained.position()->step, r.epochs = trained.position()->epoch;
  r.seconds = run.seconds;
  return r;
}

std::string to_text(const EvaluationReport& r) {
  std::string out = fmt::format("{}: {}, {}, {} parameters\n", r.name, r.model, r.attention, human_count(r.parameters));
  out += fmt::format("weights  {}{}\n", r.weights, r.averaged ? " (averaged)" : "");
  out += fmt::format("split    {}, {} samples in {} ({:.1f} samples/s)\n\n", r.split, human_count(r.samples),
                     human_seconds(r.seconds), r.samples_per_second());
  out += fmt::format("{:<7} {:>9}   {}\n", "", "", "95% interval (top-1, top-5: Wilson; loss: normal)");
  out += fmt::format("{:<7} {:>8.2f}%   {}\n", "top-1", r.top1.value, interval_text(r.top1, 2, "%"));
  out += fmt::format("{:<7} {:>8.2f}%   {}\n", "top-5", r.top5.value, interval_text(r.top5, 2, "%"));
  out += fmt::format("{:<7} {:>9.4f}   {}\n\n", "loss", r.loss.value, interval_text(r.loss, 4, ""));

  size_t width = 5;
  for (const auto& c : r.classes) width = std::max(width, c.name.size());
  out += fmt::format("{:<{}}  {:>8}  {:>8}  {}\n", "class", width, "samples", "top-1", "most frequent mistake");
  for (const auto& c : r.classes) {
    const std::string top1 = c.samples > 0 ? fmt::format("{:.2f}%", percent(c.hits, c.samples)) : "-";
    const std::string mistake = c.mistake < 0
                                    ? "-"
                                    : fmt::format("{} ({}, {:.1f}%)", r.classes[static_cast<size_t>(c.mistake)].name,
                                                  c.mistake_count, percent(c.mistake_count, c.samples));
    out += fmt::format("{:<{}}  {:>8}  {:>8}  {}\n", c.name, width, c.samples, top1, mistake);
  }
  return out;
}

std::string to_json(const EvaluationReport& r) {
  ordered_json j;
  j["run"] = r.name;
  j["weights"] = r.weights;
  j["averaged"] = r.averaged;
  j["step"] = count(r.step);
  j["epochs"] = count(r.epochs);
  j["model"] = r.model;
  j["attention"] = r.attention;
  j["parameters"] = r.parameters;
  j["precision"] = r.precision;
  j["split"] = r.split;
  j["samples"] = r.samples;
  j["seconds"] = number(r.seconds);
  j["samples_per_second"] = number(r.samples_per_second());
  j["top1"] = to_json(r.top1, "Wilson, 95%");
  j["top5"] = to_json(r.top5, "Wilson, 95%");
  j["loss"] = to_json(r.loss, "normal, 95%");
  j["classes"] = ordered_json::array();
  for (const auto& c : r.classes) {
    ordered_json entry;
    entry["name"] = c.name;
    entry["samples"] = c.samples;
    entry["top1"] = number(percent(c.hits, c.samples));
    entry["mistake"] =
        c.mistake < 0 ? ordered_json(nullptr) : ordered_json(r.classes[static_cast<size_t>(c.mistake)].name);
    entry["mistake_count"] = c.mistake_count;
    j["classes"].push_back(std::move(entry));
  }
  const auto classes = static_cast<int64_t>(r.classes.size());
  if (classes <= kLargestListedConfusion) {
    j["confusion"] = ordered_json::array();
    for (int64_t i = 0; i < classes; ++i) {
      const auto row = r.confusion.begin() + i * classes;
      j["confusion"].push_back(std::vector<int64_t>(row, row + classes));
    }
  }
  return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

HeatMap confusion_map(const EvaluationReport& r) {
  HeatMap map;
  map.title = fmt::format("{}, {} split: top-1 {:.2f}%", std::filesystem::path(r.name).filename().string(), r.split,
                          r.top1.value);
  map.x_label = "predicted";
  map.y_label = "true";
  map.value_label = "% of the true class";
  map.rows = map.columns = static_cast<int64_t>(r.classes.size());
  map.low = 0;
  map.high = 100;
  for (const auto& c : r.classes) {
    map.row_names.push_back(c.name);
    for (size_t p = 0; p < r.classes.size(); ++p) {
      map.values.push_back(std::round(percent(r.confusion[map.values.size()], c.samples)));
    }
  }
  map.column_names = map.row_names;
  return map;
}

std::string save_confusion(Env& env, const std::string& folder, const TrainedModel& trained,
                           const EvaluationReport& r) {
  if (folder.empty() && trained.run_directory().empty()) return "";
  const std::string target = folder.empty() ? trained.run_directory() + "/eval" : folder;
  const std::string png_path = fmt::format("{}/confusion_{}{}.png", target, r.split, r.averaged ? "_ema" : "");
  env.create_directories(target);
  constexpr int kLeast = 520, kMost = 1600, kCell = 14;  // points
  const int side = std::clamp(200 + kCell * static_cast<int>(r.classes.size()), kLeast, kMost);
  save_grid(env, png_path, {confusion_map(r)}, 1, {.width = side + 60, .height = side});
  return png_path;
}

}  // namespace gfsa::tasks
