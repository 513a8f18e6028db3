#include "data/image/resample.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "core/cpu/simd.h"
#include "data/image/affine.h"

namespace gfsa::data {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // Resample.c: 8 bits of result, two for overshoot of negative lobes
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

double bilinear_weight(double x) {
  x = std::fabs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic_weight(double x) {
  constexpr double a = -0.5;
  x = std::fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// For each output position the input positions that it weighs: [first, first + count), weights in fixed point.
struct Taps {
  int stride = 0;
  std::vector<int> first, count;
  std::vector<int32_t> weights;  // [outputs, stride]
};

Taps make_taps(int in_size, float in0, float in1, int out_size, Interpolation interpolation) {
  const auto weight = interpolation == Interpolation::kBicubic ? bicubic_weight : bilinear_weight;
  const double scale = static_cast<double>(in1 - in0) / out_size, filter_scale = std::max(scale, 1.0);
  const double support = (interpolation == Interpolation::kBicubic ? 2.0 : 1.0) * filter_scale;
  Taps taps;
  taps.stride = static_cast<int>(std::ceil(support)) * 2 + 1;
  taps.first.resize(out_size), taps.count.resize(out_size);
  taps.weights.assign(static_cast<size_t>(out_size) * taps.stride, 0);
  std::vector<double> w(taps.stride);
  const double inverse_scale = 1.0 / filter_scale;
  for (int i = 0; i < out_size; ++i) {
    const double center = in0 + (i + 0.5) * scale;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int count = std::min(static_cast<int>(center + support + 0.5), in_size) - first;
    double sum = 0.0;
    for (int t = 0; t < count; ++t) sum += w[t] = weight((t + first - center + 0.5) * inverse_scale);
    for (int t = 0; t < count; ++t) {
      const double k = sum != 0.0 ? w[t] / sum : w[t];
      taps.weights[static_cast<size_t>(i) * taps.stride + t] =
          static_cast<int32_t>((k < 0 ? -0.5 : 0.5) + k * (1 << kPrecisionBits));
    }
    taps.first[i] = first, taps.count[i] = count;
  }
  return taps;
}

// Where a crop of an image lies in memory.
struct View {
  const uint8_t* data;
  int width, height;
  size_t stride;  // bytes from row to row
  const uint8_t* row(int y) const { return data + static_cast<size_t>(y) * stride; }
};

using Int8 = int32_t __attribute__((vector_size(32)));  // two pixels: R G B - of one row, R G B - of the next

// Called through simd::run, as are the other pixel loops of this folder. gfsa_data is compiled without contraction to
// fused multiply-adds (CMakeLists.txt), so every instruction set gives the same bits, and those are Pillow's.
// Rows 2i and 2i + 1 of `in`, from row `first_row` on, to `rows` rows of `out`. Two rows fill a vector of eight.
inline void resample_rows(const View& in, int first_row, int rows, const Taps& taps, Image& out) {
  std::vector<int32_t> pair_storage(static_cast<size_t>(in.width) * 8 + 8);
  // NOLINTNEXTLINE(performance-no-int-to-ptr): the next multiple of 32 bytes
  int32_t* pairs = reinterpret_cast<int32_t*>((reinterpret_cast<uintptr_t>(pair_storage.data()) + 31) & ~uintptr_t{31});
  const int out_width = out.width;
  for (int y = 0; y < rows; y += 2) {
    const int second = std::min(y + 1, rows - 1);
    const uint8_t *row0 = in.row(first_row + y), *row1 = in.row(first_row + second);
    for (int x = 0; x < in.width; ++x) {
      int32_t* p = pairs + static_cast<size_t>(x) * 8;
      p[0] = row0[3 * x], p[1] = row0[3 * x + 1], p[2] = row0[3 * x + 2], p[3] = 0;
      p[4] = row1[3 * x], p[5] = row1[3 * x + 1], p[6] = row1[3 * x + 2], p[7] = 0;
    }
    uint8_t* out0 = out.rgb.data() + static_cast<size_t>(y) * out_width * 3;
    uint8_t* out1 = out.rgb.data() + static_cast<size_t>(second) * out_width * 3;
    for (int x = 0; x < out_width; ++x) {
      const Int8* p = reinterpret_cast<const Int8*>(pairs) + taps.first[x];
      const int32_t* w = taps.weights.data() + static_cast<size_t>(x) * taps.stride;
      Int8 sum = {kHalf, kHalf, kHalf, kHalf, kHalf, kHalf, kHalf, kHalf};
      for (int t = 0; t < taps.count[x]; ++t) sum += p[t] * w[t];
      sum >>= kPrecisionBits;
      sum = sum < 0 ? Int8{} : sum;
      sum = sum > 255 ? Int8{} + 255 : sum;
      for (int c = 0; c < 3; ++c) {
        out0[3 * x + c] = static_cast<uint8_t>(sum[c]);
        out1[3 * x + c] = static_cast<uint8_t>(sum[c + 4]);
      }
    }
  }
}

// Weighs whole rows; taps.first counts from row `first_row` of the picture, which is row 0 of `in`.
inline void resample_columns(const View& in, int first_row, const Taps& taps, Image& out) {
  const int n = out.width * 3;
  std::vector<int32_t> sums(n);
  int32_t* __restrict sum = sums.data();
  for (int y = 0; y < out.height; ++y) {
    const int32_t* w = taps.weights.data() + static_cast<size_t>(y) * taps.stride;
    for (int x = 0; x < n; ++x) sum[x] = kHalf;
    for (int t = 0; t < taps.count[y]; ++t) {
      const uint8_t* __restrict row = in.row(taps.first[y] - first_row + t);
      const int32_t k = w[t];
      for (int x = 0; x < n; ++x) sum[x] += row[x] * k;
    }
    uint8_t* __restrict to = out.rgb.data() + static_cast<size_t>(y) * n;
    for (int x = 0; x < n; ++x) to[x] = static_cast<uint8_t>(std::clamp(sum[x] >> kPrecisionBits, 0, 255));
  }
}

Image new_image(int width, int height) {
  Image image;
  image.width = width, image.height = height;
  image.rgb.resize(static_cast<size_t>(width) * height * 3);
  return image;
}

View view_of(const Image& image, const CropBox& box) {
  const size_t stride = static_cast<size_t>(image.width) * 3;
  return {image.rgb.data() + static_cast<size_t>(box.top) * stride + static_cast<size_t>(box.left) * 3, box.width,
          box.height, stride};
}

View view_of(const Image& image) { return view_of(image, {0, 0, image.width, image.height}); }

Image copy(const View& view) {
  Image out = new_image(view.width, view.height);
  for (int y = 0; y < view.height; ++y) {
    std::memcpy(out.rgb.data() + static_cast<size_t>(y) * view.width * 3, view.row(y),
                static_cast<size_t>(view.width) * 3);
  }
  return out;
}

void check_box(const Image& image, const CropBox& box) {
  if (box.width < 1 || box.height < 1 || box.left < 0 || box.top < 0 || box.width > image.width - box.left ||
      box.height > image.height - box.top) {
    bad_input("crop of {} x {} pixels at ({}, {}) does not lie inside an image of {} x {}", box.width, box.height,
              box.left, box.top, image.width, image.height);
  }
}

// _resize of Pillow's _imaging.c.
Image resize_view(const View& in, int width, int height, Interpolation interpolation, const FloatBox& box) {
  if (width < 1 || height < 1) bad_input("resize to {} x {}: both must be at least 1", width, height);
  if (!(box.left >= 0 && box.top >= 0 && box.right <= in.width && box.bottom <= in.height && box.right > box.left &&
        box.bottom > box.top)) {
    bad_input("resize from the box ({}, {}, {}, {}): it must be part of the image of {} x {}", box.left, box.top,
              box.right, box.bottom, in.width, in.height);
  }
  if (box.left == std::floor(box.left) && box.top == std::floor(box.top) &&
      box.right - box.left == static_cast<float>(width) && box.bottom - box.top == static_cast<float>(height)) {
    const int left = static_cast<int>(box.left), top = static_cast<int>(box.top);
    return copy(View{in.row(top) + 3 * left, width, height, in.stride});
  }
  if (interpolation == Interpolation::kNearest) {
    const AffineMatrix m{static_cast<double>(box.right - box.left) / width,  0,      box.left, 0,
                         static_cast<double>(box.bottom - box.top) / height, box.top};
    return transform_affine(copy(in), m, width, height, Interpolation::kNearest, {0, 0, 0});
  }
  const bool along_x = width != in.width || box.left != 0 || box.right != static_cast<float>(width);
  const bool along_y = height != in.height || box.top != 0 || box.bottom != static_cast<float>(height);
  const Taps horizontal = make_taps(in.width, box.left, box.right, width, interpolation);
  const Taps vertical = make_taps(in.height, box.top, box.bottom, height, interpolation);
  // The order matters for the bytes between. Pillow since version 13: rows first where the height shrinks much more.
  if (!along_x || (along_y && height < in.height && in.height - height > 2 * (in.width - width))) {
    Image rows = new_image(in.width, height);
    simd::run([&] { resample_columns(in, 0, vertical, rows); });
    if (!along_x) return rows;
    Image out = new_image(width, height);
    simd::run([&] { resample_rows(view_of(rows), 0, height, horizontal, out); });
    return out;
  }
  const int first_row = along_y ? vertical.first.front() : 0;
  const int last_row = along_y ? vertical.first.back() + vertical.count.back() : in.height;
  Image columns = new_image(width, last_row - first_row);
  simd::run([&] { resample_rows(in, first_row, columns.height, horizontal, columns); });
  if (!along_y) return columns;
  Image out = new_image(width, height);
  simd::run([&] { resample_columns(view_of(columns), first_row, vertical, out); });
  return out;
}

}  // namespace

Interpolation interpolation_by_name(const std::string& name) {
  if (name == "nearest") return Interpolation::kNearest;
  if (name == "bilinear") return Interpolation::kBilinear;
  if (name == "bicubic") return Interpolation::kBicubic;
  bad_input("unknown interpolation '{}', expected nearest, bilinear or bicubic{}", name,
            did_you_mean(name, {"nearest", "bilinear", "bicubic"}));
}

Image resize(const Image& image, int width, int height, Interpolation interpolation, const FloatBox& box) {
  return resize_view(view_of(image), width, height, interpolation, box);
}

Image resize(const Image& image, int width, int height, Interpolation interpolation) {
  return resize(image, width, height, interpolation,
                {0, 0, static_cast<float>(image.width), static_cast<float>(image.height)});
}

Image crop_and_resize(const Image& image, const CropBox& box, int width, int height, Interpolation interpolation) {
  check_box(image, box);
  return resize_view(view_of(image, box), width, height, interpolation,
                     {0, 0, static_cast<float>(box.width), static_cast<float>(box.height)});
}

Image crop(const Image& image, const CropBox& box) {
  check_box(image, box);
  return copy(view_of(image, box));
}

Image pad(const Image& image, int left, int top, int right, int bottom, Padding padding) {
  if (left < 0 || top < 0 || right < 0 || bottom < 0) bad_input("pad: widths must not be negative");
  if (padding == Padding::kReflect && (std::max(left, right) >= image.width || std::max(top, bottom) >= image.height)) {
    bad_input("reflection by {}, {}, {}, {} pixels needs a larger image than {} x {}", left, top, right, bottom,
              image.width, image.height);
  }
  const auto mirrored = [](int i, int n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; };
  Image out = new_image(image.width + left + right, image.height + top + bottom);
  const size_t row_bytes = static_cast<size_t>(image.width) * 3;
  for (int y = 0; y < out.height; ++y) {
    const int from = mirrored(y - top, image.height);
    if (padding == Padding::kZero && from != y - top) continue;
    const uint8_t* in = image.rgb.data() + from * row_bytes;
    uint8_t* to = out.rgb.data() + static_cast<size_t>(y) * out.width * 3;
    std::memcpy(to + 3 * left, in, row_bytes);
    if (padding == Padding::kZero) continue;
    for (int x = 0; x < left; ++x) std::memcpy(to + 3 * x, in + 3 * mirrored(x - left, image.width), 3);
    for (int x = left + image.width; x < out.width; ++x) {
      std::memcpy(to + 3 * x, in + 3 * mirrored(x - left, image.width), 3);
    }
  }
  return out;
}

void flip_horizontal(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    uint8_t* a = image.rgb.data() + static_cast<size_t>(y) * image.width * 3;
    uint8_t* b = a + static_cast<size_t>(image.width) * 3 - 3;
    for (; a < b; a += 3, b -= 3) {
      for (int c = 0; c < 3; ++c) std::swap(a[c], b[c]);
    }
  }
}

}  // namespace gfsa::data
