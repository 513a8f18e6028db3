// plot_charts.h -- drawing one chart into a rectangle of a canvas; used by plot*.cpp alone.
#pragma once

#include "formats/plot.h"
#include "formats/plot_canvas.h"

namespace gfsa::plot {

inline constexpr double kTitleSize = 12, kLabelSize = 10.5, kTickSize = 9.5;

// The title, left-aligned with the rectangle; returns what is left below.
Rect draw_title(Canvas& canvas, const std::string& title, Rect area);
void draw(Canvas& canvas, const LineChart& chart, Rect area);
void draw(Canvas& canvas, const HeatMap& map, Rect area);
void draw(Canvas& canvas, const PointChart& chart, Rect area);

}  // namespace gfsa::plot
