// attention() as an op: types, strides, finite differences, accumulation of gradients, errors.
#include <gtest/gtest.h>

#include <cmath>

#include "attention/attention.h"
#include "attention/attention_case.h"
#include "autograd/autograd.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

// Plain softmax or GFSA of packed qkv [B, N, 3 H D] with coefficients [H, 4] and bias [1, H, N, N].
std::vector<double> plain(const std::vector<Array>& in, int64_t heads, bool causal) {
  const Shape& s = in[0].shape;
  AttentionTestCase c{
      .batch = s[0], .heads = heads, .rows = s[1], .keys = s[1], .head_size = s[2] / (3 * heads), .causal = causal};
  AttentionValues x;
  const int64_t width = s[2] / 3;
  for (int64_t row = 0; row < s[0] * s[1]; ++row) {
    const auto at = in[0].values.begin() + row * 3 * width;
    x.q.insert(x.q.end(), at, at + width);
    x.k.insert(x.k.end(), at + width, at + 2 * width);
    x.v.insert(x.v.end(), at + 2 * width, at + 3 * width);
  }
  if (in.size() > 1) {
    c.degree = in[1].shape[1] - 2;
    x.coefficients = in[1].values;
    c.bias_batch = 1;
    c.bias_heads = heads;
    x.bias = in[2].values;
  }
  return reference_attention(c, x);
}

TEST(AttentionOp, Softmax) {
  OpCase c{.name = "attention softmax",
           .inputs = {data({2, 9, 24})},
           .op =
               [](const std::vector<Tensor>& x) {
                 AttentionInputs in;
                 in.qkv = x[0];
                 AttentionOptions o;
                 o.heads = 2;
                 return attention(in, o);
               },
           .reference = [](const std::vector<Array>& x) { return plain(x, 2, false); }};
  c.looseness = 8;
  c.outliers = false;
  check_op(c);
}

TEST(AttentionOp, FilterWithBias) {
  for (const auto& [form, name] : {std::pair{AttentionForm::two_pass, "attention two_pass"},
                                   {AttentionForm::one_sweep, "attention one_sweep"},
                                   {AttentionForm::explicit_form, "attention explicit"}}) {
    OpCase c{.name = name,
             .inputs = {data({2, 9, 24}), parameter({2, 4}), parameter({1, 2, 9, 9})},
             .op =
                 [form = form](const std::vector<Tensor>& x) {
                   AttentionInputs in;
                   in.qkv = x[0];
                   in.coefficients = x[1];
                   in.bias = x[2];
                   AttentionOptions o;
                   o.heads = 2;
                   o.causal = true;
                   o.form = form;
                   return attention(in, o);
                 },
             .reference = [](const std::vector<Array>& x) { return plain(x, 2, true); }};
    c.looseness = 16;
    c.outliers = false;
    check_op(c);
  }
}

TEST(AttentionOp, GradientsAddUpWhereOneTensorIsUsedTwice) {
  const AttentionTestCase c{.rows = 6, .keys = 6, .degree = 2};
  const AttentionValues x = make_values(c);
  const auto once = run_attention(c, x);
  for (const auto form : {AttentionForm::two_pass, AttentionForm::explicit_form}) {
    AttentionInputs in;
    const int64_t width = c.heads * c.head_size;
    in.q = Tensor::from<double>({c.batch, c.rows, width}, x.q);
    in.k = Tensor::from<double>({c.batch, c.rows, width}, x.k);
    in.v = Tensor::from<double>({c.batch, c.rows, width}, x.v);
    in.coefficients = Tensor::from<double>({c.heads, 4}, x.coefficients);
    for (Tensor* t : {&in.q, &in.k, &in.v, &in.coefficients}) require_grad(*t);
    AttentionOptions o = options_of(c);
    o.form = form;
    const Tensor seed = Tensor::from<double>({c.batch, c.rows, width}, seed_values(c));
    backward(attention(in, o), seed);
    backward(attention(in, o), seed);
    const auto doubled = [](const Tensor& t) {
      auto v = t.contiguous().to_vector<double>();
      for (double& e : v) e *= 2;
      return v;
    };
    EXPECT_LT(difference(grad_of(in.q), doubled(once.dq)), 1e-12);
    EXPECT_LT(difference(grad_of(in.k), doubled(once.dk)), 1e-12);
    EXPECT_LT(difference(grad_of(in.v), doubled(once.dv)), 1e-12);
    EXPECT_LT(difference(grad_of(in.coefficients), doubled(once.dcoefficients)), 1e-12);
  }
}

AttentionInputs small_inputs(int64_t rows = 4, int64_t keys = 4) {
  AttentionInputs in;
  in.q = random_tensor({2, rows, 6}, DType::f32, 1);
  in.k = random_tensor({2, keys, 6}, DType::f32, 2);
  in.v = random_tensor({2, keys, 6}, DType::f32, 3);
  return in;
}
AttentionOptions two_heads() {
  AttentionOptions o;
  o.heads = 2;
  return o;
}

TEST(AttentionOp, ErrorsNameWhatIsWrong) {
  const auto run = [](auto change) {
    return [change] {
      AttentionInputs in = small_inputs();
      AttentionOptions o = two_heads();
      change(in, o);
      attention(in, o);
    };
  };
  using In = AttentionInputs;
  using Opt = AttentionOptions;
  expect_error(run([](In& in, Opt&) {
                 in.qkv = random_tensor({2, 4, 18}, DType::f32, 1);
               }),
               {"attention", "either qkv"});
  expect_error(run([](In& in, Opt&) { in.k = {}; }), {"either qkv"});
  expect_error(run([](In&, Opt& o) { o.heads = 4; }), {"6 columns", "4 heads"});
  expect_error(run([](In& in, Opt&) { in.v = random_tensor({2, 5, 6}, DType::f32, 1); }), {"v has shape [2, 5, 6]"});
  expect_error(run([](In& in, Opt&) { in.v = random_tensor({2, 4, 6}, DType::f64, 1); }), {"v", "f64"});
  for (const Shape& shape :
       {Shape{1, 3, 4, 4}, Shape{3, 1, 4, 4}, Shape{1, 2, 3, 4}, Shape{2, 1, 4, 5}, Shape{1, 4, 4}}) {
    expect_error(run([shape](In& in, Opt&) { in.bias = random_tensor(shape, DType::f32, 1); }),
                 {"bias has shape " + shape.text(), "[1 or 2, 1 or 2, 4, 4]"});
  }
  expect_error(run([](In& in, Opt&) {
                 in.key_mask = Tensor::zeros({2, 3}, DType::boolean);
               }),
               {"key_mask has shape [2, 3]", "[2, 4]"});
  expect_error(run([](In& in, Opt&) { in.key_lengths = Tensor::from<int64_t>({2}, {1, 5}); }), {"key_lengths[1] is 5"});
  expect_error(run([](In& in, Opt&) {
                 in.key_lengths = Tensor::from<int64_t>({2}, {-1, 4});
               }),
               {"key_lengths[0] is -1"});
  expect_error(run([](In& in, Opt&) {
                 in.coefficients = random_tensor({2, 2}, DType::f32, 1);
               }),
               {"coefficients have shape [2, 2]"});
  expect_error(run([](In&, Opt& o) { o.heads = 0; }), {"0 heads"});
  expect_error(run([](In&, Opt& o) { o.dropout = -0.5; }), {"dropout is -0.5"});
  expect_error(run([](In&, Opt& o) { o.block_rows = -1; }), {"block_rows is -1"});
  expect_error(run([](In& in, Opt&) {
                 in.coefficients = random_tensor({3, 4}, DType::f32, 1);
               }),
               {"coefficients have shape [3, 4]"});
  expect_error(run([](In&, Opt& o) { o.dropout = 1; }), {"dropout is 1"});
  expect_error(
      [] {
        AttentionInputs in = small_inputs(4, 5);
        in.coefficients = random_tensor({2, 4}, DType::f32, 1);
        attention(in, two_heads());
      },
      {"as many queries as keys", "4 and 5", "softmax"});
  expect_error(
      [] {
        AttentionOptions o = two_heads();
        o.causal = true;
        attention(small_inputs(4, 5), o);
      },
      {"causal"});
}

TEST(AttentionOp, ImpossibleCombinationsNameTheWayOut) {
  AttentionInputs in = small_inputs();
  in.coefficients = random_tensor({2, 4}, DType::f32, 1);
  AttentionOptions o = two_heads();
  o.dropout = 0.1;
  o.form = AttentionForm::two_pass;
  expect_error([&] { attention(in, o); }, {"two_pass", "dropout_order: dropout_first", "form: explicit"});
  o.dropout = 0;  // evaluation
  EXPECT_NO_THROW(attention(in, o));
  in.coefficients = {};  // a plain softmax may drop: there is nothing to be first
  o.dropout = 0.1;
  EXPECT_NO_THROW(attention(in, o));
}

TEST(AttentionOp, TheChoiceTellsItsReasons) {
  AttentionCase c;
  c.filtered = true;
  EXPECT_EQ(choose_attention(c, AttentionForm::automatic).name, "two_pass");
  EXPECT_NE(choose_attention(c, AttentionForm::automatic)
                .text()
                .find("explicit: it would serve too, but two_pass is preferred"),
            std::string::npos);
  c.dropout = 0.1;
  const auto choice = choose_attention(c, AttentionForm::automatic);
  EXPECT_EQ(choice.name, "explicit");
  EXPECT_NE(choice.text().find("not two_pass: cannot drop entries of the filtered matrix"), std::string::npos);
  c.dropout_order = DropoutOrder::dropout_first;
  EXPECT_EQ(choose_attention(c, AttentionForm::automatic).name, "two_pass");
  EXPECT_EQ(choose_attention(c, AttentionForm::explicit_form).name, "explicit");
  c.device = DeviceType::cuda;
  c.head_size = 256;
  EXPECT_EQ(choose_attention(c, AttentionForm::automatic).name, "two_pass");
  c.head_size = 257;
  EXPECT_EQ(choose_attention(c, AttentionForm::automatic).name, "explicit");
}

}  // namespace
}  // namespace gfsa::test
