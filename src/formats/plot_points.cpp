#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "formats/plot_charts.h"

namespace gfsa::plot {
namespace {

constexpr double kLine = 13;  // between lines of a group's name
constexpr int kMaxNameLines = 4;

// Ends of the y axis: everything that is drawn, and a little air.
std::pair<double, double> range_of(const PointChart& chart) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  const auto add = [&](double v) {
    if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  };
  for (const auto& group : chart.groups) {
    for (const double v : group.points) add(v);
    for (const double v : {group.mean, group.low, group.high}) add(v);
  }
  if (!(low <= high)) return {0, 1};
  const double size = std::max(std::abs(low), std::abs(high));
  const double air = high - low > 1e-9 * size ? 0.06 * (high - low) : size > 0 ? 0.1 * size : 0.5;
  return {low - air, high + air};
}

// A name in lines no wider than `width`, broken at spaces; what is left over is cut with an ellipsis.
std::vector<std::string> name_lines(Canvas& canvas, const std::string& name, double width) {
  std::vector<std::string> lines{""};
  for (size_t begin = 0; begin <= name.size();) {
    const size_t end = std::min(name.find(' ', begin), name.size());
    const std::string word = name.substr(begin, end - begin);
    const std::string longer = lines.back().empty() ? word : lines.back() + " " + word;
    if (lines.back().empty() || canvas.text_width(longer) <= width || lines.size() == kMaxNameLines) {
      lines.back() = longer;
    } else {
      lines.push_back(word);
    }
    begin = end + 1;
  }
  for (auto& line : lines) line = canvas.fit(line, width);
  return lines;
}

void draw_group(Canvas& canvas, const PointGroup& group, double center, double width, Rgb color, const Rect& plot,
                double low, double high) {
  cairo_t* cairo = canvas.cairo();
  const auto y_of = [&](double v) { return plot.bottom() - (v - low) / (high - low) * plot.height; };
  const double cap = std::min(14.0, 0.16 * width);
  canvas.color(kInk);
  if (std::isfinite(group.low) && std::isfinite(group.high)) {
    canvas.line(center, y_of(group.low), center, y_of(group.high), 1.4);
    for (const double end : {group.low, group.high}) canvas.line(center - cap, y_of(end), center + cap, y_of(end), 1.4);
  }
  if (std::isfinite(group.mean)) {
    const double half = std::min(26.0, 0.3 * width);
    canvas.line(center - half, y_of(group.mean), center + half, y_of(group.mean), 2.2);
  }
  // Beside each other in the order of the runs, so that equal values are all seen.
  const double n = static_cast<double>(group.points.size()), spread = std::min(0.4 * width, 9 * n);
  for (size_t i = 0; i < group.points.size(); ++i) {
    if (!std::isfinite(group.points[i])) continue;
    const double x = center + (n > 1 ? spread * (static_cast<double>(i) / (n - 1) - 0.5) : 0);
    cairo_set_source_rgba(cairo, color.r, color.g, color.b, 0.85);
    cairo_arc(cairo, x, y_of(group.points[i]), 3.6, 0, 2 * M_PI);
    cairo_fill(cairo);
  }
}

}  // namespace

void draw(Canvas& canvas, const PointChart& chart, Rect area) {
  area = draw_title(canvas, chart.title, area);
  const auto [low, high] = range_of(chart);
  canvas.font(kTickSize);
  const double rough_height = std::max(20.0, area.height - kMaxNameLines * kLine);
  const Ticks ticks = linear_ticks(low, high, std::max(2, static_cast<int>(rough_height / 42)));
  double label_width = 0;
  for (const auto& label : ticks.labels) label_width = std::max(label_width, canvas.text_width(label));
  const double left = label_width + 7 + (chart.y_label.empty() ? 0 : 18);
  const auto n = static_cast<double>(std::max<size_t>(1, chart.groups.size()));
  const double width = std::max(20.0, area.width - left - 10) / n;

  std::vector<std::vector<std::string>> names;
  size_t name_rows = 1;
  for (const auto& group : chart.groups) {
    names.push_back(name_lines(canvas, group.name, width - 8));
    name_rows = std::max(name_rows, names.back().size());
  }
  const double bottom = 6 + kLine * static_cast<double>(name_rows);
  const Rect plot{area.x + left, area.y + 4, width * n, std::max(20.0, area.height - bottom - 4)};
  const double y_low = low, y_high = high;  // bindings cannot be captured
  for (size_t i = 0; i < ticks.at.size(); ++i) {
    const double y = plot.bottom() - (ticks.at[i] - y_low) / (y_high - y_low) * plot.height;
    canvas.color(kGrid);
    canvas.line(plot.x, y, plot.right(), y, ticks.labels[i].empty() ? 0.4 : 0.8);
    canvas.color(kSoftInk);
    canvas.text(ticks.labels[i], plot.x - 6, y, Align::kRight);
  }
  for (size_t g = 0; g < chart.groups.size(); ++g) {
    const double center = plot.x + (static_cast<double>(g) + 0.5) * width;
    draw_group(canvas, chart.groups[g], center, width,
               series_color(static_cast<int>(g), static_cast<int>(chart.groups.size())), plot, y_low, y_high);
    canvas.font(kTickSize);
    canvas.color(kInk);
    for (size_t line = 0; line < names[g].size(); ++line) {
      canvas.text(names[g][line], center, plot.bottom() + 11 + kLine * static_cast<double>(line), Align::kCenter);
    }
  }
  canvas.color(kFrame);
  canvas.line(plot.x, plot.y, plot.x, plot.bottom(), 1);
  canvas.line(plot.x, plot.bottom(), plot.right(), plot.bottom(), 1);
  canvas.font(kLabelSize);
  canvas.color(kInk);
  if (!chart.y_label.empty()) {
    canvas.text(canvas.fit(chart.y_label, plot.height), area.x + 6, plot.y + plot.height / 2, Align::kCenter,
                -M_PI / 2);
  }
}

}  // namespace gfsa::plot
