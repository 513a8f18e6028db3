#include "formats/plot_canvas.h"

#include <cairo.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace gfsa::plot {
namespace {

constexpr const char* kFont = "DejaVu Sans";

Rgb hex(uint32_t rgb) { return {(rgb >> 16 & 255) / 255.0, (rgb >> 8 & 255) / 255.0, (rgb & 255) / 255.0}; }

template <size_t n>
Rgb interpolate(const uint32_t (&stops)[n], double t) {
  const double position = std::clamp(t, 0.0, 1.0) * (n - 1);
  const auto i = std::min(static_cast<size_t>(position), n - 2);
  const double f = position - static_cast<double>(i);
  const Rgb a = hex(stops[i]), b = hex(stops[i + 1]);
  return {a.r + (b.r - a.r) * f, a.g + (b.g - a.g) * f, a.b + (b.b - a.b) * f};
}

// Okabe and Ito 2008, "Color universal design", strongest first; their yellow is too faint for lines on white.
constexpr uint32_t kOkabeIto[kPaletteColors] = {0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7,
                                                0xE69F00, 0x56B4E9, 0x000000, 0x8C6D1F};
constexpr uint32_t kViridis[] = {0x440154, 0x472D7B, 0x3B528B, 0x2C728E, 0x21918C,
                                 0x28AE80, 0x5EC962, 0xADDC30, 0xFDE725};
constexpr uint32_t kBlues[] = {0xFFFFFF, 0xDEEBF7, 0xC6DBEF, 0x9ECAE1, 0x6BAED6,
                               0x4292C6, 0x2171B5, 0x08519C, 0x08306B};
constexpr uint32_t kDiverging[] = {0x67001F, 0xB2182B, 0xD6604D, 0xF4A582, 0xFDDBC7, 0xFFFFFF,
                                   0xD1E5F0, 0x92C5DE, 0x4393C3, 0x2166AC, 0x053061};

cairo_status_t append_png(void* out, const unsigned char* data, unsigned n) {
  static_cast<std::string*>(out)->append(reinterpret_cast<const char*>(data), n);
  return CAIRO_STATUS_SUCCESS;
}

}  // namespace

Canvas::Canvas(double width, double height, double scale)
    : surface_(cairo_image_surface_create(CAIRO_FORMAT_RGB24, static_cast<int>(std::ceil(width * scale)),
                                          static_cast<int>(std::ceil(height * scale)))),
      cairo_(cairo_create(surface_)) {
  cairo_scale(cairo_, scale, scale);
  color({1, 1, 1});
  cairo_paint(cairo_);
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_set_font_options(cairo_, options);
  cairo_font_options_destroy(options);
}

Canvas::~Canvas() {
  cairo_destroy(cairo_);
  cairo_surface_destroy(surface_);
}

void Canvas::color(Rgb c) { cairo_set_source_rgb(cairo_, c.r, c.g, c.b); }

void Canvas::font(double size, bool bold) {
  cairo_select_font_face(cairo_, kFont, CAIRO_FONT_SLANT_NORMAL,
                         bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(cairo_, size);
}

double Canvas::text_width(const std::string& text) {
  cairo_text_extents_t extents;
  cairo_text_extents(cairo_, text.c_str(), &extents);
  return extents.x_advance;
}

double Canvas::cap_height() {
  cairo_text_extents_t extents;
  cairo_text_extents(cairo_, "H", &extents);
  return extents.height;
}

void Canvas::text(const std::string& text, double x, double y, Align align, double angle) {
  const double width = text_width(text);
  const double shift = align == Align::kLeft ? 0 : align == Align::kCenter ? -width / 2 : -width;
  cairo_save(cairo_);
  cairo_translate(cairo_, x, y);
  cairo_rotate(cairo_, angle);
  cairo_move_to(cairo_, shift, cap_height() / 2);
  cairo_show_text(cairo_, text.c_str());
  cairo_restore(cairo_);
}

std::string Canvas::fit(const std::string& text, double width) {
  if (text_width(text) <= width) return text;
  std::string cut = text;
  while (!cut.empty()) {
    // Whole characters: drop UTF-8 continuation bytes together with their first.
    while (!cut.empty() && (static_cast<unsigned char>(cut.back()) & 0xC0) == 0x80) cut.pop_back();
    if (!cut.empty()) cut.pop_back();
    const std::string shown = cut + "…";
    if (text_width(shown) <= width) return shown;
  }
  return "";
}

void Canvas::line(double x0, double y0, double x1, double y1, double width) {
  cairo_set_line_width(cairo_, width);
  cairo_move_to(cairo_, x0, y0);
  cairo_line_to(cairo_, x1, y1);
  cairo_stroke(cairo_);
}

void Canvas::fill(const Rect& r) {
  cairo_rectangle(cairo_, r.x, r.y, r.width, r.height);
  cairo_fill(cairo_);
}

void Canvas::frame(const Rect& r, double width) {
  cairo_set_line_width(cairo_, width);
  cairo_rectangle(cairo_, r.x, r.y, r.width, r.height);
  cairo_stroke(cairo_);
}

std::string Canvas::png() {
  std::string out;
  cairo_surface_flush(surface_);
  cairo_status_t status = cairo_status(cairo_);
  if (status == CAIRO_STATUS_SUCCESS) status = cairo_surface_write_to_png_stream(surface_, append_png, &out);
  if (status != CAIRO_STATUS_SUCCESS) {
    fail("plot: cairo: {}{}", cairo_status_to_string(status),
         status == CAIRO_STATUS_PNG_ERROR ? ", which gives no reason (out of memory?)" : "");
  }
  return out;
}

Rgb series_color(int index, int count) {
  if (count <= kPaletteColors) return hex(kOkabeIto[index % kPaletteColors]);
  // The bright end of viridis does not show on white.
  return viridis(0.92 * index / std::max(1, count - 1));
}

Rgb viridis(double t) { return interpolate(kViridis, t); }
Rgb blues(double t) { return interpolate(kBlues, t); }
Rgb diverging(double t) { return interpolate(kDiverging, t); }

Rgb ink_on(Rgb c) {
  const double luminance = 0.299 * c.r + 0.587 * c.g + 0.114 * c.b;
  return luminance > 0.55 ? kInk : Rgb{1, 1, 1};
}

}  // namespace gfsa::plot
