// stripes.cpp -- generated pictures of stripes in four directions; the class is the direction.
#include <array>
#include <cmath>

#include "base/error.h"
#include "core/philox.h"
#include "data/image/image_source.h"

namespace gfsa::data {
namespace {

constexpr int kSize = 32;  // pixels, both ways
constexpr std::array<std::array<int, 2>, 4> kDirections{{{1, 0}, {1, 1}, {0, 1}, {1, -1}}};

class Stripes final : public ImageSource {
 public:
  Stripes(std::string split, int64_t size) : split_(std::move(split)), size_(size) {}

  int64_t size() const override { return size_; }
  std::string sample_name(int64_t i) const override { return fmt::format("stripes {} picture {}", split_, i); }
  std::string fingerprint() const override { return fmt::format("stripes {} {}", split_, size_); }
  int64_t label(int64_t i) const override { return i % 4; }
  const std::vector<std::string>& class_names() const override { return names_; }
  bool is_decoded() const override { return true; }         // made, not decoded: nothing to cache
  bool flip_keeps_class() const override { return false; }  // mirrored, rising is falling

  // Called by several threads at once; a pure function of i.
  ImageSample get(int64_t i) const override {
    RandomSequence rng(RandomKey(0, "stripes." + split_), static_cast<uint32_t>(i));
    const auto [dx, dy] = kDirections[static_cast<size_t>(label(i))];
    const double phase = rng.uniform(0, 6.28), width = rng.uniform(1.5, 3);
    ImageSample sample{.image = {kSize, kSize, {}}, .pixels = {}, .label = label(i)};
    for (int y = 0; y < kSize; ++y) {
      for (int x = 0; x < kSize; ++x) {
        const double wave = std::sin((dx * x + dy * y) / width + phase), noise = rng.uniform(-40, 40);
        sample.image.rgb.insert(sample.image.rgb.end(), 3, static_cast<uint8_t>(128 + 80 * wave + noise));
      }
    }
    return sample;
  }

 private:
  std::string split_;
  int64_t size_;
  std::vector<std::string> names_{"columns", "rising", "rows", "falling"};
};

struct StripesConfig final : ImageSourceConfig {
  int64_t pictures = 1024;
  void describe(config::Schema& s) override {
    s.field("pictures", pictures).in(1, 1e9).doc("Size of the training split; validation has a quarter of it.");
  }
  std::unique_ptr<ImageSource> open(const std::string& split) const override {
    if (split != "train" && split != "val") bad_input("data: stripes has no split '{}', expected train or val", split);
    return std::make_unique<Stripes>(split, split == "train" ? pictures : (pictures + 3) / 4);
  }
};

}  // namespace

void register_stripes(config::Registry<ImageSourceConfig>& registry) {
  registry.add<StripesConfig>("stripes", "Stripes in four directions.");
}

}  // namespace gfsa::data
