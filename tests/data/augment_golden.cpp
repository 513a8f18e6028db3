#include "data/augment_golden.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "data/image/pixel_ops.h"
#include "data/image/random_crop.h"

namespace gfsa::data {
namespace {

constexpr Color kFill{124, 116, 104};

Image padded_crop(const Image& image, const std::vector<double>& n, Padding padding) {
  const int p = static_cast<int>(n[2]);
  return crop(pad(image, p, p, p, p, padding),
              {static_cast<int>(n[0]), static_cast<int>(n[1]), image.width, image.height});
}

}  // namespace

bool parse_pixel_case(const std::string& name, PixelCase& out) {
  std::vector<std::string> parts(1);
  for (const char c : name) {
    if (c == '|') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  if (parts.size() != 4 || parts[1] == "eval" || parts[0] == "policy") return false;
  out = {parts[0], parts[1], parts[3], {}};
  std::istringstream numbers(parts[2]);
  for (std::string number; std::getline(numbers, number, ',');) out.numbers.push_back(std::stod(number));
  return true;
}

Image run_pixel_case(const Image& image, const PixelCase& c) {
  const std::vector<double>& n = c.numbers;
  const auto whole = [&](size_t i) { return static_cast<int>(n.at(i)); };
  const auto part = [&](size_t i) { return static_cast<float>(n.at(i)); };
  const Interpolation mode = c.interpolation.empty() ? Interpolation::kNearest : interpolation_by_name(c.interpolation);
  Image out = image;
  if (c.operation == "resize" && n.size() == 2) return resize(image, whole(0), whole(1), mode);
  if (c.operation == "resize") {
    return resize(image, whole(0), whole(1), mode, FloatBox{part(2), part(3), part(4), part(5)});
  }
  if (c.operation == "resized_crop") {
    return crop_and_resize(image, {whole(0), whole(1), whole(2), whole(3)}, whole(4), whole(4), mode);
  }
  if (c.operation == "affine") {
    return transform_affine(image, {n[0], n[1], n[2], n[3], n[4], n[5]}, image.width, image.height, mode, kFill);
  }
  if (c.operation == "center_crop") return center_crop(image, whole(0), whole(1));
  if (c.operation == "resize_shorter") return resize_shorter_edge(image, whole(0), mode);
  if (c.operation == "pad_zero") return padded_crop(image, n, Padding::kZero);
  if (c.operation == "pad_reflect") return padded_crop(image, n, Padding::kReflect);
  if (c.operation == "flip") {
    flip_horizontal(out);
  } else if (c.operation == "grayscale") {
    grayscale(out);
  } else if (c.operation == "hue") {
    adjust_hue(out, n[0]);
  } else {
    apply_pixel_op(out, {augment_kind_by_name(c.operation), n.empty() ? 0.0 : n[0], mode}, kFill);
  }
  return out;
}

LevelError level_error(const Image& a, const Image& b) {
  EXPECT_EQ(a.width, b.width);
  EXPECT_EQ(a.height, b.height);
  EXPECT_EQ(a.rgb.size(), b.rgb.size());
  LevelError error;
  double sum = 0;
  for (size_t i = 0; i < std::min(a.rgb.size(), b.rgb.size()); ++i) {
    const int difference = std::abs(static_cast<int>(a.rgb[i]) - b.rgb[i]);
    error.max = std::max(error.max, difference), sum += difference;
  }
  error.mean = sum / static_cast<double>(std::max<size_t>(a.rgb.size(), 1));
  return error;
}

double chi_square_deviations(const std::vector<double>& expected, const std::vector<double>& observed) {
  EXPECT_EQ(expected.size(), observed.size());
  double a = 0, b = 0, chi = 0;
  for (const double v : expected) a += v;
  for (const double v : observed) b += v;
  EXPECT_GT(a, 0);
  EXPECT_GT(b, 0);
  int bins = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] + observed[i] == 0) continue;
    const double d = std::sqrt(b / a) * expected[i] - std::sqrt(a / b) * observed[i];
    chi += d * d / (expected[i] + observed[i]), ++bins;
  }
  const double freedom = std::max(bins - 1, 1);
  return (chi - freedom) / std::sqrt(2 * freedom);
}

}  // namespace gfsa::data
