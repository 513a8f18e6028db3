// evaluation.h -- what an evaluation collects, and how it tells it: figures with intervals, and what else a task has to
// say of its samples.
#pragma once

#include <limits>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "data/batch.h"
#include "params/forward_context.h"

namespace gfsa::train {

// Named figures in the order of printing.
using Metrics = std::vector<std::pair<std::string, double>>;

struct Estimate {
  double value = 0, low = 0, high = 0;  // NaN where there is none
};

// A metric as gfsa-eval tells it.
struct Figure {
  std::string name;   // "top1": in files, as in Metrics
  std::string label;  // "top-1": for people
  Estimate estimate;
  std::string interval = {};  // what the interval is: "Wilson", "normal"; "": there is none
  int digits = 4;             // after the point
  std::string unit = {};      // "%"
};

// What an evaluation tells beside its figures. Independent of the model.
class EvaluationDetails {
 public:
  virtual ~EvaluationDetails() = default;
  // Below the figures, for a terminal; every line ends with a line feed.
  virtual std::string text() const = 0;
  // More keys of the report.
  virtual void add_to(nlohmann::ordered_json& report) const = 0;
  // Pictures, as NAME + suffix + ".png" in `folder`, which is made if there are any; returns their titles and paths.
  virtual std::vector<std::pair<std::string, std::string>> draw(Env& env, const std::string& folder,
                                                                const std::string& suffix,
                                                                const std::string& title) const {
    (void)env, (void)folder, (void)suffix, (void)title;
    return {};
  }
};

// Collects figures over the samples of an evaluation. Sums are kept in f64 in sample order, so that they depend neither
// on the batch size nor on the padding of the last batch.
class Evaluation {
 public:
  virtual ~Evaluation() = default;
  // The batch lies on the CPU; what the model is to see must be brought to c.device (in blocks, if it is large). The
  // first `real` samples count; the others are padding.
  virtual void add(const data::Batch& batch, int64_t real, const ForwardContext& c) = 0;
  virtual Metrics result() const = 0;
  // The same figures, the primary one first, with 95% intervals where there are any.
  virtual std::vector<Figure> figures() const {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    std::vector<Figure> out;
    for (const auto& [name, value] : result())
      out.push_back({.name = name, .label = name, .estimate = {value, kNone, kNone}});
    return out;
  }
  virtual std::unique_ptr<EvaluationDetails> details() const { return nullptr; }
};

}  // namespace gfsa::train
