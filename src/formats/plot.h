// plot.h -- charts as PNG files by cairo: line charts, heat maps, groups of points, and sheets of pictures with
// captions. White ground, DejaVu Sans, a colour-blind-safe palette (Okabe and Ito 2008; viridis for many series and for
// heat maps).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/env.h"
#include "formats/image.h"

namespace gfsa {

struct Series {
  std::string name;          // in the legend; "" stays out of it
  std::vector<double> x, y;  // of one length; a y that is not finite breaks the line
  bool dashed = false;
  bool markers = false;  // a dot at each point (a series of one point has it anyway)
  int color = -1;        // index into the palette; -1: the series' position. Give two series one index to pair them.
};

struct LineChart {
  std::string title, x_label, y_label;
  std::vector<Series> series;
  bool log_x = false, log_y = false;             // points that are not positive are left out
  std::optional<double> y_min = {}, y_max = {};  // the axis' ends; default: the data's, rounded to ticks
};

// values[r * columns + c]; row 0 on top. NaN cells stay white.
struct HeatMap {
  std::string title, x_label, y_label;
  int64_t rows = 0, columns = 0;
  std::vector<double> values;
  std::vector<std::string> row_names, column_names;  // empty: indices
  std::optional<double> low = {}, high = {};         // ends of the colour scale; default: the data's
  std::string value_label;                           // at the colour bar
};

// Repeated measurements side by side: a dot each, a bar at the mean, whiskers over its interval.
struct PointGroup {
  std::string name;                    // below the axis
  std::vector<double> points;          // those that are not finite are left out
  double mean = 0, low = 0, high = 0;  // not finite: not drawn
};
struct PointChart {
  std::string title, y_label;
  std::vector<PointGroup> groups;
};

using Chart = std::variant<LineChart, HeatMap, PointChart>;

struct ChartSize {
  int width = 560, height = 400;  // of one chart, in points; a point is two pixels
};

// The charts left to right, top to bottom. Throws (exit code 1) on series or values of inconsistent length.
std::string render_grid(const std::vector<Chart>& charts, int columns, ChartSize size = {});
void save_grid(Env& env, const std::string& path, const std::vector<Chart>& charts, int columns, ChartSize size = {});

struct Tile {
  Image image;
  std::string caption;  // lines split at '\n'; what does not fit is cut with an ellipsis
};

// Pictures on a sheet, caption below: scaled up by the largest whole factor that fits into tile_pixels (nearest
// neighbour), or down to fit.
std::string render_image_grid(const std::vector<Tile>& tiles, int columns, int tile_pixels = 128);
void save_image_grid(Env& env, const std::string& path, const std::vector<Tile>& tiles, int columns,
                     int tile_pixels = 128);

}  // namespace gfsa
