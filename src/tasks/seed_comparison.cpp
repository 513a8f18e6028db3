#include "tasks/seed_comparison.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "tasks/text_table.h"

namespace gfsa::tasks {
namespace {

// What makes two runs variants of each other rather than repetitions.
std::map<std::string, std::string> identity_of(const SeedRun& run) {
  std::map<std::string, std::string> identity;
  for (const auto& value : run.values) {
    if (!value.may_change && value.path != "seed") identity[value.path] = value.text;
  }
  return identity;
}

// "attention.variant" is what a user writes as attention=...
std::string short_path(const std::string& path) {
  for (const std::string ending : {".variant", ".name"}) {
    if (path.ends_with(ending)) return path.substr(0, path.size() - ending.size());
  }
  return path;
}

// Keys that all variants with that key do not agree on. Keys of a choice that only some variants made say nothing that
// the choice does not.
std::set<std::string> telling_paths(const std::vector<std::map<std::string, std::string>>& identities) {
  std::map<std::string, std::set<std::string>> texts;
  for (const auto& identity : identities) {
    for (const auto& [path, text] : identity) texts[path].insert(text);
  }
  std::set<std::string> telling;
  for (const auto& [path, different] : texts) {
    if (different.size() > 1) telling.insert(path);
  }
  return telling;
}

std::vector<int64_t> seeds_of(const RunVariant& variant) {
  std::vector<int64_t> seeds;
  for (const auto* run : variant.runs) seeds.push_back(run->seed);
  return seeds;
}

VariantTest test_between(const RunVariant& a, const RunVariant& b, size_t metric) {
  VariantTest out{a.runs[0]->metrics[metric].first, a.name, b.name, "", "", std::nullopt};
  for (const auto* v : {&a, &b}) {
    if (!v->seeds_differ()) {
      out.why_not = fmt::format("{} holds a seed twice: its runs are not independent", v->name);
    } else if (v->runs.size() < 2) {
      out.why_not =
          fmt::format("{} has n = {}: nothing can be tested with fewer than 2 seeds", v->name, v->runs.size());
    }
  }
  if (!out.why_not.empty()) return out;
  const auto x = a.metric(metric), y = b.metric(metric);
  const bool paired = seeds_of(a) == seeds_of(b);
  out.test = paired ? "paired t-test" : "Welch's t-test";
  out.result = paired ? paired_test(x, y) : welch_test(x, y);
  if (std::isnan(out.result->p)) {
    out.why_not =
        fmt::format("{}: {} do not vary from seed to seed", out.metric, paired ? "the differences" : "the values");
  }
  return out;
}

std::string csv_number(double x) { return std::isfinite(x) ? fmt::format("{}", x) : ""; }

}  // namespace

bool RunVariant::seeds_differ() const {
  const auto seeds = seeds_of(*this);
  return std::adjacent_find(seeds.begin(), seeds.end()) == seeds.end();
}

std::vector<double> RunVariant::metric(size_t index) const {
  std::vector<double> values;
  for (const auto* run : runs) values.push_back(run->metrics[index].second);
  return values;
}

std::vector<RunVariant> group_by_config(const std::vector<SeedRun>& runs) {
  std::vector<RunVariant> variants;
  std::vector<std::map<std::string, std::string>> identities;
  for (const auto& run : runs) {
    const auto identity = identity_of(run);
    const auto at = std::find(identities.begin(), identities.end(), identity) - identities.begin();
    if (at == static_cast<ptrdiff_t>(identities.size())) {
      identities.push_back(identity);
      variants.emplace_back();
    }
    variants[static_cast<size_t>(at)].runs.push_back(&run);
  }
  const auto telling = telling_paths(identities);
  for (size_t i = 0; i < variants.size(); ++i) {
    std::vector<std::string> parts;
    for (const auto& path : telling) {
      const auto value = identities[i].find(path);
      if (value != identities[i].end()) parts.push_back(short_path(path) + "=" + value->second);
    }
    variants[i].name = parts.empty() ? "all runs" : fmt::format("{}", fmt::join(parts, " "));
    std::stable_sort(variants[i].runs.begin(), variants[i].runs.end(),
                     [](const auto* a, const auto* b) { return a->seed < b->seed; });
  }
  return variants;
}

std::vector<VariantTest> compare_variants(const std::vector<RunVariant>& variants) {
  std::vector<VariantTest> tests;
  for (size_t metric = 0; metric < variants.at(0).runs[0]->metrics.size(); ++metric) {
    for (size_t a = 0; a < variants.size(); ++a) {
      for (size_t b = a + 1; b < variants.size(); ++b) tests.push_back(test_between(variants[a], variants[b], metric));
    }
  }
  return tests;
}

std::string variants_text(const std::vector<RunVariant>& variants) {
  const auto& metrics = variants.at(0).runs[0]->metrics;
  std::vector<TextRow> rows{{"variant", "metric", "n", "mean", "sd", "95% interval", "seeds"}};
  const auto interval = [](double low, double high) {
    return std::isfinite(low) ? fmt::format("[{:.4f}, {:.4f}]", low, high) : "-";
  };
  bool repeated = false;
  for (size_t m = 0; m < metrics.size(); ++m) {
    for (const auto& v : variants) {
      const bool sound = v.seeds_differ();
      repeated = repeated || !sound;
      const Sample s = describe_sample(v.metric(m));
      rows.push_back({v.name, metrics[m].first, std::to_string(s.n), number_text(s.mean),
                      sound ? number_text(s.sd) : "-", sound ? interval(s.low, s.high) : "-",
                      fmt::format("{}", fmt::join(seeds_of(v), ","))});
    }
  }
  std::string out = text_table(rows, 2) + "95% intervals: Student's t over seeds, taken as independent and normal.\n";
  if (repeated) out += "A seed stands twice: runs of one seed are not independent, so there is no sd.\n";
  if (variants.size() < 2) return out;

  rows = {{"second less first", "metric", "test", "difference", "95% interval", "t", "df", "p"}};
  std::set<std::string> reasons, tests;
  const auto all = compare_variants(variants);
  for (const auto& t : all) {
    if (!t.why_not.empty()) reasons.insert(t.why_not);
    if (!t.result || std::isnan(t.result->p)) continue;
    tests.insert(t.test);
    rows.push_back({fmt::format("{} - {}", t.second, t.first), t.metric, t.test,
                    fmt::format("{:+.4f}", t.result->difference), interval(t.result->low, t.result->high),
                    fmt::format("{:.3f}", t.result->t), fmt::format("{:.2f}", t.result->degrees),
                    t.result->p < 1e-4 ? fmt::format("{:.1e}", t.result->p) : fmt::format("{:.4f}", t.result->p)});
  }
  if (rows.size() > 1) out += "\n" + text_table(rows, 3);
  if (tests.count("paired t-test") != 0) {
    out +=
        "paired t-test (two-sided): runs of one seed belong together; their differences are independent and normal.\n";
  }
  if (tests.count("Welch's t-test") != 0) {
    out += "Welch's t-test (two-sided): seeds are independent and normal in each variant; variances may differ.\n";
  }
  if (rows.size() > 2) out += fmt::format("p is not corrected for the {} tests made.\n", rows.size() - 1);
  for (const auto& reason : reasons) out += fmt::format("not tested: {}\n", reason);
  return out;
}

std::string variants_csv(const std::vector<RunVariant>& variants) {
  std::string out = "kind,metric,variant,other,n,mean,sd,low,high,test,difference,t,df,p,note\n";
  const auto& metrics = variants.at(0).runs[0]->metrics;
  for (size_t m = 0; m < metrics.size(); ++m) {
    for (const auto& v : variants) {
      const Sample s = describe_sample(v.metric(m));
      const bool sound = v.seeds_differ();
      out += fmt::format("variant,{},{},,{},{},{},{},{},,,,,,{}\n", metrics[m].first, csv_text(v.name), s.n,
                         csv_number(s.mean), sound ? csv_number(s.sd) : "", sound ? csv_number(s.low) : "",
                         sound ? csv_number(s.high) : "", sound ? "" : "a seed stands twice");
    }
  }
  for (const auto& t : compare_variants(variants)) {
    const TTest r = t.result.value_or(TTest{NAN, NAN, NAN, NAN, NAN, NAN});
    out += fmt::format("test,{},{},{},,,,{},{},{},{},{},{},{},{}\n", t.metric, csv_text(t.second), csv_text(t.first),
                       csv_number(r.low), csv_number(r.high), csv_text(t.test), csv_number(r.difference),
                       csv_number(r.t), csv_number(r.degrees), csv_number(r.p), csv_text(t.why_not));
  }
  return out;
}

PointChart variants_chart(const std::vector<RunVariant>& variants) {
  PointChart chart;
  chart.title = "Over seeds: mean and 95% interval";
  chart.y_label = variants.at(0).runs[0]->metrics[0].first;
  for (const auto& v : variants) {
    const Sample s = describe_sample(v.metric(0));
    const bool sound = v.seeds_differ();
    chart.groups.push_back({v.name, v.metric(0), s.mean, sound ? s.low : NAN, sound ? s.high : NAN});
  }
  return chart;
}

void save_variants(Env& env, const std::string& path, const std::vector<RunVariant>& variants) {
  const std::string stem = path.substr(0, path.rfind('.')) + "_variants";
  env.write(stem + ".csv", variants_csv(variants));
  const int width = std::clamp(160 + 110 * static_cast<int>(variants.size()), 360, 1200);
  save_grid(env, stem + ".png", {variants_chart(variants)}, 1, {.width = width, .height = 400});
}

SeedRun seed_run_of(TrainedModel& trained, const EvaluationReport& report) {
  SeedRun run{trained.name(), trained.config().seed, config::config_values(trained.config()), {}};
  for (const auto& f : report.figures) run.metrics.emplace_back(f.name, f.estimate.value);
  return run;
}

std::vector<int64_t> seeds_in(const std::string& folder, Env& env) {
  std::vector<int64_t> seeds;
  if (!env.is_directory(folder)) return seeds;
  const std::string prefix = "seed-";
  for (const auto& name : env.list(folder)) {
    if (!name.starts_with(prefix)) continue;
    int64_t seed = -1;
    const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), seed);
    if (error == std::errc() && end == name.data() + name.size() && seed >= 0) seeds.push_back(seed);
  }
  std::sort(seeds.begin(), seeds.end());
  return seeds;
}

std::vector<std::string> expand_seed_folders(const std::vector<std::string>& words, Env& env) {
  std::vector<std::string> out;
  for (const auto& word : words) {
    const auto seeds = seeds_in(word, env);
    for (const int64_t seed : seeds) out.push_back(fmt::format("{}/seed-{}", word, seed));
    if (seeds.empty()) out.push_back(word);
  }
  return out;
}

}  // namespace gfsa::tasks
