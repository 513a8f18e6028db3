// BERT, RoBERTa, ALBERT and GPT-2 against transformers, GFSA against PyTorch code: scripts/golden/text_models.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "autograd/autograd.h"
#include "formats/tensor_file.h"
#include "models/text_case.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "ops/view.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

constexpr const char* kSmall =
    "width: 18, depth: 2, heads: 3, mlp_width: 29, vocabulary: 37, positions: 16, dropout: 0, head_dropout: 0";
constexpr const char* kOther =
    "width: 20, depth: 3, heads: 2, mlp_width: 24, vocabulary: 41, positions: 13, dropout: 0, head_dropout: 0";

struct GoldenCase {
  const char* family;
  const char* name;
  const char* sizes;
  TextHead head;
  int64_t classes;
  const char* attention;

  std::string model() const {
    std::string keys = sizes;
    if (family == std::string("albert") && keys.starts_with("width")) keys += ", embedding_width: 8";
    if (family == std::string("gpt2")) keys = keys.substr(0, keys.find(", head_dropout"));
    return fmt::format("{{name: {}, {}}}", family, keys);
  }
};

constexpr auto kClasses = TextHead::classification;
constexpr auto kMasked = TextHead::masked_lm;
constexpr auto kCausal = TextHead::causal_lm;

// As in CASES of the script.
const GoldenCase kCases[] = {
    {"bert", "classes_softmax", kSmall, kClasses, 3, "softmax"},
    {"bert", "classes_gfsa_k2", kOther, kClasses, 2, "{variant: gfsa, K: 2, w0: -0.01}"},
    {"bert", "regression_gfsa_k7", kSmall, kClasses, 1, "{variant: gfsa, K: 7, w0: 0.05}"},
    {"bert", "masked_softmax", kOther, kMasked, 0, "softmax"},
    {"bert", "masked_gfsa_k3", kSmall, kMasked, 0, "{variant: gfsa, K: 3, w0: -0.05}"},
    {"roberta", "classes_softmax", kSmall, kClasses, 3, "softmax"},
    {"roberta", "classes_gfsa_k10", kOther, kClasses, 2, "{variant: gfsa, K: 10, w0: -0.05}"},
    {"roberta", "masked_gfsa_k3", kSmall, kMasked, 0, "{variant: gfsa, K: 3, w0: 0.05}"},
    {"albert", "classes_softmax", kOther, kClasses, 3, "softmax"},
    {"albert", "classes_gfsa_k10", kOther, kClasses, 2, "{variant: gfsa, K: 10, w0: 0.05}"},
    {"albert", "masked_gfsa_k2", kSmall, kMasked, 0, "{variant: gfsa, K: 2, w0: -0.05}"},
    {"gpt2", "softmax", kSmall, kCausal, 0, "softmax"},
    {"gpt2", "gfsa_k2", kOther, kCausal, 0, "{variant: gfsa, K: 2, w0: 0.05}"},
    {"gpt2", "gfsa_k3", kSmall, kCausal, 0, "{variant: gfsa, K: 3, w0: -0.05}"},
    {"gpt2", "gfsa_k7", kOther, kCausal, 0, "{variant: gfsa, K: 7}"},
    {"gpt2", "gfsa_k10", kSmall, kCausal, 0, "{variant: gfsa, K: 10, w0: 0.02}"},
};
const GoldenCase kBaseCases[] = {
    {"bert", "base_gfsa_k4", "vocabulary: 30522, dropout: 0, init_deviation: 0", kClasses, 2,
     "{variant: gfsa, K: 4, w0: -0.01}"},
    {"roberta", "base_gfsa_k6", "vocabulary: 50265, dropout: 0, init_deviation: 0", kClasses, 2,
     "{variant: gfsa, K: 6, w0: -0.05}"},
    {"albert", "base_gfsa_k10", "vocabulary: 30000, head_dropout: 0, init_deviation: 0", kClasses, 2,
     "{variant: gfsa, K: 10, w0: 0.05}"},
    {"gpt2", "base_gfsa_k7", "vocabulary: 50257, dropout: 0, init_deviation: 0", kCausal, 0, "{variant: gfsa, K: 7}"},
};

std::map<std::string, Tensor> golden_of(const GoldenCase& c) {
  const auto all = read_tensors(fmt::format("{}/tests/golden/{}.safetensors", GFSA_SOURCE_DIR, c.family));
  const std::string prefix = std::string(c.name) + "/";
  std::map<std::string, Tensor> out;
  for (const auto& [name, tensor] : all) {
    if (name.starts_with(prefix)) out[name.substr(prefix.size())] = tensor;
  }
  return out;
}

TextInputs inputs_of(std::map<std::string, Tensor>& golden) {
  TextInputs in;
  in.ids = golden.at("ids");
  in.lengths = golden.at("lengths");
  in.segments = golden["segments"];
  in.rows = golden["rows"];
  return in;
}

Tensor loss_of(const Tensor& logits, const Tensor& targets, int64_t turn) {
  const int64_t n = targets.dim(0);
  const Tensor turned = Tensor::empty(targets.shape(), targets.dtype());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t to = (i + turn) % n;
    turned.slice(0, to, to + 1).copy_from(targets.slice(0, i, i + 1));
  }
  if (!is_floating(targets.dtype())) return cross_entropy(logits, turned);
  return mean(square(sub(reshape(logits, {n}), turned.to(logits.dtype()))));
}

class TextParity : public testing::TestWithParam<std::tuple<size_t, const char*, DType>> {};

TEST_P(TextParity, LogitsGradientsAndTwentySteps) {
  const auto& [index, form, dtype] = GetParam();
  const GoldenCase& c = kCases[index];
  auto golden = golden_of(c);
  std::string attention = c.attention;
  if (attention.front() == '{') attention.insert(attention.size() - 1, std::string(", form: ") + form);
  TextSubject s(c.model(), attention, c.head, c.classes, dtype);
  s.context.training = true;
  const bool exact = dtype == DType::f64;
  const TextInputs in = inputs_of(golden);
  const Tensor targets = golden.at("targets");
  {
    const NoGrad guard;
    expect_close(s.model->forward(in, s.context), golden.at("logits").to_vector<double>(), exact ? 1e-12 : 1e-5,
                 "logits");
  }
  backward(loss_of(s.model->forward(in, s.context), targets, 0));
  s.store.complete_grads();
  size_t compared = 0;
  for (const auto& [name, gradient] : golden) {
    if (!name.starts_with("grads/")) continue;
    const Parameter* p = s.store.find(name.substr(6));
    ASSERT_NE(p, nullptr) << name;
    expect_close(p->grad_buffer, gradient.to_vector<double>(), exact ? 2e-7 : 2e-5, name);  // stored in f32
    ++compared;
  }
  EXPECT_EQ(compared, s.store.parameters().size());

  Optimizer& optimizer = s.sections.optimizer.bind(s.store);
  const auto losses = golden.at(exact ? "losses_f64" : "losses_f32").to_vector<double>();
  for (size_t step = 0; step < losses.size(); ++step) {
    s.store.clear_grads();
    const Tensor loss = loss_of(s.model->forward(in, s.context), targets, static_cast<int64_t>(step));
    EXPECT_NEAR(loss.item(), losses[step], (exact ? 1e-10 : 2e-4) * (1 + losses[step])) << "step " << step;
    backward(loss);
    s.store.complete_grads();
    optimizer.step(optimizer.lr());
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, TextParity,
                         testing::Combine(testing::Range<size_t>(0, std::size(kCases)),
                                          testing::Values("explicit", "two_pass", "auto"),
                                          testing::Values(DType::f64, DType::f32)),
                         [](const auto& info) {
                           const GoldenCase& c = kCases[std::get<0>(info.param)];
                           return fmt::format("{}_{}_{}_{}", c.family, c.name, std::get<1>(info.param),
                                              name_of(std::get<2>(info.param)));
                         });

// The published sizes: number of parameters, logits, of each gradient its length and its product with known numbers,
// and the losses of training.
class TextBase : public testing::TestWithParam<size_t> {};

TEST_P(TextBase, ParametersLogitsGradientsAndTwentySteps) {
  const GoldenCase& c = kBaseCases[GetParam()];
  auto golden = golden_of(c);
  TextSubject s(c.model(), c.attention, c.head, c.classes);
  s.context.training = true;
  EXPECT_EQ(s.store.count(), golden.at("parameters").to_vector<int64_t>()[0]);
  const Tensor logits = s.model->forward(inputs_of(golden), s.context);
  const int64_t shown = golden.at("logits").dim(1);
  expect_close(logits.detach().slice(1, 0, shown), golden.at("logits").to_vector<double>(), 1e-5, "logits");
  const Tensor loss = loss_of(logits, golden.at("targets"), 0);
  EXPECT_NEAR(loss.item(), golden.at("loss").item(), 1e-5 * golden.at("loss").item());
  backward(loss);
  s.store.complete_grads();
  std::map<std::string, Tensor> gradients;
  for (const Parameter& p : s.store.parameters()) gradients[p.name] = p.grad_buffer;
  const auto digests = golden.at("digests").to_vector<double>();
  ASSERT_EQ(digests.size(), 2 * gradients.size());
  size_t at = 0;
  double largest = 0;
  for (size_t i = 0; i < digests.size(); i += 2) largest = std::max(largest, digests[i]);
  for (const auto& [name, gradient] : gradients) {
    const float* g = gradient.data<float>();
    const uint64_t hash = hash_name(name + "/digest");
    double squares = 0, product = 0;
#pragma omp parallel for reduction(+ : squares, product)
    for (int64_t i = 0; i < gradient.numel(); ++i) {
      squares += static_cast<double>(g[i]) * g[i];
      product += g[i] * spread(hash, i);
    }
    const double norm = digests[at];
    EXPECT_NEAR(std::sqrt(squares), norm, 1e-4 * norm + 1e-7 * largest) << name;
    EXPECT_NEAR(product, digests[at + 1], 1e-4 * norm + 1e-7 * largest) << name;
    at += 2;
  }

  constexpr double kBaseLr = 1e-4;
  Optimizer& optimizer = s.sections.optimizer.bind(s.store);
  const auto losses = golden.at("losses_f64").to_vector<double>();
  ASSERT_EQ(losses.size(), 20U);
  for (size_t step = 0; step < losses.size(); ++step) {
    s.store.clear_grads();
    const Tensor step_loss =
        loss_of(s.model->forward(inputs_of(golden), s.context), golden.at("targets"), static_cast<int64_t>(step));
    EXPECT_NEAR(step_loss.item(), losses[step], 1e-3 * (1 + losses[step])) << "step " << step;
    backward(step_loss);
    s.store.complete_grads();
    optimizer.step(kBaseLr);
  }
}

INSTANTIATE_TEST_SUITE_P(Published, TextBase, testing::Range<size_t>(0, std::size(kBaseCases)),
                         [](const auto& info) { return std::string(kBaseCases[info.param].family); });

}  // namespace
}  // namespace gfsa::test
