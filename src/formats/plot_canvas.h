// plot_canvas.h -- the pen behind plot.h: a cairo surface with measured text, anchors and colours; used by plot*.cpp
// alone.
#pragma once

#include <string>
#include <vector>

// cairo's own names for its types, so that its header is needed only where it is called.
// NOLINTBEGIN(bugprone-reserved-identifier)
using cairo_t = struct _cairo;
using cairo_surface_t = struct _cairo_surface;
// NOLINTEND(bugprone-reserved-identifier)

namespace gfsa::plot {

struct Rgb {
  double r = 0, g = 0, b = 0;
};

inline constexpr Rgb kInk{0.13, 0.13, 0.13}, kSoftInk{0.35, 0.35, 0.35}, kGrid{0.90, 0.90, 0.90},
    kFrame{0.55, 0.55, 0.55};

struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

enum class Align { kLeft, kCenter, kRight };

class Canvas {
 public:
  // width x height units of `scale` pixels each, white.
  Canvas(double width, double height, double scale);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  cairo_t* cairo() { return cairo_; }
  cairo_surface_t* surface() { return surface_; }

  void color(Rgb c);
  void font(double size, bool bold = false);
  double text_width(const std::string& text);
  // Height of a capital, by which text is centred vertically.
  double cap_height();
  // The text's vertical middle is at y; angle in radians, clockwise, around (x, y).
  void text(const std::string& text, double x, double y, Align align, double angle = 0);
  // The longest beginning of `text` that fits, with an ellipsis if it is cut.
  std::string fit(const std::string& text, double width);
  void line(double x0, double y0, double x1, double y1, double width);
  void fill(const Rect& r);
  void frame(const Rect& r, double width);

  // The finished PNG file. Throws if cairo ran out of memory on the way.
  std::string png();

 private:
  cairo_surface_t* surface_ = nullptr;
  cairo_t* cairo_ = nullptr;
};

// Ticks at round numbers inside [low, high], about `count` of them, and their labels.
struct Ticks {
  std::vector<double> at;
  std::vector<std::string> labels;  // "" for a minor tick
  double step = 0;                  // of a linear axis
};
Ticks linear_ticks(double low, double high, int count);
Ticks log_ticks(double low, double high, int count);

// Hyphens turned into minus signs.
std::string with_minus(std::string text);

// Series colours: Okabe and Ito's for up to 8 series, else viridis from end to end.
Rgb series_color(int index, int count);
inline constexpr int kPaletteColors = 8;
Rgb viridis(double t);
// White to dark blue; the colour scale of heat maps without negative values.
Rgb blues(double t);
// Dark red over white to dark blue; for values around 0, which is at t = 0.5.
Rgb diverging(double t);
// Ink that can be read on the colour.
Rgb ink_on(Rgb c);

}  // namespace gfsa::plot
