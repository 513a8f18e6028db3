// What language models do with their inputs: padding, packing, positions, rows, recomputation, devices.
#include <gtest/gtest.h>

#include <cmath>

#include "autograd/autograd.h"
#include "models/text_batch.h"
#include "ops/cross_entropy.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

// Each text alone, all of them padded (a little, a lot), all of them packed: the same logits.
TEST(TextInputs, PaddingAndPackingChangeNothing) {
  const Texts texts;
  for (const Family& f : kFamilies) {
    SCOPED_TRACE(fmt::format("{} {}", f.name, static_cast<int>(f.head)));
    const TextSubject s(tiny(f), kFilter, f.head, 3, DType::f64);
    std::vector<double> expected;
    for (size_t i = 0; i < kLengths.size(); ++i) {
      for (const double x : logits(s, texts.alone(i))) expected.push_back(x);
    }
    expect_close(logits(s, texts.padded(8)), expected, 1e-12, "padded to the longest");
    expect_close(logits(s, texts.padded(12)), expected, 1e-12, "padded to all positions");
    expect_close(logits(s, texts.packed()), expected, 1e-12, "packed");
  }
}

TEST(TextInputs, GradientsOfPackedAndPaddedTextsAgree) {
  const Texts texts;
  for (const Family& f : kFamilies) {
    SCOPED_TRACE(f.name);
    const TextSubject a(tiny(f), kFilter, f.head, 3, DType::f64), b(tiny(f), kFilter, f.head, 3, DType::f64);
    const auto run = [&](const TextSubject& s, const TextInputs& in) {
      const Tensor y = s.model->forward(in, s.context);
      std::vector<int64_t> targets;
      for (int64_t i = 0; i < y.dim(0); ++i) targets.push_back(i % y.dim(1));
      backward(cross_entropy(y, Tensor::from<int64_t>({y.dim(0)}, targets)));
    };
    run(a, texts.padded(8));
    run(b, texts.packed());
    for (const Parameter& p : a.store.parameters()) {
      expect_close(b.store.find(p.name)->grad_buffer, p.grad_buffer.to_vector<double>(), 1e-11, p.name);
    }
  }
}

TEST(TextInputs, WhatIsLeftOutIsZerosAndCounting) {
  for (const Family& f : kFamilies) {
    const TextSubject s(tiny(f), kFilter, f.head, 3);
    TextInputs in;
    in.ids = Tensor::from<int64_t>({2, 3}, {4, 9, 1, 8, 8, 2});
    TextInputs all = in;
    all.segments = Tensor::zeros({2, 3}, DType::i64);
    all.positions = Tensor::from<int64_t>({2, 3}, {0, 1, 2, 0, 1, 2});
    all.lengths = Tensor::from<int64_t>({2}, {3, 3});
    all.rows = Tensor::from<int64_t>({6}, {0, 1, 2, 3, 4, 5});
    EXPECT_EQ(logits(s, in), logits(s, all)) << f.name;
  }
}

TEST(TextInputs, OnlyTheWantedRowsGetLogits) {
  const Texts texts;
  for (const Family& f : kFamilies) {
    if (f.head == kClasses) continue;
    const TextSubject s(tiny(f), kFilter, f.head, 0);
    TextInputs in = texts.packed();
    const auto all = logits(s, in);
    in.rows = Tensor::from<int64_t>({3}, {11, 0, 11});
    const auto some = logits(s, in);
    ASSERT_EQ(some.size(), 3u * 29);
    std::vector<double> expected;
    for (const int64_t row : {11, 0, 11})
      expected.insert(expected.end(), all.begin() + row * 29, all.begin() + (row + 1) * 29);
    expect_close(some, expected, 1e-6, f.name);
  }
}

TEST(TextInputs, HiddenStatesAreWhatTheHeadReads) {
  const Texts texts;
  for (const char* family : {"bert", "roberta", "albert"}) {
    TextSubject s(tiny({family, kClasses}), kFilter, kClasses, 16, DType::f64);
    show_input(s);
    const NoGrad guard;
    const auto all = s.model->hidden(texts.padded(8), s.context).to_vector<double>();
    const auto packed = s.model->hidden(texts.packed(), s.context).to_vector<double>();
    std::vector<double> first, first_packed;
    const auto append = [](std::vector<double>& to, const std::vector<double>& from, int64_t token) {
      to.insert(to.end(), from.begin() + token * 16, from.begin() + (token + 1) * 16);
    };
    for (size_t i = 0; i < kLengths.size(); ++i) {
      append(first, all, static_cast<int64_t>(i) * 8);
      append(first_packed, packed, texts.offsets[i]);
    }
    expect_close(logits(s, texts.padded(8)), first, 1e-10, family);
    expect_close(logits(s, texts.packed()), first_packed, 1e-10, family);
  }
}

TEST(TextInputs, SequencesThatAreTooLongOrWithoutPositions) {
  const TextSubject s(tiny(kFamilies[0]), "softmax", kClasses, 3);
  TextInputs in;
  in.ids = Tensor::zeros({1, 13}, DType::i64);
  expect_error([&] { s.model->forward(in, s.context); }, {"a text of 13 tokens, but the model has 12 positions"});
  TextInputs packed = Texts().packed();
  packed.positions = {};
  expect_error([&] { s.model->forward(packed, s.context); }, {"packed sequences need positions"});
}

TEST(TextModels, RecomputedLayersGiveTheSameBits) {
  const Texts texts;
  for (const Family& f : kFamilies) {
    const auto gradients = [&](const std::string& more) {
      auto s =
          std::make_unique<TextSubject>(tiny(f, ", dropout: 0.1" + more),
                                        "{variant: gfsa, K: 3, dropout: 0.1, dropout_order: dropout_first}", f.head, 3);
      s->context.training = true;
      backward(sum(s->model->forward(texts.padded(8), s->context)));
      return s;
    };
    const auto plain = gradients(""), again = gradients(", checkpoint_blocks: true");
    for (const Parameter& p : plain->store.parameters())
      expect_same_bits(p.grad_buffer, again->store.find(p.name)->grad_buffer, p.name);
  }
}

TEST(TextModels, OtherDevicesComputeTheSame) {
  const Texts texts;
  for (const Device device : other_devices()) {
    for (const Family& f : {Family{"bert", kClasses}, Family{"albert", kMasked}, Family{"gpt2", kCausal}}) {
      SCOPED_TRACE(device.text() + " " + f.name);
      const auto run = [&](Device on, bool packed) {
        auto s = std::make_unique<TextSubject>(tiny(f, ", dropout: 0.1"),
                                               "{variant: gfsa, K: 3, dropout: 0.1, dropout_order: dropout_first}",
                                               f.head, 3, DType::f32, on);
        s->context.training = true;
        const Tensor y = s->model->forward(packed ? texts.packed(on) : texts.padded(8, on), s->context);
        std::vector<int64_t> targets;
        for (int64_t i = 0; i < y.dim(0); ++i) targets.push_back(i % y.dim(1));
        backward(cross_entropy(y, Tensor::from<int64_t>({y.dim(0)}, targets).to(on)));
        return std::pair(y.detach().to(Device{}), std::move(s));
      };
      for (const bool packed : {false, true}) {
        const auto [expected, cpu] = run({}, packed);
        const auto [found, there] = run(device, packed);
        expect_close(found, expected.to_vector<double>(), 1e-5, "logits");
        for (const Parameter& p : cpu->store.parameters()) {
          expect_close(there->store.find(p.name)->grad_buffer.to(Device{}), p.grad_buffer.to_vector<double>(), 1e-4,
                       p.name);
        }
      }
    }
  }
}

// bf16 between the matrix products; weights, residual stream and logits in f32.
TEST(TextModels, Bf16StaysNearF32) {
  const Texts texts;
  for (const Family& f : kFamilies) {
    TextSubject s(tiny(f), kFilter, f.head, 3);
    const auto expected = logits(s, texts.padded(8));
    s.context.compute = DType::bf16;
    const NoGrad guard;
    const Tensor y = s.model->forward(texts.padded(8), s.context);
    EXPECT_EQ(y.dtype(), DType::f32);
    expect_close(y, expected, 0.05, f.name);
  }
}

TEST(TextModels, StartFromSmallNormalNumbers) {
  for (const Family& f : kFamilies) {
    TextSections sections;
    config::load_text(sections, fmt::format("model: {{name: {}, width: 48, depth: 2, heads: 4, vocabulary: 100}}\n"
                                            "attention: gfsa\noptimizer: adamw\n",
                                            f.name));
    ParameterStore store;
    const auto model = sections.model->build(Scope(store), sections.attention, f.head, 3);
    store.materialize(1);
    for (const Parameter& p : store.parameters()) {
      double squares = 0;
      for (const double x : p.value.to_vector<double>()) squares += x * x / static_cast<double>(p.shape.numel());
      const bool is_norm = p.shape.rank() == 1 && p.name.ends_with("weight");
      // GPT-2: what is added to the residual stream starts smaller, by the root of the number of additions.
      const double expected = p.shape.rank() == 2 ? (p.name.ends_with("c_proj.weight") ? 0.01 : 0.02) : is_norm ? 1 : 0;
      EXPECT_NEAR(std::sqrt(squares), expected, p.shape.numel() < 400 ? 0.3 * expected : 0.1 * expected) << p.name;
    }
  }
}

TEST(TextModels, ArithmeticIsCounted) {
  // 10 tokens, 2 layers: 2 (4 C^2 + 2 C M) N, 2 N^2 C (1 + passes); heads.
  const double layer = 2 * 10 * (4.0 * 16 * 16 + 2 * 16 * 24), filtered = 2.0 * 100 * 16 * 3,
               plain = 2.0 * 100 * 16 * 2;
  const auto flops = [](const Family& f, const char* attention) {
    return TextSubject(tiny(f), attention, f.head, 3).model->forward_flops(10, 4);
  };
  // Behind the last attention the classifier's token alone is computed.
  EXPECT_EQ(flops({"bert", kClasses}, "gfsa"),
            2 * (layer + filtered) - 2 * 9 * (16.0 * 16 + 2 * 16 * 24) + 2 * (16 * 16 + 16 * 3));
  EXPECT_EQ(flops({"bert", kMasked}, "softmax"), 2 * (layer + plain) + 2 * 4 * (16 * 16 + 16 * 29));
  EXPECT_EQ(flops({"albert", kMasked}, "{variant: gfsa, layers: even}"),
            2 * layer + filtered + plain + 2 * 10 * 16 * 8 + 2 * 4 * (16 * 8 + 8 * 29));
  // 55 of 100 pairs are seen.
  EXPECT_EQ(flops({"gpt2", kCausal}, "softmax") - 2 * layer - 2 * 4 * 16 * 29, 2 * plain * 55 / 100);
}

}  // namespace
}  // namespace gfsa::test
