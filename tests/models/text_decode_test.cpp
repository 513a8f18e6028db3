// Generation: token by token, in pieces and in batches, what the forward pass gives for the whole text.
#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "models/decode_state.h"
#include "models/text_case.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr int64_t kVocabulary = 29;

TextSubject gpt2(const char* attention, DType dtype = DType::f64, Device device = {}) {
  return TextSubject("{name: gpt2, width: 16, depth: 3, heads: 2, mlp_width: 24, vocabulary: 29, positions: 12}",
                     attention, TextHead::causal_lm, 0, dtype, device);
}

const std::vector<int64_t> kText{3, 14, 15, 9, 26, 5, 3, 5, 8, 9, 7, 9};

// Logits of every token of kText's first n.
std::vector<double> whole(const TextSubject& s, int64_t n) {
  const NoGrad guard;
  TextInputs in;
  in.ids = Tensor::from<int64_t>({1, n}, {kText.begin(), kText.begin() + n}).to(s.context.device);
  return s.model->forward(in, s.context).to(Device{}).to_vector<double>();
}

std::vector<double> row(const std::vector<double>& logits, int64_t i) {
  return {logits.begin() + i * kVocabulary, logits.begin() + (i + 1) * kVocabulary};
}

const char* const kAttentions[] = {"softmax", "{variant: gfsa, K: 4, w0: 0.05}", "{variant: gfsa, K: 3, layers: even}"};

TEST(TextDecode, EveryTokenAsInTheWholeText) {
  for (const char* attention : kAttentions) {
    const TextSubject s = gpt2(attention);
    const auto expected = whole(s, 12);
    const auto state = s.model->start_decoding(1, 2);
    for (int64_t i = 0; i < 12; ++i) {
      const Tensor ids = Tensor::from<int64_t>({1, 1}, {kText[static_cast<size_t>(i)]});
      expect_close(s.model->decode(ids, {}, *state, s.context), row(expected, i), 1e-12, attention);
    }
    EXPECT_EQ(state->lengths(), std::vector<int64_t>{12});
    expect_error(
        [&] {
          s.model->decode(Tensor::zeros({1, 1}, DType::i64), {}, *state, s.context);
        },
        {"a text of 13 tokens, but the model has 12 positions"});
  }
}

// Prompts of 5, 2 and 3 tokens at once; then a token each; the second text ends; the third takes the first's place.
TEST(TextDecode, BatchesOfPromptsThatEndAndChangePlaces) {
  for (const char* attention : kAttentions) {
    const TextSubject s = gpt2(attention);
    const auto expected = whole(s, 12);
    const auto state = s.model->start_decoding(3, 8);
    std::vector<int64_t> ids(15, 0);
    const std::vector<int64_t> counts{5, 2, 3};
    for (size_t b = 0; b < 3; ++b) {
      for (size_t i = 0; i < static_cast<size_t>(counts[b]); ++i) ids[b * 5 + i] = kText[i];
    }
    const auto expect_rows = [&](const Tensor& logits, const std::vector<int64_t>& at) {
      const auto found = logits.to_vector<double>();
      for (size_t b = 0; b < at.size(); ++b) {
        if (at[b] >= 0) expect_close(row(found, static_cast<int64_t>(b)), row(expected, at[b]), 1e-12, attention);
      }
    };
    expect_rows(s.model->decode(Tensor::from<int64_t>({3, 5}, ids), counts, *state, s.context), {4, 1, 2});
    expect_rows(s.model->decode(Tensor::from<int64_t>({3, 1}, {kText[5], kText[2], kText[3]}), {}, *state, s.context),
                {5, 2, 3});
    expect_rows(s.model->decode(Tensor::from<int64_t>({3, 1}, {kText[6], 0, kText[4]}), {1, 0, 1}, *state, s.context),
                {6, -1, 4});
    EXPECT_EQ(state->lengths(), (std::vector<int64_t>{7, 3, 5}));
    state->select({2, 0});
    expect_rows(
        s.model->decode(Tensor::from<int64_t>({2, 2}, {kText[5], kText[6], kText[7], kText[8]}), {}, *state, s.context),
        {6, 8});
  }
}

TEST(TextDecode, InOtherDtypesAndOnOtherDevices) {
  std::vector<Device> devices{Device{}};
  for (const Device device : other_devices()) devices.push_back(device);
  for (const Device device : devices) {
    for (const DType compute : {DType::f32, DType::bf16}) {
      TextSubject s = gpt2(kAttentions[1], DType::f32, device);
      s.context.compute = compute;
      const auto expected = whole(s, 9);
      const auto state = s.model->start_decoding(1, 9);
      const auto give = [&](int64_t from, int64_t to) {
        const Tensor ids = Tensor::from<int64_t>({1, to - from}, {kText.begin() + from, kText.begin() + to});
        return s.model->decode(ids.to(device), {}, *state, s.context).to(Device{});
      };
      const double tolerance = compute == DType::f32 ? 1e-5 : 0.03;
      expect_close(give(0, 6), row(expected, 5), tolerance, "prompt");
      for (int64_t i = 6; i < 9; ++i) expect_close(give(i, i + 1), row(expected, i), tolerance, device.text());
    }
  }
}

// Large enough that the CPU takes another way for products with few rows.
TEST(TextDecode, OneTokenAndManyTakeOtherProducts) {
  for (const auto& [compute, tolerance] : {std::pair{DType::f32, 1e-5}, {DType::bf16, 0.03}}) {
    TextSubject s("{name: gpt2, width: 64, depth: 2, heads: 2, mlp_width: 520, vocabulary: 600, positions: 24}",
                  kAttentions[0], TextHead::causal_lm, 0, DType::f32);
    s.context.compute = compute;
    const NoGrad guard;
    std::vector<int64_t> text;
    for (int64_t i = 0; i < 24; ++i) text.push_back(i * i * 7 % 600);
    TextInputs in;
    in.ids = Tensor::from<int64_t>({1, 24}, text);
    const auto expected = s.model->forward(in, s.context).to_vector<double>();
    const auto state = s.model->start_decoding(1, 24);
    for (int64_t i = 0; i < 24; ++i) {
      const Tensor ids = Tensor::from<int64_t>({1, 1}, {text[static_cast<size_t>(i)]});
      const Tensor logits = s.model->decode(ids, {}, *state, s.context);
      expect_close(logits, {expected.begin() + i * 600, expected.begin() + (i + 1) * 600}, tolerance,
                   fmt::format("{}, token {}", name_of(compute), i));
    }
  }
}

TEST(TextDecode, EncodersDoNotGenerate) {
  const TextSubject s("{name: bert, width: 16, depth: 1, heads: 2, vocabulary: 29}", "softmax", TextHead::masked_lm, 0);
  expect_error([&] { s.model->start_decoding(1, 1); }, {"does not generate"});
}

}  // namespace
}  // namespace gfsa::test
