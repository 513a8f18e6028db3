#include "data/image/affine.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "core/cpu/simd.h"

namespace gfsa::data {
namespace {

// Geometry.c's COORD: truncation, with every negative position outside.
int coordinate(double v) { return v < 0.0 ? -1 : static_cast<int>(v); }

void copy_pixel(uint8_t* to, const Image& in, int x, int y) {
  std::memcpy(to, in.rgb.data() + (static_cast<size_t>(y) * in.width + x) * 3, 3);
}

// ImagingScaleAffine: positions are accumulated, not multiplied.
void scale_nearest(const Image& in, const AffineMatrix& m, Image& out) {
  std::vector<int> columns(out.width);
  double x_in = m.c + m.a * 0.5, y_in = m.f + m.e * 0.5;
  for (int x = 0; x < out.width; ++x, x_in += m.a) columns[x] = coordinate(x_in);
  for (int y = 0; y < out.height; ++y, y_in += m.e) {
    const int row = coordinate(y_in);
    if (row < 0 || row >= in.height) continue;
    uint8_t* to = out.rgb.data() + static_cast<size_t>(y) * out.width * 3;
    for (int x = 0; x < out.width; ++x, to += 3) {
      if (columns[x] >= 0 && columns[x] < in.width) copy_pixel(to, in, columns[x], row);
    }
  }
}

// affine_fixed: 16.16 fixed point.
void transform_nearest(const Image& in, const AffineMatrix& m, Image& out) {
  const auto fixed = [](double v) { return static_cast<int>(std::floor(v * 65536.0 + 0.5)); };
  const int a0 = fixed(m.a), a1 = fixed(m.b), a3 = fixed(m.d), a4 = fixed(m.e);
  int row_x = fixed(m.c + m.a * 0.5 + m.b * 0.5), row_y = fixed(m.f + m.d * 0.5 + m.e * 0.5);
  uint8_t* to = out.rgb.data();
  for (int y = 0; y < out.height; ++y, row_x += a1, row_y += a4) {
    int xx = row_x, yy = row_y;
    for (int x = 0; x < out.width; ++x, to += 3, xx += a0, yy += a3) {
      const int xi = xx >> 16, yi = yy >> 16;
      if (xi >= 0 && xi < in.width && yi >= 0 && yi < in.height) copy_pixel(to, in, xi, yi);
    }
  }
}

using Double4 = double __attribute__((vector_size(32)));  // R G B and a lane of no meaning

using Int4 = int32_t __attribute__((vector_size(16)));

// Four 32-bit numbers a pixel, so that a pixel becomes doubles with one instruction.
inline std::vector<int32_t> widen(const Image& image) {
  const size_t pixels = static_cast<size_t>(image.width) * image.height;
  std::vector<int32_t> out(pixels * 4);
  const uint8_t* p = image.rgb.data();
  for (size_t i = 0; i < pixels; ++i, p += 3) out[4 * i] = p[0], out[4 * i + 1] = p[1], out[4 * i + 2] = p[2];
  return out;
}

inline __attribute__((always_inline)) void load(Double4& v, const int32_t* p) {
  Int4 pixel;
  std::memcpy(&pixel, p, sizeof pixel);
  v = __builtin_convertvector(pixel, Double4);
}

// BICUBIC of Geometry.c, operation by operation: the result is truncated, so the last bit counts.
inline __attribute__((always_inline)) void bicubic(Double4& v, const Double4& v1, const Double4& v2, const Double4& v3,
                                                   const Double4& v4, double d) {
  const Double4 p2 = v3 - v1, p3 = 2 * (v1 - v2) + v3 - v4, p4 = v2 - v1 - v3 + v4;
  v = v2 + d * (p2 + d * (p3 + d * p4));
}

// Clipped and truncated.
inline __attribute__((always_inline)) void store(uint8_t* to, const Double4& v) {
  Double4 clipped = v > 0.0 ? v : Double4{};
  clipped = clipped < 255.0 ? clipped : Double4{} + 255.0;
  const Int4 level = __builtin_convertvector(clipped, Int4);
  for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(level[c]);
}

// floor, for positions that are not far below 0.
inline int floor_of(double v) {
  const int i = static_cast<int>(v);
  return v < i ? i - 1 : i;
}

inline void transform_bilinear(const Image& in, const AffineMatrix& m, Image& out) {
  const int w = in.width, h = in.height;
  const std::vector<int32_t> wide = widen(in);
  const int32_t* pixels = wide.data();
  uint8_t* to = out.rgb.data();
  for (int oy = 0; oy < out.height; ++oy) {
    for (int ox = 0; ox < out.width; ++ox, to += 3) {
      const double xo = ox + 0.5, yo = oy + 0.5;
      const double xs = m.a * xo + m.b * yo + m.c, ys = m.d * xo + m.e * yo + m.f;
      if (!(xs >= 0.0 && xs < w && ys >= 0.0 && ys < h)) continue;
      const double xi = xs - 0.5, yi = ys - 0.5;
      const int x = floor_of(xi), y = floor_of(yi);
      const double dx = xi - x, dy = yi - y;
      const int x0 = 4 * std::max(x, 0), x1 = 4 * std::min(x + 1, w - 1);
      const int32_t* row0 = pixels + static_cast<size_t>(std::max(y, 0)) * w * 4;
      const int32_t* row1 = pixels + static_cast<size_t>(std::min(y + 1, h - 1)) * w * 4;
      Double4 a, b, top, bottom;
      load(a, row0 + x0), load(b, row0 + x1);
      top = a + (b - a) * dx;
      load(a, row1 + x0), load(b, row1 + x1);
      bottom = a + (b - a) * dx;
      top = top + (bottom - top) * dy;
      store(to, top);
    }
  }
}

inline void transform_bicubic(const Image& in, const AffineMatrix& m, Image& out) {
  const int w = in.width, h = in.height;
  const std::vector<int32_t> wide = widen(in);
  const int32_t* pixels = wide.data();
  uint8_t* to = out.rgb.data();
  for (int oy = 0; oy < out.height; ++oy) {
    for (int ox = 0; ox < out.width; ++ox, to += 3) {
      const double xo = ox + 0.5, yo = oy + 0.5;
      const double xs = m.a * xo + m.b * yo + m.c, ys = m.d * xo + m.e * yo + m.f;
      if (!(xs >= 0.0 && xs < w && ys >= 0.0 && ys < h)) continue;
      const double xi = xs - 0.5, yi = ys - 0.5;
      const int x = floor_of(xi), y = floor_of(yi);
      const double dx = xi - x, dy = yi - y;
      const int columns[4] = {4 * std::max(x - 1, 0), 4 * std::max(x, 0), 4 * std::min(x + 1, w - 1),
                              4 * std::min(x + 2, w - 1)};
      const auto row_value = [&](int row, Double4& v) __attribute__((always_inline)) {
        const int32_t* p = pixels + static_cast<size_t>(std::clamp(row, 0, h - 1)) * w * 4;
        Double4 v1, v2, v3, v4;
        load(v1, p + columns[0]), load(v2, p + columns[1]), load(v3, p + columns[2]), load(v4, p + columns[3]);
        bicubic(v, v1, v2, v3, v4, dx);
      };
      Double4 v;
      if (dy == 0) {  // the other rows have weight 0: shears and translations along x
        row_value(y, v);
      } else {
        Double4 v1, v2, v3, v4;
        row_value(y - 1, v1), row_value(y, v2), row_value(y + 1, v3), row_value(y + 2, v4);
        bicubic(v, v1, v2, v3, v4, dy);
      }
      store(to, v);
    }
  }
}

// Python's round(x, 15): correctly rounded in decimal, as printf is.
double round_15(double x) {
  char text[64];
  std::snprintf(text, sizeof text, "%.15f", x);
  return std::strtod(text, nullptr);
}

}  // namespace

Image transform_affine(const Image& image, const AffineMatrix& m, int width, int height, Interpolation interpolation,
                       const Color& fill) {
  if (image.width < 1 || image.height < 1 || width < 1 || height < 1) {
    bad_input("affine transform from {} x {} to {} x {}: all must be at least 1", image.width, image.height, width,
              height);
  }
  for (const double x : {0.0, static_cast<double>(width)}) {
    for (const double y : {0.0, static_cast<double>(height)}) {  // what Pillow's fixed point can hold (check_fixed)
      if (!(std::fabs(x * m.a + y * m.b + m.c) < 32768.0 && std::fabs(x * m.d + y * m.e + m.f) < 32768.0)) {
        bad_input("affine transform maps ({}, {}) to more than 32768 pixels from the image's corner", x, y);
      }
    }
  }
  Image out;
  out.width = width, out.height = height;
  out.rgb.resize(static_cast<size_t>(width) * height * 3);
  for (size_t i = 0; i < out.rgb.size(); i += 3) std::memcpy(out.rgb.data() + i, fill.data(), 3);
  if (interpolation == Interpolation::kBicubic) {
    simd::run([&] { transform_bicubic(image, m, out); });
  } else if (interpolation == Interpolation::kBilinear) {
    simd::run([&] { transform_bilinear(image, m, out); });
  } else if (m.b == 0 && m.d == 0) {
    scale_nearest(image, m, out);
  } else {
    transform_nearest(image, m, out);
  }
  return out;
}

Image rotate(const Image& image, double degrees, Interpolation interpolation, const Color& fill) {
  double angle = std::fmod(degrees, 360.0);
  if (angle < 0) angle += 360.0;
  if (angle == 0) return image;
  angle = -(angle * (3.141592653589793 / 180.0));
  const double cx = image.width / 2.0, cy = image.height / 2.0;
  AffineMatrix m;
  m.a = m.e = round_15(std::cos(angle));
  m.b = round_15(std::sin(angle)), m.d = round_15(-std::sin(angle));
  m.c = m.a * -cx + m.b * -cy + 0.0 + cx;
  m.f = m.d * -cx + m.e * -cy + 0.0 + cy;
  return transform_affine(image, m, image.width, image.height, interpolation, fill);
}

Image shear_x(const Image& image, double factor, Interpolation interpolation, const Color& fill) {
  return transform_affine(image, {1, factor, 0, 0, 1, 0}, image.width, image.height, interpolation, fill);
}

Image shear_y(const Image& image, double factor, Interpolation interpolation, const Color& fill) {
  return transform_affine(image, {1, 0, 0, factor, 1, 0}, image.width, image.height, interpolation, fill);
}

Image translate_x(const Image& image, double pixels, Interpolation interpolation, const Color& fill) {
  return transform_affine(image, {1, 0, pixels, 0, 1, 0}, image.width, image.height, interpolation, fill);
}

Image translate_y(const Image& image, double pixels, Interpolation interpolation, const Color& fill) {
  return transform_affine(image, {1, 0, 0, 0, 1, pixels}, image.width, image.height, interpolation, fill);
}

}  // namespace gfsa::data
