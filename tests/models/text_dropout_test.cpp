// Where language models drop: every place acts, in training only, and anew in every step and layer.
#include <gtest/gtest.h>

#include <cmath>

#include "models/text_batch.h"

namespace gfsa::test {
namespace {

// Every place that drops: the loss changes with each of them, from step to step, and not in evaluation.
TEST(TextDropout, ActsInTrainingAndDiffersFromStepToStep) {
  const Texts texts;
  for (const Family& f : kFamilies) {
    SCOPED_TRACE(f.name);
    const std::string head = f.head == kCausal ? "" : ", head_dropout: ";
    const auto none = head.empty() ? head : head + "0";
    const TextSubject still(tiny(f, ", dropout: 0" + none), kFilter, f.head, 3);
    const auto expected = logits(still, texts.padded(8));
    struct Place {
      std::string model, attention;
    };
    std::vector<Place> places{
        {", dropout: 0.4" + none, kFilter},
        {", dropout: 0" + none, "{variant: gfsa, K: 3, w0: 0.05, dropout: 0.4, dropout_order: dropout_first}"}};
    if (f.head == kClasses) places.push_back({", dropout: 0, head_dropout: 0.4", kFilter});
    for (const Place& place : places) {
      SCOPED_TRACE(place.model + " " + place.attention);
      TextSubject s(tiny(f, place.model), place.attention, f.head, 3);
      EXPECT_EQ(logits(s, texts.padded(8)), expected) << "evaluation";
      s.context.training = true;
      const auto first = logits(s, texts.padded(8));
      EXPECT_EQ(first, logits(s, texts.padded(8)));
      s.context.step = 1;
      const auto second = logits(s, texts.padded(8));
      EXPECT_NE(first, expected);
      EXPECT_NE(first, second);
    }
  }
}

// RoBERTa's classifier drops in front of both of its products, the others in front of the second.
TEST(TextDropout, InFrontOfTheClassifier) {
  for (const char* family : {"bert", "roberta", "albert"}) {
    TextSubject s(tiny({family, kClasses}, ", dropout: 0, head_dropout: 0.5"), "softmax", kClasses, 16, DType::f64);
    show_input(s);
    s.context.training = true;
    int64_t zeros = 0;
    for (uint64_t step = 0; step < 8; ++step) {
      s.context.step = step;
      for (const double x : logits(s, Texts().padded(8))) zeros += x == 0;
    }
    const double rate = static_cast<double>(zeros) / (8 * 4 * 16);
    EXPECT_NEAR(rate, family == std::string("roberta") ? 0.75 : 0.5, 0.1) << family;
  }
}

// The shared layer of ALBERT must not drop the same elements each time that it is used. Made so that a layer's output
// is the pattern of what it drops: huge biases that are dropped, next to which its input is nothing.
TEST(TextDropout, AlbertDropsAnewInEveryLayer) {
  const std::string layer = "albert.encoder.albert_layer_groups.0.albert_layers.0.";
  for (const bool of_attention : {false, true}) {
    std::vector<std::vector<double>> outputs;
    for (const int depth : {1, 2}) {
      TextSubject s(fmt::format("{{name: albert, width: 16, depth: {}, heads: 4, mlp_width: 24, vocabulary: 29, "
                                "positions: 12, dropout: {}}}",
                                depth, of_attention ? 0 : 0.5),
                    fmt::format("{{dropout: {}}}", of_attention ? 0.5 : 0), kMasked, 0);
      for (const Parameter& p : s.store.parameters()) {
        if (!p.name.starts_with(layer)) continue;
        p.value.fill(p.name.ends_with("orm.weight") ? 1 : 0);  // a norm of what is normalised already changes nothing
      }
      const auto set = [&](const std::string& name, auto value_at) {
        const Tensor& value = s.store.find(layer + name)->value;
        for (int64_t i = 0; i < value.numel(); ++i) value.data<float>()[i] = static_cast<float>(value_at(i));
      };
      if (of_attention) {
        set("attention.value.bias", [](int64_t i) { return 1e5 * spread(1, i); });
        set("attention.dense.weight", [](int64_t i) { return i % 17 == 0 ? 1 : 0; });
      } else {
        set("attention.dense.bias", [](int64_t i) { return 1e5 * spread(1, i); });
      }
      s.context.training = true;
      const NoGrad guard;
      outputs.push_back(s.model->hidden(Texts().padded(8), s.context).to_vector<double>());
    }
    double difference = 0;
    for (size_t i = 0; i < outputs[0].size(); ++i)
      difference += std::abs(outputs[0][i] - outputs[1][i]) / static_cast<double>(outputs[0].size());
    EXPECT_GT(difference, 0.1) << of_attention;
  }
}

}  // namespace
}  // namespace gfsa::test
