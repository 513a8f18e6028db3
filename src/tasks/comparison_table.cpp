#include "tasks/comparison_table.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "tasks/text_table.h"

namespace gfsa::tasks {
namespace {

using nlohmann::ordered_json;
std::string exact(double x) { return std::isfinite(x) ? fmt::format("{}", x) : ""; }
std::string exact(int64_t n) { return n >= 0 ? std::to_string(n) : ""; }

}  // namespace

std::string comparison_text(const std::vector<EvaluationReport>& reports) {
  constexpr size_t kTextColumns = 3;
  std::vector<TextRow> rows{
      {"run", "model", "attention", "parameters", "epochs", "top-1", "top-5", "loss", "samples/s"}};
  double widest = 0;
  for (const auto& r : reports) {
    rows.push_back({r.name + (r.averaged ? " (averaged)" : ""), r.model, r.attention, human_count(r.parameters),
                    r.epochs >= 0 ? std::to_string(r.epochs) : "-", fmt::format("{:.2f}%", r.top1.value),
                    fmt::format("{:.2f}%", r.top5.value), fmt::format("{:.4f}", r.loss.value),
                    fmt::format("{:.1f}", r.samples_per_second())});
    widest = std::max(widest, (r.top1.high - r.top1.low) / 2);
  }
  return text_table(rows, kTextColumns) +
         fmt::format("\n95% intervals (Wilson) of top-1 reach up to {:.2f} points to each side.\n", widest);
}

std::string comparison_csv(const std::vector<EvaluationReport>& reports) {
  std::string out =
      "run,weights,step,epochs,model,attention,parameters,precision,split,samples,top1,top1_low,top1_high,top5,top5_"
      "low,"
      "top5_high,loss,loss_low,loss_high,samples_per_second\n";
  for (const auto& r : reports) {
    TextRow row{csv_text(r.name),      csv_text(r.weights), exact(r.step), exact(r.epochs),   csv_text(r.model),
                csv_text(r.attention), exact(r.parameters), r.precision,   csv_text(r.split), exact(r.samples)};
    for (const Estimate& e : {r.top1, r.top5, r.loss}) {
      for (const double x : {e.value, e.low, e.high}) row.push_back(exact(x));
    }
    row.push_back(exact(r.samples_per_second()));
    out += fmt::format("{}\n", fmt::join(row, ","));
  }
  return out;
}

std::string comparison_json(const std::vector<EvaluationReport>& reports) {
  ordered_json all = ordered_json::array();
  for (const auto& r : reports) {
    auto j = ordered_json::parse(to_json(r));
    j.erase("classes");
    j.erase("confusion");
    all.push_back(std::move(j));
  }
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
