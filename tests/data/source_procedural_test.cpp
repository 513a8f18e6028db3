// The generated set: pure, and out of a linear classifier's reach.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "data/image/sources/procedural.h"
#include "image_files.h"

namespace gfsa::data {
namespace {

constexpr const char* kGoldenFirst = "9 5dc7945b73b015ea";  // label and XXH3 of picture 0

TEST(SourceProcedural, IsAPureFunctionOfSeedSplitAndIndex) {
  ProceduralConfig config;
  const auto train = config.open("train"), again = config.open("train"), val = config.open("val");
  EXPECT_EQ(train->size(), 10240);
  EXPECT_EQ(val->size(), 2048);
  EXPECT_EQ(train->get(17).image.rgb, again->get(17).image.rgb);
  EXPECT_EQ(train->get(17).label, again->label(17));
  EXPECT_NE(train->get(17).image.rgb, val->get(17).image.rgb);
  EXPECT_NE(train->get(17).image.rgb, train->get(18).image.rgb);
  EXPECT_EQ(train->fingerprint(), again->fingerprint());
  config.train_size = 20;  // another size: the same pictures
  EXPECT_EQ(config.open("train")->get(17).image.rgb, train->get(17).image.rgb);
  EXPECT_NE(config.open("train")->fingerprint(), train->fingerprint());
  config.generator_seed = 1;
  EXPECT_NE(config.open("train")->get(17).image.rgb, train->get(17).image.rgb);
  EXPECT_NE(message_of([&] { config.open("dev"); }), "no error");

  // The same pixels everywhere and for ever: runs are compared by them.
  const auto first = train->get(0);
  Fingerprint hash;
  hash.add(first.image.rgb.data(), first.image.rgb.size());
  EXPECT_EQ(fmt::format("{} {}", first.label, hash.hex()), kGoldenFirst);
}

TEST(SourceProcedural, ClassesAreBalancedOnAverage) {
  const auto train = ProceduralConfig().open("train");
  std::vector<int> counts(train->class_names().size());
  for (int64_t i = 0; i < train->size(); ++i) ++counts[static_cast<size_t>(train->label(i))];
  EXPECT_EQ(counts.size(), 10u);
  for (int count : counts) EXPECT_NEAR(count, 1024, 120);
}

struct Pixels {
  std::vector<float> x;  // [n, 3072 + 1], centred; the last is 1
  std::vector<int64_t> y;
  int64_t n = 0;
};
constexpr int kFeatures = 3 * kProceduralSize * kProceduralSize + 1, kLanes = 16, kClasses = 10;

Pixels pixels_of(const ImageSource& source, int64_t n) {
  Pixels out;
  out.n = n;
  for (int64_t i = 0; i < n; ++i) {
    const auto sample = source.get(i);
    for (uint8_t v : sample.image.rgb) out.x.push_back((static_cast<float>(v) - 127.5F) / 127.5F);
    out.x.push_back(1);
    out.y.push_back(sample.label);
  }
  return out;
}

// Multinomial logistic regression by SGD. Weights [feature, class], classes padded to whole vectors.
struct Linear {
  std::vector<float> w = std::vector<float>(size_t{kFeatures} * kLanes);

  void logits(const float* x, float* z) const {
    std::fill(z, z + kLanes, 0.0F);
    for (int f = 0; f < kFeatures; ++f) {
      for (int c = 0; c < kLanes; ++c) z[c] += x[f] * w[static_cast<size_t>(f * kLanes + c)];
    }
  }
  void step(const float* x, int64_t label, float rate) {
    float z[kLanes];
    logits(x, z);
    const float top = *std::max_element(z, z + kClasses);
    float sum = 0;
    for (int c = 0; c < kClasses; ++c) sum += z[c] = std::exp(z[c] - top);
    for (int c = 0; c < kLanes; ++c) z[c] = c < kClasses ? rate * ((c == label) - z[c] / sum) : 0;
    for (int f = 0; f < kFeatures; ++f) {
      for (int c = 0; c < kLanes; ++c) w[static_cast<size_t>(f * kLanes + c)] += x[f] * z[c];
    }
  }
  double accuracy(const Pixels& data) const {
    int64_t right = 0;
    for (int64_t i = 0; i < data.n; ++i) {
      float z[kLanes];
      logits(&data.x[static_cast<size_t>(i) * kFeatures], z);
      right += std::max_element(z, z + kClasses) - z == data.y[static_cast<size_t>(i)];
    }
    return static_cast<double>(right) / static_cast<double>(data.n);
  }
};

double linear_accuracy(const Pixels& train, const Pixels& val) {
  Linear model;
  for (int epoch = 0; epoch < 6; ++epoch) {
    for (int64_t i = 0; i < train.n; ++i) {
      model.step(&train.x[static_cast<size_t>(i) * kFeatures], train.y[static_cast<size_t>(i)],
                 1e-3F / static_cast<float>(1 + epoch));
    }
  }
  return model.accuracy(val);
}

TEST(SourceProcedural, ALinearClassifierFails) {
  const ProceduralConfig config;
  auto train = pixels_of(*config.open("train"), 4000), val = pixels_of(*config.open("val"), 1000);
  EXPECT_LT(linear_accuracy(train, val), 0.35);

  // The same classifier does solve what is linear: ten pixels that tell the class faintly.
  for (auto* data : {&train, &val}) {
    for (int64_t i = 0; i < data->n; ++i) {
      for (size_t k = 0; k < 10; ++k) {
        data->x[static_cast<size_t>(i) * kFeatures + 200 * k + 10 * static_cast<size_t>(data->y[i])] += 1.0F;
      }
    }
  }
  EXPECT_GT(linear_accuracy(train, val), 0.7);
}

}  // namespace
}  // namespace gfsa::data
