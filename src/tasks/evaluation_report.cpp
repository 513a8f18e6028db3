#include "tasks/evaluation_report.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "train/evaluate.h"

namespace gfsa::tasks {
namespace {

using nlohmann::ordered_json;
using train::Estimate;
using train::Figure;

ordered_json number(double x) { return std::isfinite(x) ? ordered_json(x) : ordered_json(nullptr); }
ordered_json count(int64_t n) { return n >= 0 ? ordered_json(n) : ordered_json(nullptr); }

ordered_json to_json(const Figure& f) {
  ordered_json j;
  j["value"] = number(f.estimate.value);
  j["low"] = number(f.estimate.low);
  j["high"] = number(f.estimate.high);
  j["interval"] = f.interval.empty() ? ordered_json(nullptr) : ordered_json(f.interval + ", 95%");
  return j;
}

std::string interval_text(const Figure& f) {
  const Estimate& e = f.estimate;
  if (!std::isfinite(e.low)) return "";
  return fmt::format("[{:.{}f}, {:.{}f}]{}", e.low, f.digits, e.high, f.digits, f.unit);
}

// "95% interval (top-1, top-5: Wilson; loss: normal)", or "" if there is none.
std::string interval_kinds(const std::vector<Figure>& figures) {
  std::string out, last;
  for (const Figure& f : figures) {
    if (f.interval.empty()) continue;
    if (!out.empty()) out += f.interval == last ? ", " : fmt::format(": {}; ", last);
    out += f.label;
    last = f.interval;
  }
  return out.empty() ? "" : fmt::format("95% interval ({}: {})", out, last);
}

}  // namespace

EvaluationReport summarize(const train::Evaluation& evaluation, int64_t samples) {
  EvaluationReport r;
  r.samples = samples;
  r.figures = evaluation.figures();
  r.details = evaluation.details();
  return r;
}

EvaluationReport evaluate(TrainedModel& trained, const std::string& split, int64_t batch_size) {
  train::Task& task = trained.task();
  const auto batches = task.eval_batches(split);
  const auto run = train::evaluate(task, *batches, batch_size, trained.config().evaluation_context());
  EvaluationReport r = summarize(*run.evaluation, run.samples);
  r.name = trained.name();
  r.weights = trained.weights();
  r.averaged = trained.averaged();
  r.split = split;
  r.model = task.model_text();
  r.attention = task.attention_text();
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
  size_t width = 7;
  for (const Figure& f : r.figures) width = std::max(width, f.label.size());
  const auto line = [&](const std::string& label, const std::string& value, const std::string& interval) {
    std::string text = fmt::format("{:<{}} {:>9}   {}", label, width, value, interval);
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  if (const auto kinds = interval_kinds(r.figures); !kinds.empty()) line("", "", kinds);
  for (const Figure& f : r.figures) {
    line(f.label, fmt::format("{:.{}f}{}", f.estimate.value, f.digits, f.unit), interval_text(f));
  }
  return r.details ? out + "\n" + r.details->text() : out;
}

std::string to_json(const EvaluationReport& r, bool with_details) {
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
  for (const Figure& f : r.figures) j[f.name] = to_json(f);
  if (with_details && r.details) r.details->add_to(j);
  return j.dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

std::vector<std::pair<std::string, std::string>> save_pictures(Env& env, const std::string& folder,
                                                               const TrainedModel& trained, const EvaluationReport& r) {
  if (!r.details || (folder.empty() && trained.run_directory().empty())) return {};
  const Figure& first = r.figures.at(0);
  const std::string title =
      fmt::format("{}, {} split: {} {:.{}f}{}", std::filesystem::path(r.name).filename().string(), r.split, first.label,
                  first.estimate.value, std::min(first.digits, 2), first.unit);
  const std::string suffix = fmt::format("_{}{}", r.split, r.averaged ? "_ema" : "");
  return r.details->draw(env, folder.empty() ? trained.run_directory() + "/eval" : folder, suffix, title);
}

}  // namespace gfsa::tasks
