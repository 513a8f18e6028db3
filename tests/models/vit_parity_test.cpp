// The ViT against PyTorch code written from timm's structure and the definition of GFSA: scripts/golden/vit.py.
#include <gtest/gtest.h>

#include <map>

#include "autograd/autograd.h"
#include "config/reader.h"
#include "formats/tensor_file.h"
#include "models/image_model.h"
#include "ops/cross_entropy.h"
#include "optim/optimizer_config.h"
#include "support/op_case.h"

namespace gfsa {
namespace {

struct ModelSections {
  std::unique_ptr<ImageModelConfig> model;
  AttentionConfig attention;
  OptimizerConfig optimizer;
  void describe(config::Schema& s) {
    s.section("model", model, image_model_registry(), "");
    s.section("attention", attention, "");
    s.section("optimizer", optimizer, "");
  }
};

struct GoldenCase {
  const char* name;
  const char* model;
  const char* attention;
};
// As in CASES of the script.
const GoldenCase kCases[] = {
    {"softmax_cls", "width: 24, depth: 2, heads: 2, image_size: 12, classes: 5", "softmax"},
    {"softmax_mean_ls", "width: 16, depth: 3, heads: 4, image_size: 8, classes: 4, pool: mean, layer_scale: 0.3",
     "softmax"},
    {"gfsa_k2", "width: 24, depth: 2, heads: 2, image_size: 12, classes: 5", "{variant: gfsa, K: 2}"},
    {"gfsa_k3_w0", "width: 24, depth: 2, heads: 3, image_size: 12, classes: 5", "{variant: gfsa, K: 3, w0: -0.05}"},
    {"gfsa_k4_mean", "width: 16, depth: 3, heads: 2, image_size: 8, classes: 4, pool: mean, layer_scale: 0.1",
     "{variant: gfsa, K: 4}"},
};

class Golden {
 public:
  explicit Golden(const GoldenCase& c) {
    static const auto all = read_tensors(std::string(GFSA_SOURCE_DIR) + "/tests/golden/vit.safetensors");
    const std::string prefix = std::string(c.name) + "/";
    for (const auto& [name, tensor] : all) {
      if (name.starts_with(prefix)) tensors_[name.substr(prefix.size())] = tensor;
    }
  }
  const Tensor& at(const std::string& name) const { return tensors_.at(name); }
  std::map<std::string, Tensor> below(const std::string& prefix) const {
    std::map<std::string, Tensor> out;
    for (const auto& [name, tensor] : tensors_) {
      if (name.starts_with(prefix)) out[name.substr(prefix.size())] = tensor;
    }
    return out;
  }

 private:
  std::map<std::string, Tensor> tensors_;
};

// The model of a case with the golden weights.
struct Subject {
  Subject(const GoldenCase& c, const std::string& form, DType dtype) {
    std::string attention = c.attention;
    if (attention.front() == '{') attention.insert(attention.size() - 1, ", form: " + form);
    config::load_text(
        sections,
        fmt::format("model: {{name: vit, patch: 4, {}}}\nattention: {}\n"
                    "optimizer: {{name: adamw, lr: 2e-3, weight_decay: 0.05, no_decay: [], no_decay_1d: false}}\n",
                    c.model, attention));
    model = sections.model->build(Scope(store), sections.attention);
    store.materialize(0, dtype);
    store.load(Golden(c).below("weights/"), c.name);
    context.compute = dtype;
    context.training = true;
  }
  Tensor loss(const Tensor& images, const Tensor& labels) const {
    CrossEntropyOptions options;
    options.label_smoothing = 0.1;
    return cross_entropy(model->forward(images, context), labels, options);
  }
  ModelSections sections;
  ParameterStore store;
  std::unique_ptr<ImageModel> model;
  ForwardContext context;
};

Tensor rolled(const Tensor& x, int64_t by) {
  const Tensor out = Tensor::empty(x.shape(), x.dtype());
  const int64_t n = x.dim(0);
  for (int64_t i = 0; i < n; ++i) out.slice(0, (i + by) % n, (i + by) % n + 1).copy_from(x.slice(0, i, i + 1));
  return out;
}

class VitParity : public testing::TestWithParam<std::tuple<size_t, const char*, DType>> {};

TEST_P(VitParity, LogitsGradientsAndTwentySteps) {
  const auto& [index, form, dtype] = GetParam();
  const GoldenCase& c = kCases[index];
  const Golden golden(c);
  Subject s(c, form, dtype);
  const bool exact = dtype == DType::f64;
  const Tensor images = golden.at("images").to(dtype), labels = golden.at("labels");
  {
    const NoGrad guard;
    test::expect_close(s.model->forward(images, s.context), golden.at("logits").to_vector<double>(),
                       exact ? 1e-12 : 1e-5, "logits");
  }
  backward(s.loss(images, labels));
  for (const auto& [name, gradient] : golden.below("grads/")) {
    const Parameter* p = s.store.find(name);
    ASSERT_NE(p, nullptr) << name;
    test::expect_close(grad_of(p->value), gradient.to_vector<double>(), exact ? 2e-7 : 2e-5, name);  // stored in f32
  }
  EXPECT_EQ(golden.below("grads/").size(), s.store.parameters().size());

  Optimizer& optimizer = s.sections.optimizer.bind(s.store);
  const auto losses = golden.at(exact ? "losses_f64" : "losses_f32").to_vector<double>();
  for (size_t step = 0; step < losses.size(); ++step) {
    s.store.clear_grads();
    const Tensor loss = s.loss(rolled(images, static_cast<int64_t>(step)), rolled(labels, static_cast<int64_t>(step)));
    EXPECT_NEAR(loss.item(), losses[step], exact ? 1e-11 : 1e-4 * losses[step]) << "step " << step;
    backward(loss);
    s.store.complete_grads();
    optimizer.step(optimizer.lr());
  }
}

// bf16 between the matrix products, f32 weights, norms, softmax and loss: the same curve within bf16's 8 bits.
TEST(VitBf16, TwentyStepsInBf16FollowTheF32Losses) {
  for (const GoldenCase& c : kCases) {
    const Golden golden(c);
    Subject s(c, "auto", DType::f32);
    s.context.compute = DType::bf16;
    Optimizer& optimizer = s.sections.optimizer.bind(s.store);
    const auto losses = golden.at("losses_f32").to_vector<double>();
    for (size_t step = 0; step < losses.size(); ++step) {
      const auto by = static_cast<int64_t>(step);
      s.store.clear_grads();
      const Tensor loss = s.loss(rolled(golden.at("images"), by), rolled(golden.at("labels"), by));
      ASSERT_EQ(loss.dtype(), DType::f32);
      EXPECT_NEAR(loss.item(), losses[step], 0.02 * losses[step]) << c.name << " step " << step;
      backward(loss);
      s.store.complete_grads();
      optimizer.step(optimizer.lr());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, VitParity,
                         testing::Combine(testing::Range<size_t>(0, std::size(kCases)),
                                          testing::Values("explicit", "two_pass"),
                                          testing::Values(DType::f64, DType::f32)),
                         [](const auto& info) {
                           return fmt::format("{}_{}_{}", kCases[std::get<0>(info.param)].name, std::get<1>(info.param),
                                              name_of(std::get<2>(info.param)));
                         });

TEST(Vit, StartsExactlyAsItsBaseModel) {
  const Golden golden(kCases[0]);
  const Tensor images = golden.at("images"), labels = golden.at("labels");
  Subject base(kCases[0], "auto", DType::f32);
  // wK is not in the base model's file; it keeps its initial zeros.
  ModelSections sections;
  config::load_text(sections, fmt::format("model: {{name: vit, patch: 4, {}}}\nattention: gfsa\noptimizer: adamw\n",
                                          kCases[0].model));
  ParameterStore store;
  const auto model = sections.model->build(Scope(store), sections.attention);
  store.materialize(0);
  ParameterStore::LoadOptions options;
  options.optional_patterns = {"*.wK"};
  store.load(golden.below("weights/"), "base", options);
  ForwardContext context;
  context.training = true;
  const auto loss = [&](const ImageModel& m) { return cross_entropy(m.forward(images, context, nullptr), labels); };
  backward(loss(*base.model));
  backward(loss(*model));
  for (const auto& p : base.store.parameters()) {
    test::expect_same_bits(grad_of(p.value), grad_of(store.find(p.name)->value), p.name);
  }
  double largest = 0;
  for (const double g : grad_of(store.find("blocks.0.attn.gfsa.wK")->value).to_vector<double>())
    largest = std::max(largest, std::abs(g));
  EXPECT_GT(largest, 0) << "the coefficient must be able to leave 0";
}

TEST(Vit, PublishedParameterCounts) {
  const auto count = [](const std::string& model, const std::string& attention) {
    ModelSections sections;
    config::load_text(sections,
                      fmt::format("model: {{name: vit, preset: {}, classes: 1000}}\nattention: {}\noptimizer: adamw\n",
                                  model, attention));
    ParameterStore store;
    sections.model->build(Scope(store), sections.attention);
    return store.count();
  };
  EXPECT_EQ(count("deit_small", "gfsa"), 22'050'736);
  EXPECT_EQ(count("deit_small", "softmax"), 22'050'664);
  EXPECT_EQ(count("deit_small, depth: 24", "gfsa"), 43'344'232 + 144);
  EXPECT_EQ(count("deit_tiny", "softmax"), 5'717'416);
  EXPECT_EQ(count("deit_base", "softmax"), 86'567'656);
}

TEST(Vit, ReadsTheReferenceCodesNameOfTheCoefficient) {
  const Golden golden(kCases[2]);
  auto weights = golden.below("weights/");
  auto node = weights.extract("blocks.1.attn.gfsa.wK");
  const Tensor value = node.mapped();
  node.key() = "blocks.1.attn.lamb";
  weights.insert(std::move(node));
  Subject s(kCases[2], "auto", DType::f32);
  s.store.find("blocks.1.attn.gfsa.wK")->value.fill(0);
  s.store.load(weights, "reference");
  test::expect_same_bits(s.store.find("blocks.1.attn.gfsa.wK")->value, value, "wK");
}

TEST(Vit, OneErrorListsAllThatDoesNotFit) {
  Subject s(kCases[0], "auto", DType::f32);
  auto weights = Golden(kCases[0]).below("weights/");
  weights.erase("head.bias");
  weights["head.weight"] = Tensor::zeros({7, 24}, DType::f32);
  weights["head.wieght"] = Tensor::zeros({5, 24}, DType::f32);
  test::expect_error([&] { s.store.load(weights, "file.safetensors"); },
                     {"file.safetensors: misshapen tensor head.weight: [7, 24], expected [5, 24]",
                      "file.safetensors: unexpected tensor head.wieght [5, 24]; did you mean 'head.weight'?",
                      "file.safetensors: missing tensor head.bias [5]"});
}

TEST(Vit, CheckpointedBlocksGiveTheSameBits) {
  const Golden golden(kCases[3]);
  GoldenCase checkpointed = kCases[3];
  const std::string keys = std::string(checkpointed.model) + ", checkpoint_blocks: true";
  checkpointed.model = keys.c_str();
  Subject plain(kCases[3], "auto", DType::f32), again(checkpointed, "auto", DType::f32);
  backward(plain.loss(golden.at("images"), golden.at("labels")));
  backward(again.loss(golden.at("images"), golden.at("labels")));
  for (const auto& p : plain.store.parameters()) {
    test::expect_same_bits(grad_of(p.value), grad_of(again.store.find(p.name)->value), p.name);
  }
}

}  // namespace
}  // namespace gfsa
