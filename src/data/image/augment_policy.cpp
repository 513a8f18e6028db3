#include "data/image/augment_policy.h"

#include <charconv>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/strings.h"
#include "data/image/auto_augment_tables.h"

namespace gfsa::data {
namespace {

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == '-') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

constexpr double kMaxMagnitude = 1000;  // real ones are about 10

// "mstd0.5" is {"mstd", 0.5}; the number starts at the first digit.
struct Option {
  std::string key;
  double value = 0;
};

std::optional<Option> parse_option(const std::string& part) {
  const size_t digit = part.find_first_of("0123456789");
  if (digit == std::string::npos || digit == 0) return std::nullopt;
  Option option{part.substr(0, digit)};
  const char* end = part.data() + part.size();
  const auto [stop, error] = std::from_chars(part.data() + digit, end, option.value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return option;
}

double noise(double std) { return std > 100 ? std::numeric_limits<double>::infinity() : std; }

[[noreturn]] void unknown_part(const std::string& text, const std::string& part, const char* expected) {
  bad_input("policy '{}': cannot read '{}', expected {}", text, part, expected);
}

}  // namespace

AugmentPolicy::AugmentPolicy(const std::string& text, const AugmentSettings& settings) : settings_(settings) {
  if (text.empty() || text == "none") return;
  const std::vector<std::string> parts = split(text);
  if (parts[0] == "rand") {
    parse_rand_augment(text, parts);
  } else {
    parse_auto_augment(text, parts);
  }
}

void AugmentPolicy::parse_rand_augment(const std::string& text, const std::vector<std::string>& parts) {
  constexpr const char* kExpected = "m, n, p, mstd, mmax or inc with a number, or t with a list (3a, 3aw, weights)";
  AugmentOp op;  // timm's defaults: probability 0.5, magnitude 10
  layers_ = 2;
  bool increasing = false;
  std::string list;
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i].starts_with("t")) {
      list = parts[i].substr(1);
      if (list != "3a" && list != "3aw" && list != "weights") unknown_part(text, parts[i], kExpected);
      continue;
    }
    const auto option = parse_option(parts[i]);
    if (!option) unknown_part(text, parts[i], kExpected);
    const double value = option->value;
    if (option->key == "m" && value <= kMaxMagnitude) {
      op.magnitude = value;
    } else if (option->key == "n" && value >= 1 && value <= 100) {
      layers_ = static_cast<int>(value);
    } else if (option->key == "p" && value <= 1) {
      op.probability = value;
    } else if (option->key == "mstd") {
      settings_.magnitude_std = noise(value);
    } else if (option->key == "mmax" && value > 0 && value <= kMaxMagnitude) {
      settings_.magnitude_max = value;
    } else if (option->key == "inc") {
      increasing = value != 0;
    } else {
      unknown_part(text, parts[i], kExpected);
    }
  }
  keeps_color_jitter_ = list == "3a" || list == "3aw";
  bool weighted = false;
  for (const auto& [kind, weight] : rand_augment_table(list.empty() && increasing ? "increasing" : list, weighted)) {
    op.kind = kind;
    choices_.push_back({op});
    weights_.push_back(weight);
  }
  if (!weighted) weights_.clear();
  if (weighted && layers_ > static_cast<int>(choices_.size())) {
    bad_input("policy '{}': n{} is more than the {} operations of the list '{}', which are drawn without replacement",
              text, layers_, choices_.size(), list);
  }
}

void AugmentPolicy::parse_auto_augment(const std::string& text, const std::vector<std::string>& parts) {
  choices_ = auto_augment_table(parts[0]);
  if (choices_.empty()) {
    const std::vector<std::string> names{"none", "rand-m9-mstd0.5-inc1", "original", "originalr", "v0", "v0r", "3a"};
    bad_input("unknown augmentation policy '{}', expected {}{}", text, one_of(names), did_you_mean(text, names));
  }
  keeps_color_jitter_ = parts[0] == "3a";
  for (size_t i = 1; i < parts.size(); ++i) {
    const auto option = parse_option(parts[i]);
    if (!option || option->key != "mstd") unknown_part(text, parts[i], "mstd with a number");
    settings_.magnitude_std = option->value;
  }
}

std::vector<PixelOp> AugmentPolicy::draw(RandomSequence& rng) const {
  std::vector<PixelOp> out;
  if (choices_.empty()) return out;
  std::vector<double> weights = weights_;
  for (int layer = 0; layer < layers_; ++layer) {
    size_t choice = 0;
    if (weights.empty()) {
      choice = rng.below(choices_.size());
    } else {
      double total = 0;
      for (const double w : weights) total += w;
      double left = rng.uniform() * total;
      size_t last = 0;  // the last one that is still there catches rounding
      for (choice = 0; choice < weights.size(); ++choice) {
        if (weights[choice] <= 0) continue;
        last = choice;
        if ((left -= weights[choice]) < 0) break;
      }
      choice = last;
      weights[choice] = 0;
    }
    for (const AugmentOp& op : choices_[choice]) {
      if (const auto drawn = draw_augment_op(rng, op, settings_)) out.push_back(*drawn);
    }
  }
  return out;
}

void AugmentPolicy::apply(Image& image, const std::vector<PixelOp>& ops) const {
  for (const PixelOp& op : ops) apply_pixel_op(image, op, settings_.fill);
}

}  // namespace gfsa::data
