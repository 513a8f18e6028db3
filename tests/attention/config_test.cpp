// The `attention` section, the filters it names, and what they do to coefficients.
#include <gtest/gtest.h>

#include "attention/attention_case.h"
#include "attention/attention_config.h"
#include "attention/coefficient_table.h"
#include "autograd/autograd.h"
#include "config/reader.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

struct Root {
  AttentionConfig attention;
  void describe(config::Schema& s) { s.section("attention", attention, "Attention."); }
};
AttentionConfig read(const std::string& text, const std::vector<std::string>& overrides = {}) {
  Root root;
  config::load_text(root, "attention: " + text + "\n", "test.yaml", overrides);
  return root.attention;
}
std::vector<std::string> names(const ParameterStore& store) {
  std::vector<std::string> out;
  for (const auto& p : store.parameters()) out.push_back(p.name);
  return out;
}

// The coefficients that a config gives in f64 for two heads, after `set` has changed its parameters.
struct Built {
  ParameterStore store;
  std::unique_ptr<Filter> filter;
  explicit Built(const std::string& text) {
    filter = read(text).build(Scope(store) / "blocks" / 0 / "attn", 2, 0, 1);
    store.materialize(1, DType::f64);
  }
  void set(const std::string& name, const std::vector<double>& values) {
    store.find("blocks.0.attn." + name)->value.copy_from(Tensor::from<double>({2}, values));
  }
  std::vector<double> coefficients() const { return filter->coefficients().to_vector<double>(); }
};

TEST(AttentionConfig, ShorthandAndDefaults) {
  const AttentionConfig plain;
  EXPECT_TRUE(plain.is_softmax());
  const AttentionConfig c = read("gfsa");
  EXPECT_FALSE(c.is_softmax());
  EXPECT_EQ(c.filter->degree(), 2);
  EXPECT_EQ(c.form, "auto");
  EXPECT_TRUE(c.filters_layer(0, 12) && c.filters_layer(11, 12));
  EXPECT_EQ(read("attn_scale").filter->degree(), 1);
  const AttentionConfig written =
      read("{variant: gfsa, K: 5, layers: odd, form: explicit, dropout_order: filter_first}");
  AttentionConfig copy = read("softmax");
  copy = written;
  EXPECT_EQ(copy.filter->degree(), 2);
  EXPECT_EQ(copy.layers, written.layers);
  EXPECT_EQ(copy.form, "explicit");
  EXPECT_EQ(copy.dropout_order, "filter_first");
  EXPECT_TRUE(read("{variant: softmax}").is_softmax());
}

TEST(AttentionConfig, WhichLayers) {
  const AttentionConfig even = read("{variant: gfsa, layers: even}"), odd = read("{variant: gfsa, layers: odd}");
  const AttentionConfig some = read("{variant: gfsa, layers: [1, 4]}");
  for (int64_t layer = 0; layer < 6; ++layer) {
    EXPECT_EQ(even.filters_layer(layer, 6), layer % 2 == 0);
    EXPECT_EQ(odd.filters_layer(layer, 6), layer % 2 == 1);
    EXPECT_EQ(some.filters_layer(layer, 6), layer == 1 || layer == 4);
  }
  expect_error([&] { some.filters_layer(0, 4); }, {"no layer 4", "0 to 3"});
  expect_error([&] { even.filters_layer(6, 6); }, {"layer 6 of 6"});
  expect_error([&] { even.filters_layer(-1, 6); }, {"layer -1 of 6"});
  ParameterStore store;
  even.build(Scope(store) / "blocks" / 0 / "attn", 2, 0, 2);
  even.build(Scope(store) / "blocks" / 1 / "attn", 2, 1, 2);
  EXPECT_EQ(names(store), std::vector<std::string>{"blocks.0.attn.gfsa.wK"});
}

TEST(AttentionConfig, ErrorsNameTheKey) {
  expect_error([] { read("gsfa"); }, {"test.yaml:1", "did you mean 'gfsa'"});
  expect_error([] { read("{variant: gfsa, K: 0}"); }, {"attention.K"});
  expect_error([] { read("{variant: gfsa, K: 2.5}"); }, {"attention.K"});
  expect_error([] { read("{variant: gfsa, learn: [wk]}"); }, {"attention.learn", "did you mean 'wK'"});
  expect_error([] { read("{variant: gfsa, learn: [wK, wK]}"); }, {"attention.learn", "once"});
  expect_error([] { read("{variant: gfsa, layers: evn}"); }, {"attention.layers", "all, even, odd"});
  expect_error([] { read("{variant: gfsa, layers: [all, 1]}"); }, {"attention.layers"});
  expect_error([] { read("{variant: softmax, K: 3}"); }, {"K"});
  expect_error([] { read("{variant: gfsa, form: fast}"); }, {"attention.form"});
  expect_error([] { read("{variant: polynomial, degree: 0}"); }, {"attention.degree"});
  expect_error([] { read("{variant: polynomial, degree: 17}"); }, {"attention.degree"});
  EXPECT_EQ(read("{variant: polynomial, degree: 16}").filter->degree(), 16);
}

TEST(AttentionConfig, TwoPassCannotDropTheFilteredMatrix) {
  expect_error([] { read("{variant: gfsa, form: two_pass, dropout: 0.1}"); },
               {"test.yaml:1", "attention.form", "dropout_order: dropout_first", "form: explicit"});
  EXPECT_EQ(read("{variant: gfsa, form: two_pass, dropout: 0.1, dropout_order: dropout_first}")
                .choice(DeviceType::cpu, true)
                .name,
            "two_pass");
  EXPECT_EQ(read("{variant: gfsa, dropout: 0.1}").choice(DeviceType::cpu, true).name, "explicit");
  EXPECT_EQ(read("{variant: gfsa, dropout: 0.1}").choice(DeviceType::cpu, false).name, "two_pass");
  EXPECT_EQ(read("{variant: softmax, form: two_pass, dropout: 0.1}").choice(DeviceType::cpu, true).name, "two_pass");
  EXPECT_EQ(read("gfsa").choice(DeviceType::cpu, true, true).name, "one_sweep");
  // Whether a model is causal is not known to its attention's section.
  EXPECT_EQ(read("{variant: gfsa, form: one_sweep}").choice(DeviceType::cpu, true, true).name, "one_sweep");
  expect_error([] { read("{variant: gfsa, form: one_sweep, dropout: 0.1}"); },
               {"test.yaml:1", "attention.form", "one_sweep", "dropout_order: dropout_first"});
  expect_error([] { read("{variant: gfsa, form: one_sweep}").choice(DeviceType::cpu, true); }, {"causal", "two_pass"});
  const AttentionConfig c = read("{variant: gfsa, dropout: 0.1}");
  EXPECT_EQ(c.options(6, true).dropout, 0.1);
  EXPECT_EQ(c.options(6, false).dropout, 0);
  EXPECT_EQ(c.options(6, false).heads, 6);
}

TEST(Filters, GfsaCoefficients) {
  Built start("gfsa");
  EXPECT_EQ(start.coefficients(), (std::vector<double>{0, 0, 1, 0, 0, 0, 1, 0}));
  Built b("{variant: gfsa, K: 4, w0: -0.25, learn: [wK, w1]}");
  EXPECT_EQ(names(b.store), (std::vector<std::string>{"blocks.0.attn.gfsa.wK", "blocks.0.attn.gfsa.w1"}));
  b.set("gfsa.wK", {0.5, -1});
  b.set("gfsa.w1", {1, 2});
  EXPECT_EQ(b.coefficients(), (std::vector<double>{0, -0.25, 0, 1.5, 0, -0.25, 4, -3}));
  // Nothing learned: wK_init is the value.
  Built fixed("{variant: gfsa, K: 2, w0: 0.5, wK_init: 0.25, learn: []}");
  EXPECT_TRUE(fixed.store.parameters().empty());
  EXPECT_EQ(fixed.coefficients(), (std::vector<double>{0, 0.5, 1, 0.25, 0, 0.5, 1, 0.25}));
}

TEST(Filters, TheReferenceNameLoads) {
  Built b("gfsa");
  b.store.load({{"blocks.0.attn.lamb", Tensor::from<float>({2}, {0.5f, 1.0f})}}, "reference.safetensors");
  EXPECT_EQ(b.store.find("blocks.0.attn.gfsa.wK")->value.to_vector<double>(), (std::vector<double>{0.5, 1}));
  Built scale("attn_scale");
  scale.store.load({{"blocks.0.attn.lamb", Tensor::from<float>({2}, {0.5f, 1.0f})}}, "reference.safetensors");
  EXPECT_EQ(scale.coefficients(), (std::vector<double>{-0.5, 0, 1.5, -1, 0, 2}));
}

TEST(Filters, AttnScaleAndPolynomialStartAsTheBaseModel) {
  EXPECT_EQ(Built("attn_scale").coefficients(), (std::vector<double>{0, 0, 1, 0, 0, 1}));
  Built p("{variant: polynomial, degree: 3}");
  EXPECT_EQ(p.coefficients(), (std::vector<double>{0, 0, 1, 0, 0, 0, 0, 1, 0, 0}));
  p.set("polynomial.c3", {7, 8});
  EXPECT_EQ(p.coefficients(), (std::vector<double>{0, 0, 1, 0, 7, 0, 0, 1, 0, 8}));
}

TEST(Filters, AttnScaleIsTheHighPassOfItsPaper) {
  // F = U + (1 + lambda) (A - U), with U = 1 / n.
  AttentionTestCase c{.rows = 6, .keys = 6, .degree = -1};
  AttentionValues x = make_values(c);
  const auto a = reference_attention(c, x);
  Built b("attn_scale");
  b.set("attn_scale.lambda", {0.3, -0.2});
  c.degree = 1;
  x.coefficients = b.coefficients();
  const int64_t width = c.heads * c.head_size;
  std::vector<double> expected;
  for (int64_t row = 0; row < c.batch * c.rows; ++row) {
    for (int64_t d = 0; d < width; ++d) {
      double mean = 0;
      for (int64_t j = 0; j < c.keys; ++j)
        mean += x.v[static_cast<size_t>((row / c.rows * c.keys + j) * width + d)] / 6;
      const double lambda = d < c.head_size ? 0.3 : -0.2;
      expected.push_back(mean + (1 + lambda) * (a[static_cast<size_t>(row * width + d)] - mean));
    }
  }
  for (const auto form : {AttentionForm::two_pass, AttentionForm::explicit_form}) {
    c.form = form;
    EXPECT_LT(difference(run_attention(c, x).out, expected), 1e-13);
  }
}

TEST(Filters, GradientsReachTheParameters) {
  Built b("{variant: gfsa, K: 5, learn: [wK, w0]}");
  b.set("gfsa.wK", {0.2, -0.1});
  Tensor wK = b.store.find("blocks.0.attn.gfsa.wK")->value, w0 = b.store.find("blocks.0.attn.gfsa.w0")->value;
  const Tensor table = b.filter->coefficients();
  ASSERT_TRUE(requires_grad(table));
  backward(table, Tensor::from<double>({2, 4}, {9, 1, 2, 3, 9, 4, 5, 6}));
  b.store.complete_grads();
  // dwK = (2 - K) dc1 + (K - 1) dc2, dw0 = dc0
  EXPECT_EQ(b.store.find("blocks.0.attn.gfsa.wK")->grad_buffer.to_vector<double>(),
            (std::vector<double>{-3 * 2 + 4 * 3, -3 * 5 + 4 * 6}));
  EXPECT_EQ(b.store.find("blocks.0.attn.gfsa.w0")->grad_buffer.to_vector<double>(), (std::vector<double>{1, 4}));
}

TEST(Filters, CoefficientTable) {
  OpCase c{.name = "coefficient_table",
           .inputs = {parameter({3}), parameter({3})},
           .op =
               [](const std::vector<Tensor>& x) {
                 return coefficient_table(x, {1, 2, 3}, {{0, 1, 2}, {-1, 0, 5}});
               },
           .reference =
               [](const std::vector<Array>& x) {
                 std::vector<double> out;
                 for (int64_t h = 0; h < 3; ++h) {
                   for (const double v : {1 - x[1][h], 2 + x[0][h], 3 + 2 * x[0][h] + 5 * x[1][h]}) out.push_back(v);
                 }
                 return out;
               }};
  c.dtypes = {DType::f64, DType::f32};
  check_op(c);
  const Tensor p = Tensor::zeros({3}, DType::f32);
  expect_error([&] { coefficient_table({p}, std::vector<double>(21), {std::vector<double>(21)}); }, {"21 columns"});
  expect_error([&] { coefficient_table({p}, {1, 2}, {{1, 2, 3}}); }, {"row 0", "3 columns", "expected 2"});
  for (const Device device : other_devices()) {
    const Tensor constant = constant_coefficients(2, {0, 1, 2}, DType::f32, device);
    EXPECT_TRUE(constant.device() == device);
    EXPECT_EQ(constant.to_vector<double>(), (std::vector<double>{0, 1, 2, 0, 1, 2}));
  }
}

}  // namespace
}  // namespace gfsa::test
