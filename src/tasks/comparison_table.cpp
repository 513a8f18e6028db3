#include "tasks/comparison_table.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "tasks/text_table.h"

namespace gfsa::tasks {
namespace {

using nlohmann::ordered_json;
std::string exact(double x) { return std::isfinite(x) ? fmt::format("{}", x) : ""; }
std::string exact(int64_t n) { return n >= 0 ? std::to_string(n) : ""; }

}  // namespace

void require_comparable(const std::vector<EvaluationReport>& reports) {
  const auto names = [](const EvaluationReport& r) {
    std::vector<std::string> out;
    for (const auto& f : r.figures) out.push_back(f.name);
    return out;
  };
  for (const auto& r : reports) {
    if (names(r) == names(reports[0])) continue;
    bad_input("{} and {} cannot be compared: one has {}, the other {}", reports[0].name, r.name,
              fmt::join(names(reports[0]), ", "), fmt::join(names(r), ", "));
  }
}

std::string comparison_text(const std::vector<EvaluationReport>& reports) {
  constexpr size_t kTextColumns = 3;
  const auto text_of = [](const train::Figure& f) {
    return fmt::format("{:.{}f}{}", f.estimate.value, f.digits, f.unit);
  };
  std::vector<TextRow> rows{{"run", "model", "attention", "parameters", "epochs"}};
  for (const auto& f : reports.at(0).figures) rows[0].push_back(f.label);
  rows[0].push_back("samples/s");
  double widest = 0;
  for (const auto& r : reports) {
    TextRow row{r.name + (r.averaged ? " (averaged)" : ""), r.model, r.attention, human_count(r.parameters),
                r.epochs >= 0 ? std::to_string(r.epochs) : "-"};
    for (const auto& f : r.figures) row.push_back(text_of(f));
    row.push_back(fmt::format("{:.1f}", r.samples_per_second()));
    rows.push_back(std::move(row));
    widest = std::max(widest, (r.figures[0].estimate.high - r.figures[0].estimate.low) / 2);
  }
  const auto& primary = reports[0].figures[0];
  std::string out = text_table(rows, kTextColumns);
  if (primary.interval.empty()) return out;
  return out + fmt::format("\n95% intervals ({}) of {} reach up to {:.{}f}{} to each side.\n", primary.interval,
                           primary.label, widest, primary.digits, primary.unit == "%" ? " points" : "");
}

std::string comparison_csv(const std::vector<EvaluationReport>& reports) {
  std::string out = "run,weights,step,epochs,model,attention,parameters,precision,split,samples";
  for (const auto& f : reports.at(0).figures) out += fmt::format(",{0},{0}_low,{0}_high", f.name);
  out += ",samples_per_second\n";
  for (const auto& r : reports) {
    TextRow row{csv_text(r.name),      csv_text(r.weights), exact(r.step), exact(r.epochs),   csv_text(r.model),
                csv_text(r.attention), exact(r.parameters), r.precision,   csv_text(r.split), exact(r.samples)};
    for (const auto& f : r.figures) {
      for (const double x : {f.estimate.value, f.estimate.low, f.estimate.high}) row.push_back(exact(x));
    }
    row.push_back(exact(r.samples_per_second()));
    out += fmt::format("{}\n", fmt::join(row, ","));
  }
  return out;
}

std::string comparison_json(const std::vector<EvaluationReport>& reports) {
  ordered_json all = ordered_json::array();
  for (const auto& r : reports) all.push_back(ordered_json::parse(to_json(r, false)));
  return all.dump(2) + "\n";
}

void save_reports(Env& env, const std::string& path, const std::vector<EvaluationReport>& reports) {
  if (path.ends_with(".csv")) {
    env.write(path, comparison_csv(reports));
  } else {
    env.write(path, reports.size() == 1 ? to_json(reports[0]) : comparison_json(reports));
  }
}

}  // namespace gfsa::tasks
