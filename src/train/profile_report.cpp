#include "train/profile_report.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "base/error.h"

namespace gfsa::train {
namespace {

using profile::Kind;
using profile::Range;

double length(const Range& range) { return range.end - range.start; }

// What the rest of a phase is called, where others are cut out of it.
std::string name_of_rest(std::string_view phase) {
  if (phase == "step") return "rest of the step";
  if (phase == "forward" || phase == "backward") return fmt::format("{}, not in an op", phase);
  if (phase == "update") return "update, the rest";
  return std::string(phase);
}

class Summary {
 public:
  Summary(const profile::Recording& recording, const std::vector<Module>& modules, const Roofline& roofline)
      : ranges_(recording.ranges), modules_(modules), roofline_(roofline) {}

  ProfileReport make() {
    std::vector<double> own_seconds(ranges_.size());
    std::vector<int64_t> own_flops(ranges_.size());
    for (size_t i = 0; i < ranges_.size(); ++i) {
      own_seconds[i] += length(ranges_[i]), own_flops[i] += ranges_[i].flops;
      if (ranges_[i].parent < 0) continue;
      const auto parent = static_cast<size_t>(ranges_[i].parent);
      own_seconds[parent] -= length(ranges_[i]), own_flops[parent] -= ranges_[i].flops;
    }
    for (size_t i = 0; i < ranges_.size(); ++i) {
      if (ranges_[i].thread != 0 || !is_in_step(i)) continue;
      if (ranges_[i].parent < 0) report_.steps += 1, report_.step_seconds += length(ranges_[i]);
      take(i, own_seconds[i], static_cast<double>(own_flops[i]));
    }
    for (const auto& [key, row] : rows_) (row.pass.empty() ? report_.rest : report_.ops).push_back(row);
    for (auto* rows : {&report_.ops, &report_.rest}) {
      std::stable_sort(rows->begin(), rows->end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    }
    return std::move(report_);
  }

 private:
  const Range& at(int64_t i) const { return ranges_[static_cast<size_t>(i)]; }
  bool is_in_step(size_t i) const {
    auto top = static_cast<int64_t>(i);
    while (at(top).parent >= 0) top = at(top).parent;
    return at(top).kind == Kind::phase && std::string_view(at(top).name) == "step";
  }

  // Of an op.
  std::string pass_of(const Range& range) const {
    if (range.kind == Kind::backward) return "backward";
    for (int64_t around = range.parent; around >= 0; around = at(around).parent) {
      if (at(around).kind == Kind::backward) return "recompute";
      if (at(around).kind == Kind::phase && std::string_view(at(around).name) == "evaluation") return "evaluation";
    }
    return "forward";
  }

  void take(size_t i, double seconds, double flops) {
    const Range* range = &ranges_[i];
    const bool is_op = range->kind == Kind::forward || range->kind == Kind::backward;
    const bool is_module = range->kind == Kind::module;  // no row: what is not in an op of it is its phase's
    while (range->kind == Kind::module) range = &at(range->parent);
    const bool is_op_row = range->kind != Kind::phase;
    const std::string pass = is_op_row ? pass_of(*range) : "";
    const std::string name = is_op_row ? range->name : name_of_rest(range->name);
    ProfileRow& row = rows_[{name, pass}];
    row.name = name, row.pass = pass;
    row.calls += is_module ? 0 : 1;
    row.seconds += seconds;
    row.flops += flops;
    const auto bytes = static_cast<double>(ranges_[i].bytes);
    row.bytes += bytes;
    row.bound += roofline_.seconds(flops, bytes);
    if (is_op) add_to_part(modules_[i].path, pass, seconds);
  }

  void add_to_part(const std::string& path, const std::string& pass, double seconds) {
    if (pass == "evaluation") return;
    const std::string part = part_of(path);
    auto& parts = report_.parts;
    auto found = std::find_if(parts.begin(), parts.end(), [&](const auto& p) { return p.name == part; });
    if (found == parts.end()) found = parts.insert(found, ProfilePart{part});
    (pass == "forward" ? found->forward : found->backward) += seconds;
  }

  const std::vector<Range>& ranges_;
  const std::vector<Module>& modules_;
  const Roofline& roofline_;
  ProfileReport report_;
  std::map<std::pair<std::string, std::string>, ProfileRow> rows_;
};

// A table in Markdown with aligned columns; the first `text_columns` on the left.
std::string table(const std::vector<std::vector<std::string>>& rows, size_t text_columns) {
  std::vector<size_t> widths(rows[0].size(), 3);
  for (const auto& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string out;
  for (size_t r = 0; r < rows.size(); ++r) {
    for (size_t c = 0; c < rows[r].size(); ++c) {
      out += c < text_columns ? fmt::format("| {:<{}} ", rows[r][c], widths[c])
                              : fmt::format("| {:>{}} ", rows[r][c], widths[c]);
    }
    out += "|\n";
    if (r > 0) continue;
    for (size_t c = 0; c < widths.size(); ++c) {
      out += c < text_columns ? fmt::format("|:{:-<{}}-", "", widths[c]) : fmt::format("|-{:-<{}}:", "", widths[c]);
    }
    out += "|\n";
  }
  return out;
}

std::string rate(double work, double seconds) {
  return work > 0 && seconds > 0 ? fmt::format("{:.1f}", work / seconds / 1e9) : "-";
}

}  // namespace

ProfileReport summarise(const profile::Recording& recording, const std::vector<Module>& modules,
                        const Roofline& roofline) {
  return Summary(recording, modules, roofline).make();
}

std::string to_markdown(const ProfileReport& r, const std::vector<std::pair<std::string, std::string>>& facts) {
  const auto steps = static_cast<double>(std::max<int64_t>(r.steps, 1));
  const auto milliseconds = [&](double seconds) { return fmt::format("{:.3f}", 1e3 * seconds / steps); };
  const auto share = [&](double seconds) { return fmt::format("{:.1f}%", 100 * seconds / r.step_seconds); };
  const auto cells = [&](const ProfileRow& row) -> std::vector<std::string> {
    const bool bounded = row.bound > 0;
    return {row.name,
            row.pass.empty() ? "-" : row.pass,
            fmt::format("{:.6g}", static_cast<double>(row.calls) / steps),
            milliseconds(row.seconds),
            share(row.seconds),
            rate(row.flops, row.seconds),
            rate(row.bytes, row.seconds),
            bounded ? milliseconds(row.bound) : "-",
            bounded && row.seconds > 0 ? fmt::format("{:.0f}%", 100 * row.bound / row.seconds) : "-"};
  };
  std::vector<std::vector<std::string>> rows{
      {"op", "pass", "calls", "ms", "share", "GFLOP/s", "GB/s", "bound ms", "of bound"}};
  ProfileRow all;
  all.name = "a step";
  for (const auto* part : {&r.ops, &r.rest}) {
    for (const auto& row : *part) {
      rows.push_back(cells(row));
      all.seconds += row.seconds, all.flops += row.flops, all.bytes += row.bytes, all.bound += row.bound;
    }
  }
  all.calls = r.steps;
  rows.push_back(cells(all));

  std::string out = fmt::format("# Profile of {} steps\n\n", r.steps);
  for (const auto& [name, value] : facts) out += fmt::format("- {}: {}\n", name, value);
  out +=
      "\nA row is what it takes of a step; ops within others are taken out. FLOPs are those of matrix products. Bytes "
      "are "
      "operands and results,\neach once: a cache may hold them, then a row is above 100% of its bound, the time that "
      "products or memory need at their measured best.\n\n";
  out += table(rows, 2);
  std::vector<std::vector<std::string>> parts{{"part of the model", "forward ms", "backward ms", "share"}};
  for (const auto& part : r.parts) {
    parts.push_back({part.name.empty() ? "elsewhere" : part.name, milliseconds(part.forward),
                     milliseconds(part.backward), share(part.forward + part.backward)});
  }
  return out + "\n" + table(parts, 1);
}

}  // namespace gfsa::train
