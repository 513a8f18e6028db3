#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "formats/plot_charts.h"

namespace gfsa::plot {
namespace {

constexpr double kLegendRow = 15, kLegendKey = 18, kLegendGap = 14;
constexpr int kMaxLegendRows = 3;

// One axis: the ends, what a value is on [0, 1], the ticks.
struct Axis {
  double low = 0, high = 1;
  bool log = false;
  Ticks ticks;

  double at(double value) const {
    return log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  }
  bool shows(double value) const { return std::isfinite(value) && (!log || value > 0); }
};

Axis make_axis(double low, double high, bool log, int count, bool round_low, bool round_high) {
  Axis axis{low, high, log, {}};
  if (!(low <= high)) axis.low = log ? 0.1 : 0, axis.high = 1;  // nothing to show
  if (log) {
    if (axis.high / axis.low < 1.01) axis.low /= 1.5, axis.high *= 1.5;
    const double margin = std::pow(axis.high / axis.low, 0.03);
    if (round_low) axis.low /= margin;
    if (round_high) axis.high *= margin;
    axis.ticks = log_ticks(axis.low, axis.high, count);
    return axis;
  }
  const double size = std::max(std::abs(axis.low), std::abs(axis.high));
  if (axis.high - axis.low <= 1e-9 * size || axis.high == axis.low) {
    const double half = size > 0 ? 0.1 * size : 0.5;
    axis.low -= half, axis.high += half;
  }
  // A little air; zero stays the end of an axis that begins there.
  const double margin = 0.04 * (axis.high - axis.low);
  if (round_low && axis.low != 0) axis.low = axis.low > 0 && axis.low < margin ? 0 : axis.low - margin;
  if (round_high && axis.high != 0) axis.high += margin;
  axis.ticks = linear_ticks(axis.low, axis.high, count);
  return axis;
}

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void add(double v) { low = std::min(low, v), high = std::max(high, v); }
};

int color_count(const LineChart& chart) {
  int count = static_cast<int>(chart.series.size());
  bool paired = !chart.series.empty();
  for (const Series& s : chart.series) paired = paired && s.color >= 0;
  if (!paired) return count;
  count = 0;
  for (const Series& s : chart.series) count = std::max(count, s.color + 1);
  return count;
}

Rgb color_of(const LineChart& chart, size_t index) {
  const int own = chart.series[index].color;
  return series_color(own >= 0 ? own : static_cast<int>(index), color_count(chart));
}

void set_dash(Canvas& canvas, bool dashed) {
  const double pattern[] = {4.5, 2.5};
  cairo_set_dash(canvas.cairo(), pattern, dashed ? 2 : 0, 0);
}

std::vector<size_t> legend_entries(const LineChart& chart) {
  std::vector<size_t> all;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    if (!chart.series[i].name.empty()) all.push_back(i);
  }
  return all;
}

struct LegendItem {
  size_t series;
  std::string text;
  double x;
  int row;
};

bool lay_out_legend(Canvas& canvas, const LineChart& chart, const std::vector<size_t>& entries, double width,
                    std::vector<LegendItem>* items) {
  items->clear();
  double x = 0;
  int row = 0;
  for (const size_t i : entries) {
    const std::string text = canvas.fit(chart.series[i].name, width - kLegendKey - 6);
    const double item = kLegendKey + 5 + canvas.text_width(text);
    if (x > 0 && x + item > width) x = 0, ++row;
    if (row >= kMaxLegendRows) return false;
    items->push_back({i, text, x, row});
    x += item + kLegendGap;
  }
  return true;
}

// Rows of keys above the plot, so that it never covers data; of more entries than fit into kMaxLegendRows, evenly
// spaced ones with the first and the last. Returns its height.
double draw_legend(Canvas& canvas, const LineChart& chart, const Rect& area) {
  std::vector<size_t> entries = legend_entries(chart);
  if (entries.empty()) return 0;
  canvas.font(kTickSize);
  std::vector<LegendItem> items;
  const std::vector<size_t> all = entries;
  for (size_t keep = all.size(); !lay_out_legend(canvas, chart, entries, area.width, &items) && keep > 1;) {
    --keep;
    entries.clear();
    for (size_t i = 0; i < keep; ++i) entries.push_back(all[keep == 1 ? 0 : i * (all.size() - 1) / (keep - 1)]);
  }
  for (const LegendItem& item : items) {
    const double x = area.x + item.x, y = area.y + item.row * kLegendRow + kLegendRow / 2;
    canvas.color(color_of(chart, item.series));
    set_dash(canvas, chart.series[item.series].dashed);
    canvas.line(x, y, x + kLegendKey, y, 2);
    set_dash(canvas, false);
    canvas.color(kInk);
    canvas.text(item.text, x + kLegendKey + 5, y, Align::kLeft);
  }
  return (items.back().row + 1) * kLegendRow + 5;
}

void draw_series(Canvas& canvas, const Series& s, Rgb color, const Axis& x_axis, const Axis& y_axis, const Rect& plot,
                 double width, bool dense) {
  cairo_t* cairo = canvas.cairo();
  cairo_set_source_rgba(cairo, color.r, color.g, color.b, dense ? 0.7 : 1);
  cairo_set_line_width(cairo, dense ? 0.6 * width : width);
  cairo_set_line_join(cairo, CAIRO_LINE_JOIN_ROUND);
  set_dash(canvas, s.dashed);
  const auto place = [&](size_t i) {
    // Far outside points are drawn at the rim of a wide frame: cairo's coordinates are 24.8 fixed point.
    return std::pair(plot.x + std::clamp(x_axis.at(s.x[i]), -50.0, 50.0) * plot.width,
                     plot.bottom() - std::clamp(y_axis.at(s.y[i]), -50.0, 50.0) * plot.height);
  };
  const auto shown = [&](size_t i) { return x_axis.shows(s.x[i]) && y_axis.shows(s.y[i]); };
  bool pen_down = false;
  for (size_t i = 0; i < s.x.size(); ++i) {
    if (!shown(i)) {
      pen_down = false;
      continue;
    }
    const auto [x, y] = place(i);
    pen_down ? cairo_line_to(cairo, x, y) : cairo_move_to(cairo, x, y);
    pen_down = true;
  }
  cairo_stroke(cairo);
  set_dash(canvas, false);
  for (size_t i = 0; i < s.x.size(); ++i) {
    const bool lonely = (i == 0 || !shown(i - 1)) && (i + 1 == s.x.size() || !shown(i + 1));
    if (!shown(i) || !(s.markers || lonely)) continue;
    const auto [x, y] = place(i);
    cairo_arc(cairo, x, y, width + 1, 0, 2 * M_PI);
    cairo_fill(cairo);
  }
}

}  // namespace

Rect draw_title(Canvas& canvas, const std::string& title, Rect area) {
  if (title.empty()) return area;
  canvas.font(kTitleSize, true);
  canvas.color(kInk);
  canvas.text(canvas.fit(title, area.width), area.x, area.y + kTitleSize / 2, Align::kLeft);
  const double used = kTitleSize + 9;
  return {area.x, area.y + used, area.width, area.height - used};
}

void draw(Canvas& canvas, const LineChart& chart, Rect area) {
  area = draw_title(canvas, chart.title, area);
  const double legend = draw_legend(canvas, chart, area);
  area.y += legend, area.height -= legend;

  Range xs, ys;
  for (const Series& s : chart.series) {
    for (size_t i = 0; i < s.x.size(); ++i) {
      const bool shown = std::isfinite(s.x[i]) && std::isfinite(s.y[i]) && (!chart.log_x || s.x[i] > 0) &&
                         (!chart.log_y || s.y[i] > 0);
      if (shown) xs.add(s.x[i]), ys.add(s.y[i]);
    }
  }
  if (chart.y_min && (!chart.log_y || *chart.y_min > 0)) ys.low = *chart.y_min, ys.high = std::max(ys.high, ys.low);
  if (chart.y_max && (!chart.log_y || *chart.y_max > 0)) ys.high = *chart.y_max, ys.low = std::min(ys.low, ys.high);

  const double bottom = 18 + (chart.x_label.empty() ? 0 : 17);
  const double height = std::max(20.0, area.height - bottom - 4);
  const Axis y_axis =
      make_axis(ys.low, ys.high, chart.log_y, std::max(2, static_cast<int>(height / 42)), !chart.y_min, !chart.y_max);
  canvas.font(kTickSize);
  double label_width = 0;
  for (const std::string& label : y_axis.ticks.labels) label_width = std::max(label_width, canvas.text_width(label));
  const double left = label_width + 7 + (chart.y_label.empty() ? 0 : 18);
  const Rect plot{area.x + left, area.y + 4, std::max(20.0, area.width - left - 10), height};
  const Axis x_axis =
      make_axis(xs.low, xs.high, chart.log_x, std::max(2, static_cast<int>(plot.width / 70)), false, false);

  const auto x_of = [&](double v) { return plot.x + x_axis.at(v) * plot.width; };
  const auto y_of = [&](double v) { return plot.bottom() - y_axis.at(v) * plot.height; };
  for (size_t i = 0; i < y_axis.ticks.at.size(); ++i) {
    const bool minor = y_axis.ticks.labels[i].empty();
    const double y = y_of(y_axis.ticks.at[i]);
    canvas.color(kGrid);
    canvas.line(plot.x, y, plot.right(), y, minor ? 0.4 : 0.8);
    canvas.color(kSoftInk);
    if (!minor) canvas.text(y_axis.ticks.labels[i], plot.x - 6, y, Align::kRight);
  }
  for (size_t i = 0; i < x_axis.ticks.at.size(); ++i) {
    const bool minor = x_axis.ticks.labels[i].empty();
    const double x = x_of(x_axis.ticks.at[i]);
    canvas.color(kGrid);
    canvas.line(x, plot.y, x, plot.bottom(), minor ? 0.4 : 0.8);
    canvas.color(kSoftInk);
    if (!minor) canvas.text(x_axis.ticks.labels[i], x, plot.bottom() + 11, Align::kCenter);
  }

  const double line_width = chart.series.size() > kPaletteColors ? 1.1 : 1.7;
  cairo_save(canvas.cairo());
  cairo_rectangle(canvas.cairo(), plot.x - 2, plot.y - 2, plot.width + 4, plot.height + 4);
  cairo_clip(canvas.cairo());
  for (size_t i = 0; i < chart.series.size(); ++i) {
    // Noise of several points a pixel must not bury the other series.
    const bool dense = chart.series.size() > 1 && static_cast<double>(chart.series[i].x.size()) > plot.width;
    draw_series(canvas, chart.series[i], color_of(chart, i), x_axis, y_axis, plot, line_width, dense);
  }
  cairo_restore(canvas.cairo());
  canvas.color(kFrame);
  canvas.line(plot.x, plot.y, plot.x, plot.bottom(), 1);
  canvas.line(plot.x, plot.bottom(), plot.right(), plot.bottom(), 1);

  canvas.font(kLabelSize);
  canvas.color(kInk);
  if (!chart.x_label.empty()) {
    canvas.text(canvas.fit(chart.x_label, plot.width), plot.x + plot.width / 2, plot.bottom() + 28, Align::kCenter);
  }
  if (!chart.y_label.empty()) {
    canvas.text(canvas.fit(chart.y_label, plot.height), area.x + 6, plot.y + plot.height / 2, Align::kCenter,
                -M_PI / 2);
  }
}

}  // namespace gfsa::plot
