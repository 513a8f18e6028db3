// metrics.h -- the lines of metrics.jsonl, one JSON object each:
//
//   {"kind":"train","step":40,"epoch":0.31,"loss":1.9,"lr":0.001,"grad_norm":2.1,"samples_per_second":812.5,...}
//   {"kind":"eval","step":128,"epoch":1.0,"top1":62.1,"top5":95.8,"loss":1.1}
//   {"kind":"coefficients","step":128,"epoch":1.0,"blocks.0.attn.gfsa.wK":[0.12,-0.07,0.31]}
//   {"kind":"non_finite","step":131,"epoch":1.01,"loss":null,"grad_norm":null,"in_a_row":1}
//
// Figures that are not finite are null. Of a training line, samples_per_second, data_wait and memory_mib depend on the
// machine; everything else is the same in every run of a configuration.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/env.h"
#include "train/task.h"

namespace gfsa::train {

struct MetricsRow {
  std::string kind;
  int64_t step = 0;
  double epoch = 0;
  Metrics figures;                                                        // kinds train and eval
  std::vector<std::pair<std::string, std::vector<double>>> coefficients;  // kind coefficients: one value a head
};

std::string to_json(const MetricsRow& row);
// Nothing if the line is not one.
std::optional<MetricsRow> parse_metrics_row(std::string_view line);
// As TensorBoard shows it: train/loss, coefficients/blocks.0.attn.gfsa.wK/2.
Metrics tags_of(const MetricsRow& row);

// The run's metrics.jsonl; no rows if there is none. A last line that is torn (the process was killed while it wrote)
// is left out; lines elsewhere that are none are left out with a warning that names file and line.
std::vector<MetricsRow> read_metrics(Env& env, const std::string& run_dir);

}  // namespace gfsa::train
