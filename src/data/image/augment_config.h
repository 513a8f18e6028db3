// augment_config.h -- the section `augment` of a config: everything that happens to images between decoding and the
// model, named and valued as in timm.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "config/schema.h"
#include "data/image/affine.h"
#include "data/image/color_jitter.h"
#include "data/image/erasing.h"
#include "data/image/mixup.h"

namespace gfsa::data {

struct RandomResizedCropConfig {
  bool enabled = false;
  std::array<double, 2> scale{0.08, 1.0};
  std::array<double, 2> ratio{3.0 / 4.0, 4.0 / 3.0};
  void describe(config::Schema& s);
};

struct ErasingConfig {
  double prob = 0;
  std::string mode = "pixel";
  int count = 1;
  double min_area = 0.02, max_area = 1 / 3.0, min_aspect = 0.3;
  void describe(config::Schema& s);
};

struct PadCropConfig {
  int padding = 0;
  std::string mode = "zero";
  void describe(config::Schema& s);
};

struct EvalTransformConfig {
  double crop_pct = 0.875;
  std::optional<int> resize;
  void describe(config::Schema& s);
};

struct AugmentConfig {
  RandomResizedCropConfig random_resized_crop;
  PadCropConfig pad_crop;
  std::string interpolation = "bicubic";
  double flip = 0.5;
  std::string policy = "none";
  std::vector<double> color_jitter;
  ErasingConfig erasing;
  double mixup = 0, cutmix = 0, mix_prob = 1.0, mix_switch_prob = 0.5;
  double label_smoothing = 0;
  int repeated = 1;
  std::array<double, 3> mean{0.485, 0.456, 0.406}, std{0.229, 0.224, 0.225};
  EvalTransformConfig eval;

  void describe(config::Schema& s);

  // The same in the types of the parts.
  ColorJitter jitter() const;
  RandomErasing random_erasing() const;
  MixConfig mix() const;
  Color fill() const;  // the mean as 8-bit colour: what lies outside of rotated and sheared images
  // Targets are distributions, not labels.
  bool soft_targets() const { return label_smoothing > 0 || mix().enabled(); }
};

}  // namespace gfsa::data
