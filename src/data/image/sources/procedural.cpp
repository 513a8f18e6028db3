#include "data/image/sources/procedural.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "core/philox.h"

namespace gfsa::data {
namespace {

// Glyphs, each on the square [-1, 1] x [-1, 1]; u to the right, v down.
struct Glyph {
  const char* name;
  bool (*covers)(double u, double v);
};

double larger(double u, double v) { return std::max(std::abs(u), std::abs(v)); }
bool stripe(double t, double stripes) { return static_cast<int>((t + 1) / 2 * stripes) % 2 == 0; }

constexpr Glyph kGlyphs[] = {
    {"disc", [](double u, double v) { return u * u + v * v < 1; }},
    {"ring", [](double u, double v) { return u * u + v * v < 1 && u * u + v * v > 0.4; }},
    {"square", [](double u, double v) { return larger(u, v) < 0.9; }},
    {"frame", [](double u, double v) { return larger(u, v) < 0.95 && larger(u, v) > 0.6; }},
    {"plus", [](double u, double v) { return larger(u, v) < 1 && std::min(std::abs(u), std::abs(v)) < 0.28; }},
    {"cross", [](double u, double v) { return larger(u, v) < 1 && std::abs(std::abs(u) - std::abs(v)) < 0.36; }},
    {"triangle", [](double u, double v) { return v < 1 && std::abs(u) < (v + 1) / 2; }},
    {"rows", [](double u, double v) { return larger(u, v) < 1 && stripe(v, 5); }},
    {"columns", [](double u, double v) { return larger(u, v) < 1 && stripe(u, 5); }},
    {"checks", [](double u, double v) { return larger(u, v) < 1 && stripe(u, 4) == stripe(v, 4); }},
};
constexpr int kClasses = static_cast<int>(std::size(kGlyphs));

using Rgb = std::array<int, 3>;

int brightness(const Rgb& c) { return (299 * c[0] + 587 * c[1] + 114 * c[2]) / 1000; }

Rgb draw_color(RandomSequence& rng) {
  Rgb c;
  for (int& channel : c) channel = static_cast<int>(rng.below(256));
  return c;
}

class ProceduralImages : public ImageSource {
 public:
  ProceduralImages(const ProceduralConfig& config, std::string split, int64_t size)
      : config_(config), split_(std::move(split)), size_(size) {
    for (const auto& glyph : kGlyphs) classes_.emplace_back(glyph.name);
  }
  int64_t size() const override { return size_; }
  std::string sample_name(int64_t i) const override { return fmt::format("procedural {} picture {}", split_, i); }
  const std::vector<std::string>& class_names() const override { return classes_; }
  std::string fingerprint() const override {
    const auto& c = config_;
    return fmt::format("procedural {} {} pictures, seed {}, radius {} to {}, contrast {}, noise {}", split_, size_,
                       c.generator_seed, c.radius[0], c.radius[1], c.contrast, c.noise);
  }
  int64_t label(int64_t i) const override {
    auto rng = sequence("label", i);
    return static_cast<int64_t>(rng.below(kClasses));
  }

  ImageSample get(int64_t i) const override {
    ImageSample sample;
    sample.label = label(i);
    auto rng = sequence("picture", i);
    const double r = rng.uniform(config_.radius[0], config_.radius[1]);
    const double x = rng.uniform(r, kProceduralSize - r), y = rng.uniform(r, kProceduralSize - r);
    Rgb ground = draw_color(rng), glyph = draw_color(rng);
    while (std::abs(brightness(glyph) - brightness(ground)) < config_.contrast) {
      ground = draw_color(rng), glyph = draw_color(rng);
    }
    sample.image = draw(kGlyphs[sample.label], x, y, r, ground, glyph, sequence("noise", i));
    return sample;
  }

 private:
  RandomSequence sequence(const std::string& what, int64_t i) const {
    return {RandomKey(static_cast<uint64_t>(config_.generator_seed), "procedural." + split_ + "." + what),
            static_cast<uint32_t>(i)};
  }

  // Edges are smoothed over 3 x 3 points a pixel. Integer noise: no library function that could round differently.
  Image draw(const Glyph& shape, double x, double y, double r, const Rgb& ground, const Rgb& glyph,
             RandomSequence rng) const {
    Image image{kProceduralSize, kProceduralSize, std::vector<uint8_t>(3 * kProceduralSize * kProceduralSize)};
    uint8_t* out = image.rgb.data();
    for (int row = 0; row < kProceduralSize; ++row) {
      for (int column = 0; column < kProceduralSize; ++column) {
        int covered = 0;
        for (int s = 0; s < 9; ++s) {
          covered += shape.covers((column + (s % 3 + 0.5) / 3 - x) / r, (row + (s / 3 + 0.5) / 3 - y) / r);
        }
        const uint32_t bits = rng.bits(), more = rng.bits();
        const int random[3] = {static_cast<int>((bits & 255) + (bits >> 8 & 255)),
                               static_cast<int>((bits >> 16 & 255) + (bits >> 24)),
                               static_cast<int>((more & 255) + (more >> 8 & 255))};  // triangular in [0, 510]
        for (int c = 0; c < 3; ++c) {
          const int clean = (ground[c] * (9 - covered) + glyph[c] * covered) / 9;
          *out++ = static_cast<uint8_t>(std::clamp(clean + (random[c] - 255) * config_.noise / 255, 0, 255));
        }
      }
    }
    return image;
  }

  ProceduralConfig config_;
  std::string split_;
  int64_t size_;
  std::vector<std::string> classes_;
};

}  // namespace

void ProceduralConfig::describe(config::Schema& s) {
  s.field("train_size", train_size).in(1, 1e9).unit("pictures").doc("Size of the training split.");
  s.field("val_size", val_size).in(1, 1e9).unit("pictures").doc("Size of the validation split.");
  s.field("generator_seed", generator_seed).at_least(0).doc("Which pictures; apart from the run's seed.");
  s.field("radius", radius)
      .in(2, kProceduralSize / 2.0)
      .unit("pixels")
      .doc("Smallest and largest half width of a glyph.");
  s.field("contrast", contrast).in(1, 150).doc("Least difference in brightness between glyph and ground, of 255.");
  s.field("noise", noise).in(0, 255).doc("Largest random deviation of a pixel, of 255.");
  s.check(radius[0] <= radius[1], "radius", "the first must not be larger than the second");
}

std::unique_ptr<ImageSource> ProceduralConfig::open(const std::string& split) const {
  if (split != "train" && split != "val" && split != "test") {
    bad_input("data: the procedural set has no split '{}', expected train, val or test", split);
  }
  const bool train = split == "train";
  return std::make_unique<ProceduralImages>(*this, train ? "train" : "val", train ? train_size : val_size);
}

void register_procedural(config::Registry<ImageSourceConfig>& registry) {
  registry.add<ProceduralConfig>("procedural", "Generated 32 x 32 glyphs; nothing to download.");
}

}  // namespace gfsa::data
