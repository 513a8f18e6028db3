#include "tasks/class_table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace gfsa::tasks {
namespace {

using nlohmann::ordered_json;

constexpr int64_t kLargestListedConfusion = 100;

double percent(int64_t part, int64_t whole) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  return whole == 0 ? kNone : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

ClassTable::ClassTable(const std::vector<std::pair<int64_t, int64_t>>& samples,
                       const std::vector<std::string>& class_names, int64_t classes,
                       std::pair<std::string, std::string> hit_name)
    : classes_(static_cast<size_t>(classes)),
      confusion_(static_cast<size_t>(classes * classes)),
      hit_name_(std::move(hit_name)) {
  for (size_t i = 0; i < classes_.size(); ++i) {
    classes_[i].name = i < class_names.size() ? class_names[i] : fmt::format("class {}", i);
  }
  for (const auto& [truth, predicted] : samples) confusion_[static_cast<size_t>(truth * classes + predicted)] += 1;
  for (int64_t truth = 0; truth < classes; ++truth) {
    ClassFigures& c = classes_[static_cast<size_t>(truth)];
    for (int64_t predicted = 0; predicted < classes; ++predicted) {
      const int64_t n = confusion_[static_cast<size_t>(truth * classes + predicted)];
      c.samples += n;
      if (predicted == truth) {
        c.hits = n;
      } else if (n > c.mistake_count) {
        c.mistake = predicted, c.mistake_count = n;
      }
    }
  }
}

std::string ClassTable::text() const {
  size_t width = 5;
  for (const auto& c : classes_) width = std::max(width, c.name.size());
  std::string out =
      fmt::format("{:<{}}  {:>8}  {:>8}  {}\n", "class", width, "samples", hit_name_.second, "most frequent mistake");
  for (const auto& c : classes_) {
    const std::string hits = c.samples > 0 ? fmt::format("{:.2f}%", percent(c.hits, c.samples)) : "-";
    const std::string mistake = c.mistake < 0
                                    ? "-"
                                    : fmt::format("{} ({}, {:.1f}%)", classes_[static_cast<size_t>(c.mistake)].name,
                                                  c.mistake_count, percent(c.mistake_count, c.samples));
    out += fmt::format("{:<{}}  {:>8}  {:>8}  {}\n", c.name, width, c.samples, hits, mistake);
  }
  return out;
}

void ClassTable::add_to(ordered_json& report) const {
  report["classes"] = ordered_json::array();
  for (const auto& c : classes_) {
    const double hits = percent(c.hits, c.samples);
    ordered_json entry;
    entry["name"] = c.name;
    entry["samples"] = c.samples;
    entry[hit_name_.first] = std::isfinite(hits) ? ordered_json(hits) : ordered_json(nullptr);
    entry["mistake"] =
        c.mistake < 0 ? ordered_json(nullptr) : ordered_json(classes_[static_cast<size_t>(c.mistake)].name);
    entry["mistake_count"] = c.mistake_count;
    report["classes"].push_back(std::move(entry));
  }
  const auto classes = static_cast<int64_t>(classes_.size());
  if (classes > kLargestListedConfusion) return;
  report["confusion"] = ordered_json::array();
  for (int64_t i = 0; i < classes; ++i) {
    const auto row = confusion_.begin() + i * classes;
    report["confusion"].push_back(std::vector<int64_t>(row, row + classes));
  }
}

HeatMap ClassTable::confusion_map(const std::string& title) const {
  HeatMap map;
  map.title = title;
  map.x_label = "predicted";
  map.y_label = "true";
  map.value_label = "% of the true class";
  map.rows = map.columns = static_cast<int64_t>(classes_.size());
  map.low = 0;
  map.high = 100;
  for (const auto& c : classes_) {
    map.row_names.push_back(c.name);
    for (size_t p = 0; p < classes_.size(); ++p) {
      map.values.push_back(std::round(percent(confusion_[map.values.size()], c.samples)));
    }
  }
  map.column_names = map.row_names;
  return map;
}

std::vector<std::pair<std::string, std::string>> ClassTable::draw(Env& env, const std::string& folder,
                                                                  const std::string& suffix,
                                                                  const std::string& title) const {
  const std::string path = fmt::format("{}/confusion{}.png", folder, suffix);
  env.create_directories(folder);
  constexpr int kLeast = 520, kMost = 1600, kCell = 14;  // points
  const int side = std::clamp(200 + kCell * static_cast<int>(classes_.size()), kLeast, kMost);
  save_grid(env, path, {confusion_map(title)}, 1, {.width = side + 60, .height = side});
  return {{"confusion matrix", path}};
}

}  // namespace gfsa::tasks
