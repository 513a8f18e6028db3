// affine.h -- geometric transforms of 8-bit RGB images, bit for bit as Pillow's Image.transform(AFFINE) and
// Image.rotate (Geometry.c of libImaging), with the meaning of arguments that timm's auto_augment.py gives them.
#pragma once

#include <array>
#include <cstdint>

#include "data/image/resample.h"

namespace gfsa::data {

using Color = std::array<uint8_t, 3>;

// Output pixel (x, y) shows the input at (a x + b y + c, d x + e y + f); positions count from the image's corner, so
// that the centre of pixel (0, 0) is (0.5, 0.5).
struct AffineMatrix {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};

// Not antialiased. Bilinear and bicubic (a = -1, not resize's -0.5) values are computed in double and truncated, edge
// pixels repeat; what maps outside the input gets `fill`.
Image transform_affine(const Image& image, const AffineMatrix& matrix, int width, int height,
                       Interpolation interpolation, const Color& fill);

// Of the same size as the input; `degrees` counter-clockwise around the centre.
Image rotate(const Image& image, double degrees, Interpolation interpolation, const Color& fill);
Image shear_x(const Image& image, double factor, Interpolation interpolation, const Color& fill);
Image shear_y(const Image& image, double factor, Interpolation interpolation, const Color& fill);
// Output (x, y) shows input (x + pixels, y): positive moves the content to the left, as in timm.
Image translate_x(const Image& image, double pixels, Interpolation interpolation, const Color& fill);
Image translate_y(const Image& image, double pixels, Interpolation interpolation, const Color& fill);

}  // namespace gfsa::data
