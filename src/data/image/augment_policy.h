// augment_policy.h -- policies by timm's names: which operations an image gets.
//
//   none                          nothing
//   rand-m9-n2-mstd0.5-inc1       RandAugment (arXiv:1909.13719): n (2) of a list of operations, each with probability
//                                 p (0.5), at magnitude m (10) with normal noise mstd (0; above 100: uniform), at most
//                                 mmax (10); inc1: the variants that grow stronger with m; t3a, t3aw, tweights: other
//                                 lists
//   original, v0, originalr, v0r  AutoAugment (arXiv:1805.09501): one of 25 pairs of operations; -mstd0.5 as above
//   3a                            3-Augment (DeiT III, arXiv:2204.07118): solarisation, grayscale or blur
#pragma once

#include <string>
#include <vector>

#include "data/image/augment_op.h"

namespace gfsa::data {

class AugmentPolicy {
 public:
  AugmentPolicy() = default;  // "none"
  // Noise and maximum come from `text`, everything else from `settings`. A malformed text is bad input.
  AugmentPolicy(const std::string& text, const AugmentSettings& settings);

  bool empty() const { return choices_.empty(); }
  // 3-Augment, the one policy beside which timm keeps the colour jitter.
  bool keeps_color_jitter() const { return keeps_color_jitter_; }
  const AugmentSettings& settings() const { return settings_; }
  // What RandAugment chooses single operations from and AutoAugment sequences.
  const std::vector<std::vector<AugmentOp>>& choices() const { return choices_; }

  std::vector<PixelOp> draw(RandomSequence& rng) const;
  void apply(Image& image, const std::vector<PixelOp>& ops) const;

 private:
  void parse_rand_augment(const std::string& text, const std::vector<std::string>& parts);
  void parse_auto_augment(const std::string& text, const std::vector<std::string>& parts);

  AugmentSettings settings_;
  std::vector<std::vector<AugmentOp>> choices_;
  std::vector<double> weights_;  // of the choices; empty: equal, drawn with replacement; else without
  int layers_ = 1;
  bool keeps_color_jitter_ = false;
};

}  // namespace gfsa::data
