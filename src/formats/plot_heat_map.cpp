#include <cairo.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "formats/plot_charts.h"

namespace gfsa::plot {
namespace {

constexpr double kBarWidth = 11, kMaxNameWidth = 110;

struct Scale {
  double low, high;
  bool around_zero;
  double at(double v) const { return high > low ? (v - low) / (high - low) : 0.5; }
  Rgb color(double v) const { return around_zero ? diverging(at(v)) : blues(at(v)); }
};

Scale make_scale(const HeatMap& map) {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const double v : map.values) {
    if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  }
  if (low > high) low = 0, high = 1;
  if (!map.low && !map.high) {
    if (low < 0) {  // 0 is white
      const double size = std::max(-low, std::max(high, 0.0));
      return {-size, size, true};
    }
    if (low > 0 && low < 0.3 * high) low = 0;
  }
  low = map.low.value_or(low), high = map.high.value_or(high);
  if (!(high > low)) high = low + (low != 0 ? std::abs(low) : 1);
  return {low, high, low < 0 && std::abs(low + high) <= 1e-9 * (high - low)};
}

std::vector<std::string> names_or_indices(const std::vector<std::string>& names, int64_t n) {
  if (!names.empty()) return names;
  std::vector<std::string> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(std::to_string(i));
  return out;
}

double widest(Canvas& canvas, const std::vector<std::string>& texts) {
  double width = 0;
  for (const std::string& t : texts) width = std::max(width, canvas.text_width(t));
  return width;
}

// Every how many rows or columns a name fits: 1, 2, 5, 10, 20, ...
int64_t name_stride(double name_size, double cell_size) {
  int64_t stride = 1;
  for (int i = 0; static_cast<double>(stride) * cell_size < name_size && stride < 1'000'000; ++i) {
    stride = i % 3 == 1 ? stride / 2 * 5 : stride * 2;
  }
  return stride;
}

bool all_whole(const HeatMap& map) {
  return std::all_of(map.values.begin(), map.values.end(),
                     [](double v) { return !std::isfinite(v) || v == std::floor(v); });
}

void draw_color_bar(Canvas& canvas, const Scale& scale, const Ticks& ticks, const Rect& bar, const std::string& label,
                    double label_x) {
  constexpr int kSteps = 128;
  for (int i = 0; i < kSteps; ++i) {
    canvas.color(scale.color(scale.low + (scale.high - scale.low) * (i + 0.5) / kSteps));
    // One point too tall, so that no seam shows between steps.
    const double top = bar.bottom() - bar.height * (i + 1) / kSteps;
    canvas.fill({bar.x, std::max(bar.y, top - 0.5), bar.width, bar.height / kSteps + 0.5});
  }
  canvas.color(kFrame);
  canvas.frame(bar, 0.7);
  canvas.font(kTickSize);
  for (size_t i = 0; i < ticks.at.size(); ++i) {
    const double y = bar.bottom() - scale.at(ticks.at[i]) * bar.height;
    canvas.color(kFrame);
    canvas.line(bar.right(), y, bar.right() + 3, y, 0.7);
    canvas.color(kSoftInk);
    canvas.text(ticks.labels[i], bar.right() + 6, y, Align::kLeft);
  }
  if (!label.empty()) {
    canvas.font(kLabelSize);
    canvas.color(kInk);
    canvas.text(canvas.fit(label, bar.height), label_x, bar.y + bar.height / 2, Align::kCenter, -M_PI / 2);
  }
}

}  // namespace

void draw(Canvas& canvas, const HeatMap& map, Rect area) {
  area = draw_title(canvas, map.title, area);
  const Scale scale = make_scale(map);
  canvas.font(kTickSize);
  std::vector<std::string> rows = names_or_indices(map.row_names, map.rows);
  std::vector<std::string> columns = names_or_indices(map.column_names, map.columns);
  for (auto* names : {&rows, &columns}) {
    for (std::string& name : *names) name = canvas.fit(name, kMaxNameWidth);
  }
  const double row_width = widest(canvas, rows), column_width = widest(canvas, columns);

  const Ticks ticks = linear_ticks(scale.low, scale.high, std::max(2, static_cast<int>(area.height / 50)));
  const double bar_space = 14 + kBarWidth + 8 + widest(canvas, ticks.labels) + (map.value_label.empty() ? 0 : 18);
  const double left = row_width + 7 + (map.y_label.empty() ? 0 : 18);
  const double x_label = map.x_label.empty() ? 0 : 18;
  double cell_width = (area.width - left - bar_space) / static_cast<double>(map.columns);
  // Names of columns stand upright on slanted lines where they do not fit side by side.
  const auto slanted = [&] { return column_width + 6 > cell_width && !map.column_names.empty(); };
  const auto below = [&] { return slanted() ? column_width * 0.71 + 14 : 19.0; };
  double cell_height = (area.height - below() - x_label - 2) / static_cast<double>(map.rows);
  if (map.rows == map.columns) {
    cell_width = cell_height = std::min(cell_width, cell_height);
    cell_height = std::min(cell_height, (area.height - below() - x_label - 2) / static_cast<double>(map.rows));
    cell_width = cell_height;
  }
  cell_width = std::max(cell_width, 0.5), cell_height = std::max(cell_height, 0.5);
  const double width = cell_width * static_cast<double>(map.columns),
               height = cell_height * static_cast<double>(map.rows);
  const double spare = std::max(0.0, area.width - left - bar_space - width);
  const Rect plot{area.x + left + spare / 2, area.y + 2, width, height};

  const bool whole = all_whole(map);
  const double font = std::min(kTickSize, cell_height * 0.55);
  canvas.font(font);
  const auto text_of = [&](double v) {
    if (whole) return with_minus(fmt::format("{:.0f}", v));
    return with_minus(fmt::format("{:.2f}", std::abs(v) < 0.005 ? 0 : v));
  };
  double text_width = 0;
  if (map.rows * map.columns <= 1024) {
    for (const double v : map.values) text_width = std::max(text_width, canvas.text_width(text_of(v)));
  }
  const bool annotate = map.rows * map.columns <= 1024 && font >= 5.5 && text_width + 3 <= cell_width;
  for (int64_t r = 0; r < map.rows; ++r) {
    for (int64_t c = 0; c < map.columns; ++c) {
      const double v = map.values[static_cast<size_t>(r * map.columns + c)];
      if (!std::isfinite(v)) continue;
      const Rect cell{plot.x + static_cast<double>(c) * cell_width, plot.y + static_cast<double>(r) * cell_height,
                      cell_width, cell_height};
      const Rgb color = scale.color(v);
      canvas.color(color);
      cairo_set_antialias(canvas.cairo(), CAIRO_ANTIALIAS_NONE);  // neighbours share an edge without a seam
      canvas.fill(cell);
      cairo_set_antialias(canvas.cairo(), CAIRO_ANTIALIAS_DEFAULT);
      if (!annotate) continue;
      canvas.color(ink_on(color));
      canvas.text(text_of(v), cell.x + cell_width / 2, cell.y + cell_height / 2, Align::kCenter);
    }
  }
  canvas.color(kFrame);
  canvas.frame(plot, 0.7);

  canvas.font(kTickSize);
  canvas.color(kSoftInk);
  const int64_t row_stride = name_stride(kTickSize + 1.5, cell_height);
  for (int64_t r = 0; r < map.rows; r += row_stride) {
    canvas.text(rows[static_cast<size_t>(r)], plot.x - 6, plot.y + (static_cast<double>(r) + 0.5) * cell_height,
                Align::kRight);
  }
  const bool slant = slanted();
  const double column_room = slant ? kTickSize * 1.5 : column_width + 6;
  const int64_t column_stride = name_stride(column_room, cell_width);
  for (int64_t c = 0; c < map.columns; c += column_stride) {
    const double x = plot.x + (static_cast<double>(c) + 0.5) * cell_width;
    canvas.text(columns[static_cast<size_t>(c)], x, plot.bottom() + (slant ? 8 : 11),
                slant ? Align::kRight : Align::kCenter, slant ? -M_PI / 4 : 0);
  }

  canvas.font(kLabelSize);
  canvas.color(kInk);
  if (!map.x_label.empty()) {
    canvas.text(canvas.fit(map.x_label, area.width), plot.x + plot.width / 2, plot.bottom() + below() + 8,
                Align::kCenter);
  }
  if (!map.y_label.empty()) {
    canvas.text(canvas.fit(map.y_label, plot.height), plot.x - row_width - 18, plot.y + plot.height / 2, Align::kCenter,
                -M_PI / 2);
  }
  const Rect bar{plot.right() + 14, plot.y, kBarWidth, plot.height};
  draw_color_bar(canvas, scale, ticks, bar, map.value_label, plot.right() + bar_space - 8);
}

}  // namespace gfsa::plot
