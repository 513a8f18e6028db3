#include "data/text/sources/labelled_table.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"

namespace gfsa::data {
namespace {

std::string shortened(const std::string& text) {
  constexpr size_t kMost = 40;
  return text.size() <= kMost ? text : text.substr(0, kMost) + "...";
}

double score_of(const std::string& cell, const std::string& where, const std::string& column) {
  double score = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), score);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(score)) {
    bad_input("{}: column '{}' is '{}', expected a number", where, column, shortened(cell));
  }
  return score;
}

}  // namespace

std::unique_ptr<TextSource> LabelledTable::open(Env& env) const {
  std::vector<std::string> wanted{text};
  const auto want = [&](const std::string& column) {
    if (column.empty()) return size_t{0};
    wanted.push_back(column);
    return wanted.size() - 1;
  };
  const size_t at_pair = want(pair), at_label = want(label), at_id = want(id);
  TextTable table = read_table(env, path, format, wanted);
  if (table.rows.empty()) bad_input("{}: holds no rows, expected at least one text", path);
  if (table.skipped > 0) log::info("{}: {} rows end too early and are left out", path, human_count(table.skipped));

  std::vector<TextSample> samples;
  std::vector<int64_t> lines;
  for (auto& row : table.rows) {
    const std::string where = fmt::format("{}:{}", path, row.line);
    TextSample sample;
    sample.text = std::move(row.cells[0]);
    if (at_pair > 0) sample.pair = std::move(row.cells[at_pair]);
    sample.id = at_id > 0 ? row.cells[at_id] : std::to_string(samples.size());
    if (at_label > 0 && labels.empty()) {
      sample.score = score_of(row.cells[at_label], where, label);
    } else if (at_label > 0) {
      const auto found = std::find(labels.begin(), labels.end(), row.cells[at_label]);
      if (found == labels.end()) {
        bad_input("{}: column '{}' is '{}', expected {}{}", where, label, shortened(row.cells[at_label]),
                  one_of(labels), did_you_mean(row.cells[at_label], labels));
      }
      sample.label = found - labels.begin();
    }
    samples.push_back(std::move(sample));
    lines.push_back(row.line);
  }
  MemoryTexts::Options options;
  options.path = path;
  options.kind = kind;
  options.pairs = at_pair > 0;
  options.labelled = at_label > 0;
  options.class_names = class_names.empty() ? labels : class_names;
  return std::make_unique<MemoryTexts>(std::move(options), std::move(samples), std::move(lines));
}

}  // namespace gfsa::data
