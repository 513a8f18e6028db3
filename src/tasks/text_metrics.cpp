#include "tasks/text_metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "core/philox.h"
#include "tasks/estimates.h"

namespace gfsa::tasks {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Counts by class: of the truth, of the prediction, of both at once.
struct Counts {
  std::vector<double> truth, predicted, both;
  double n = 0;

  explicit Counts(const std::vector<ClassPair>& pairs) : n(static_cast<double>(pairs.size())) {
    size_t classes = 0;
    for (const auto& p : pairs) classes = std::max(classes, static_cast<size_t>(std::max(p.truth, p.predicted)) + 1);
    truth.assign(classes, 0), predicted.assign(classes, 0), both.assign(classes, 0);
    for (const auto& p : pairs) {
      truth[static_cast<size_t>(p.truth)] += 1;
      predicted[static_cast<size_t>(p.predicted)] += 1;
      if (p.truth == p.predicted) both[static_cast<size_t>(p.truth)] += 1;
    }
  }
  // 0 where the class is neither true nor predicted anywhere.
  double f1(size_t k) const {
    const double all = truth[k] + predicted[k];
    return all == 0 ? 0 : 2 * both[k] / all;
  }
};

std::vector<double> ranks(const std::vector<double>& x) {
  std::vector<size_t> order(x.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] < x[b]; });
  std::vector<double> out(x.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && x[order[end]] == x[order[begin]]) ++end;
    for (size_t i = begin; i < end; ++i) out[order[i]] = (static_cast<double>(begin + end) + 1) / 2;
    begin = end;
  }
  return out;
}

bool is_constant(const std::vector<double>& x) {
  return std::all_of(x.begin(), x.end(), [&](double v) { return v == x.front(); });
}

// The middle 95% of the metric over samples drawn with replacement.
train::Estimate bootstrap(const std::string& name, const std::vector<ClassPair>& pairs) {
  constexpr int kSamples = 1000;
  std::vector<double> values;
  std::vector<ClassPair> drawn(pairs.size());
  for (int i = 0; i < kSamples; ++i) {
    RandomSequence rng(RandomKey(0, "metrics.bootstrap"), static_cast<uint32_t>(i));
    for (auto& p : drawn) p = pairs[rng.below(pairs.size())];
    values.push_back(class_metric(name, drawn));
  }
  std::sort(values.begin(), values.end());
  return {class_metric(name, pairs), values[kSamples / 40], values[kSamples - 1 - kSamples / 40]};
}

}  // namespace

double accuracy(const std::vector<ClassPair>& pairs) {
  const auto hits = std::count_if(pairs.begin(), pairs.end(), [](const auto& p) { return p.truth == p.predicted; });
  return pairs.empty() ? 0 : static_cast<double>(hits) / static_cast<double>(pairs.size());
}

double f1(const std::vector<ClassPair>& pairs) {
  const Counts c(pairs);
  return c.truth.size() < 2 ? 0 : c.f1(1);
}

double macro_f1(const std::vector<ClassPair>& pairs) {
  const Counts c(pairs);
  double sum = 0, classes = 0;
  for (size_t k = 0; k < c.truth.size(); ++k) {
    if (c.truth[k] + c.predicted[k] == 0) continue;
    sum += c.f1(k);
    classes += 1;
  }
  return classes == 0 ? 0 : sum / classes;
}

double matthews(const std::vector<ClassPair>& pairs) {
  const Counts c(pairs);
  double hits = 0, truth2 = 0, predicted2 = 0, product = 0;
  for (size_t k = 0; k < c.truth.size(); ++k) {
    hits += c.both[k];
    truth2 += c.truth[k] * c.truth[k];
    predicted2 += c.predicted[k] * c.predicted[k];
    product += c.truth[k] * c.predicted[k];
  }
  const double below = (c.n * c.n - truth2) * (c.n * c.n - predicted2);
  return below == 0 ? 0 : (c.n * hits - product) / std::sqrt(below);
}

double pearson(const std::vector<double>& x, const std::vector<double>& y) {
  if (x.size() != y.size()) fail("a correlation of {} and {} values", x.size(), y.size());
  if (x.size() < 2 || is_constant(x) || is_constant(y)) return kNone;
  const auto n = static_cast<double>(x.size());
  const double mx = std::accumulate(x.begin(), x.end(), 0.0) / n, my = std::accumulate(y.begin(), y.end(), 0.0) / n;
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mx) * (x[i] - mx);
    yy += (y[i] - my) * (y[i] - my);
    xy += (x[i] - mx) * (y[i] - my);
  }
  return std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

double spearman(const std::vector<double>& x, const std::vector<double>& y) { return pearson(ranks(x), ranks(y)); }

const std::vector<std::string>& class_metrics() {
  static const std::vector<std::string> names{"accuracy", "f1", "macro_f1", "matthews"};
  return names;
}

const std::vector<std::string>& regression_metrics() {
  static const std::vector<std::string> names{"pearson", "spearman"};
  return names;
}

double class_metric(const std::string& name, const std::vector<ClassPair>& pairs) {
  if (name == "accuracy") return 100 * accuracy(pairs);
  if (name == "f1") return 100 * f1(pairs);
  if (name == "macro_f1") return 100 * macro_f1(pairs);
  if (name == "matthews") return 100 * matthews(pairs);
  fail("no class metric '{}'", name);
}

double regression_metric(const std::string& name, const std::vector<double>& truth,
                         const std::vector<double>& predicted) {
  if (name != "pearson" && name != "spearman") fail("no regression metric '{}'", name);
  const double r = name == "pearson" ? pearson(truth, predicted) : spearman(truth, predicted);
  return std::isfinite(r) ? 100 * r : 0;
}

train::Figure class_figure(const std::string& name, const std::vector<ClassPair>& pairs) {
  if (name == "accuracy") {
    const auto hits = std::count_if(pairs.begin(), pairs.end(), [](const auto& p) { return p.truth == p.predicted; });
    return {name, name, wilson_interval(hits, static_cast<int64_t>(pairs.size())), "Wilson", 2, "%"};
  }
  return {name,
          name == "macro_f1" ? "macro F1"
          : name == "f1"     ? "F1"
                             : "Matthews",
          bootstrap(name, pairs), "bootstrap", 2};
}

train::Figure regression_figure(const std::string& name, const std::vector<double>& truth,
                                const std::vector<double>& predicted) {
  constexpr double kZ = 1.959963984540054;
  const double r = regression_metric(name, truth, predicted) / 100, n = static_cast<double>(truth.size());
  train::Figure f{name, name == "pearson" ? "Pearson" : "Spearman", {100 * r, kNone, kNone}, "Fisher z", 2};
  if (n <= 3) return f;
  const double half = kZ * std::sqrt((name == "pearson" ? 1 : 1 + r * r / 2) / (n - 3));
  f.estimate.low = 100 * std::tanh(std::atanh(r) - half);
  f.estimate.high = 100 * std::tanh(std::atanh(r) + half);
  return f;
}

}  // namespace gfsa::tasks
