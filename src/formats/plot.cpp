#include "formats/plot.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "formats/plot_charts.h"

namespace gfsa {
namespace {

constexpr double kPixelsPerPoint = 2;
constexpr double kMargin = 14;

void check(const LineChart& chart) {
  for (const Series& s : chart.series) {
    if (s.x.size() != s.y.size()) {
      fail("plot '{}': series '{}' has {} x and {} y", chart.title, s.name, s.x.size(), s.y.size());
    }
  }
}

void check(const HeatMap& map) {
  if (map.rows < 1 || map.columns < 1 || static_cast<int64_t>(map.values.size()) != map.rows * map.columns) {
    fail("plot '{}': {} values for {} x {} cells", map.title, map.values.size(), map.rows, map.columns);
  }
  const auto check_names = [&](const std::vector<std::string>& names, int64_t n, const char* what) {
    if (!names.empty() && static_cast<int64_t>(names.size()) != n) {
      fail("plot '{}': {} names for {} {}", map.title, names.size(), n, what);
    }
  };
  check_names(map.row_names, map.rows, "rows");
  check_names(map.column_names, map.columns, "columns");
}

void check(const PointChart&) {}  // any groups of any sizes can be drawn

// Up by a whole factor, so that pixels stay square and sharp, or down to fit, smoothed.
void draw_image(plot::Canvas& canvas, const Image& image, double x, double y, double size) {
  cairo_surface_t* picture = cairo_image_surface_create(CAIRO_FORMAT_RGB24, image.width, image.height);
  if (cairo_surface_status(picture) != CAIRO_STATUS_SUCCESS) fail("plot: no memory for a picture");
  cairo_surface_flush(picture);
  unsigned char* data = cairo_image_surface_get_data(picture);
  const int stride = cairo_image_surface_get_stride(picture);
  for (int row = 0; row < image.height; ++row) {
    auto* out = reinterpret_cast<uint32_t*>(data + static_cast<ptrdiff_t>(row) * stride);
    const uint8_t* in = image.rgb.data() + static_cast<size_t>(row) * static_cast<size_t>(image.width) * 3;
    for (int column = 0; column < image.width; ++column, in += 3) {
      out[column] = static_cast<uint32_t>(in[0] << 16 | in[1] << 8 | in[2]);
    }
  }
  cairo_surface_mark_dirty(picture);
  const int longest = std::max(image.width, image.height);
  const double factor = longest <= size ? std::floor(size / longest) : size / longest;
  cairo_t* cairo = canvas.cairo();
  cairo_save(cairo);
  cairo_translate(cairo, x + std::floor((size - image.width * factor) / 2),
                  y + std::floor((size - image.height * factor) / 2));
  cairo_scale(cairo, factor, factor);
  cairo_set_source_surface(cairo, picture, 0, 0);
  cairo_pattern_set_filter(cairo_get_source(cairo), factor >= 1 ? CAIRO_FILTER_NEAREST : CAIRO_FILTER_GOOD);
  cairo_rectangle(cairo, 0, 0, image.width, image.height);
  cairo_fill(cairo);
  cairo_restore(cairo);
  cairo_surface_destroy(picture);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

}  // namespace

std::string render_grid(const std::vector<Chart>& charts, int columns, ChartSize size) {
  for (const Chart& chart : charts) std::visit([](const auto& c) { check(c); }, chart);
  const int n = std::max<int>(1, static_cast<int>(charts.size()));
  const int across = std::clamp(columns, 1, n);
  const int down = (n + across - 1) / across;
  plot::Canvas canvas(across * size.width, down * size.height, kPixelsPerPoint);
  for (size_t i = 0; i < charts.size(); ++i) {
    const int column = static_cast<int>(i) % across, row = static_cast<int>(i) / across;
    const plot::Rect area{column * size.width + kMargin, row * size.height + kMargin, size.width - 2 * kMargin,
                          size.height - 2 * kMargin};
    std::visit([&](const auto& c) { plot::draw(canvas, c, area); }, charts[i]);
  }
  return canvas.png();
}

void save_grid(Env& env, const std::string& path, const std::vector<Chart>& charts, int columns, ChartSize size) {
  env.write(path, render_grid(charts, columns, size));
}

std::string render_image_grid(const std::vector<Tile>& tiles, int columns, int tile_pixels) {
  constexpr double kGap = 10, kFont = 12, kLine = 16;
  size_t caption_lines = 0;
  for (const Tile& tile : tiles) {
    const auto& [width, height, rgb] = tile.image;
    if (width < 1 || height < 1 || rgb.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 3) {
      fail("plot: tile '{}' is not a picture: {} x {} with {} bytes", tile.caption, width, height, rgb.size());
    }
    if (!tile.caption.empty()) caption_lines = std::max(caption_lines, lines_of(tile.caption).size());
  }
  const int n = std::max<int>(1, static_cast<int>(tiles.size()));
  const int across = std::clamp(columns, 1, n);
  const int down = (n + across - 1) / across;
  const double size = std::max(8, tile_pixels);
  const double pitch_x = size + kGap, pitch_y = size + kGap + static_cast<double>(caption_lines) * kLine;
  plot::Canvas canvas(across * pitch_x + kGap, down * pitch_y + kGap, 1);
  canvas.font(kFont);
  for (size_t i = 0; i < tiles.size(); ++i) {
    const double x = kGap + static_cast<int>(i) % across * pitch_x, y = kGap + static_cast<int>(i) / across * pitch_y;
    draw_image(canvas, tiles[i].image, x, y, size);
    canvas.color(plot::kInk);
    double baseline = y + size + kLine * 0.6;
    for (const std::string& line : lines_of(tiles[i].caption)) {
      canvas.text(canvas.fit(line, size), x + size / 2, baseline, plot::Align::kCenter);
      baseline += kLine;
    }
  }
  return canvas.png();
}

void save_image_grid(Env& env, const std::string& path, const std::vector<Tile>& tiles, int columns, int tile_pixels) {
  env.write(path, render_image_grid(tiles, columns, tile_pixels));
}

}  // namespace gfsa
