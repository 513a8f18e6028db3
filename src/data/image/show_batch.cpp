#include "data/image/show_batch.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/image/transform.h"
#include "formats/plot.h"

namespace gfsa::data {
namespace {

std::string class_name(const std::vector<std::string>& names, int64_t label) {
  return label >= 0 && label < static_cast<int64_t>(names.size()) ? names[static_cast<size_t>(label)]
                                                                  : std::to_string(label);
}

std::string caption(const Batch& batch, const std::vector<std::string>& names, int64_t i) {
  const std::string label = class_name(names, batch.at("labels").data<int64_t>()[i]);
  if (!batch.has("targets")) return label;
  const Tensor& targets = batch.at("targets");
  const int64_t classes = targets.dim(1);
  const float* row = targets.data<float>() + i * classes;
  std::vector<int64_t> order(static_cast<size_t>(classes));
  std::iota(order.begin(), order.end(), int64_t{0});
  const size_t shown = std::min<size_t>(2, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(shown), order.end(),
                    [&](int64_t a, int64_t b) { return row[a] != row[b] ? row[a] > row[b] : a < b; });
  std::string text;
  for (size_t k = 0; k < shown; ++k) {
    if (k > 0 && row[order[k]] < 0.1F) break;  // what label smoothing spreads over all classes
    text += fmt::format("{}{:.2f} {}", k > 0 ? "\n" : "", row[order[k]], class_name(names, order[k]));
  }
  return text;
}

}  // namespace

void show_batch(Env& env, const Batch& batch, const std::vector<std::string>& class_names, const AugmentConfig& augment,
                const std::string& path, int64_t most) {
  const Tensor images = batch.at("images").contiguous();
  const auto channels = static_cast<size_t>(images.dim(1));
  const int height = static_cast<int>(images.dim(2)), width = static_cast<int>(images.dim(3));
  const size_t plane = static_cast<size_t>(height) * width;
  const Normalize normalize(augment.mean, augment.std);
  std::vector<Tile> tiles;
  std::vector<float> pixels(3 * plane);
  for (int64_t i = 0; i < std::min(most, batch.size); ++i) {
    const float* from = images.data<float>() + static_cast<size_t>(i) * channels * plane;
    for (size_t c = 0; c < 3; ++c) {
      std::copy_n(from + (channels == 3 ? c * plane : 0), plane, pixels.begin() + static_cast<int64_t>(c * plane));
    }
    Tile tile{normalize.inverse(pixels, width, height), caption(batch, class_names, i)};
    if (channels == 1) {  // the three channels have means of their own; show the one that there is
      for (size_t p = 0; p < plane; ++p) tile.image.rgb[3 * p + 1] = tile.image.rgb[3 * p + 2] = tile.image.rgb[3 * p];
    }
    tiles.push_back(std::move(tile));
  }
  const int columns = std::max(1, static_cast<int>(std::ceil(std::sqrt(static_cast<double>(tiles.size())))));
  save_image_grid(env, path, tiles, columns);
}

}  // namespace gfsa::data
