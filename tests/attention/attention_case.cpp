#include "attention/attention_case.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "autograd/autograd.h"
#include "ops/dropout.h"
#include "support/op_case.h"

namespace gfsa::test {
namespace {

using Complex = std::complex<double>;

double real(double x) { return x; }
double real(const Complex& x) { return x.real(); }

Tensor tensor(const std::vector<double>& values, const Shape& shape, DType dtype, Device device) {
  return Tensor::from<double>(shape, values).to(dtype).to(device);
}

std::vector<double> rounded(const std::vector<double>& values, DType dtype) {
  if (dtype == DType::f64 || values.empty()) return values;
  return tensor(values, {static_cast<int64_t>(values.size())}, dtype, {}).to_vector<double>();
}

int64_t width(const AttentionTestCase& c) { return c.heads * c.head_size; }

// [B, N, C] x 3 -> [B, N, 3 C]
std::vector<double> pack(const AttentionTestCase& c, const AttentionValues& x) {
  const int64_t w = width(c);
  std::vector<double> out;
  for (int64_t row = 0; row < c.batch * c.rows; ++row) {
    for (const auto* part : {&x.q, &x.k, &x.v})
      out.insert(out.end(), part->begin() + row * w, part->begin() + (row + 1) * w);
  }
  return out;
}

template <class S>
using Matrix = std::vector<std::vector<S>>;

template <class S>
Matrix<S> product(const Matrix<S>& a, const Matrix<S>& b) {
  Matrix<S> out(a.size(), std::vector<S>(b[0].size(), S(0)));
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t k = 0; k < b.size(); ++k) {
      for (size_t j = 0; j < b[0].size(); ++j) out[i][j] += a[i][k] * b[k][j];
    }
  }
  return out;
}

bool sees(const AttentionTestCase& c, const AttentionValues& x, int64_t b, int64_t i, int64_t j) {
  return (!c.causal || j <= i) && (!c.holes || x.keep[static_cast<size_t>(b * c.keys + j)]) &&
         (!c.lengths || j < x.lengths[static_cast<size_t>(b)]);
}

template <class S>
void drop(const AttentionTestCase& c, int64_t b, int64_t h, Matrix<S>& m) {
  const AttentionOptions o = options_of(c);
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t j = 0; j < c.keys; ++j) {
      const auto index = static_cast<uint64_t>((h * c.rows + i) * c.keys + j);
      const bool kept =
          dropout_keeps(o.dropout_key, o.sample0 + static_cast<uint32_t>(b), index, static_cast<float>(c.dropout));
      m[static_cast<size_t>(i)][static_cast<size_t>(j)] *= kept ? 1 / (1 - c.dropout) : 0;
    }
  }
}

template <class S>
Matrix<S> softmax_matrix(const AttentionTestCase& c, const AttentionValues& x, const ReferenceInputs<S>& in, int64_t b,
                         int64_t h) {
  Matrix<S> a(static_cast<size_t>(c.rows), std::vector<S>(static_cast<size_t>(c.keys), S(0)));
  const int64_t w = width(c);
  for (int64_t i = 0; i < c.rows; ++i) {
    auto& row = a[static_cast<size_t>(i)];
    double largest = -std::numeric_limits<double>::infinity();
    for (int64_t j = 0; j < c.keys; ++j) {
      S score(0);
      for (int64_t d = 0; d < c.head_size; ++d) {
        score += in.q[static_cast<size_t>((b * c.rows + i) * w + h * c.head_size + d)] *
                 in.k[static_cast<size_t>((b * c.keys + j) * w + h * c.head_size + d)];
      }
      score /= std::sqrt(static_cast<double>(c.head_size));
      if (c.bias_batch > 0) {
        const int64_t slice = (c.bias_batch > 1 ? b : 0) * c.bias_heads + (c.bias_heads > 1 ? h : 0);
        score += in.bias[static_cast<size_t>((slice * c.rows + i) * c.keys + j)];
      }
      row[static_cast<size_t>(j)] = score;
      if (sees(c, x, b, i, j)) largest = std::max(largest, real(score));
    }
    S sum(0);
    for (int64_t j = 0; j < c.keys; ++j) {
      S& e = row[static_cast<size_t>(j)];
      e = sees(c, x, b, i, j) ? std::exp(e - largest) : S(0);
      sum += e;
    }
    for (S& e : row) e = real(sum) == 0 ? S(0) : e / sum;
  }
  return a;
}

template <class S>
Matrix<S> filter_matrix(const AttentionTestCase& c, const AttentionValues& x, const ReferenceInputs<S>& in, Matrix<S> m,
                        int64_t b, int64_t h) {
  if (c.degree < 0) return m;
  const auto coefficient = [&](int64_t j) { return in.coefficients[static_cast<size_t>(h * (c.degree + 2) + 1 + j)]; };
  Matrix<S> f(m.size(), std::vector<S>(m.size(), S(0))), power = m;
  for (int64_t j = 1; j <= c.degree; ++j) {
    if (j > 1) power = product(power, m);
    for (size_t i = 0; i < m.size(); ++i) {
      for (size_t k = 0; k < m.size(); ++k) f[i][k] += coefficient(j) * power[i][k];
    }
  }
  for (size_t i = 0; i < m.size(); ++i) {
    f[i][i] += coefficient(0);
    double seen = 0;
    for (size_t k = 0; k < m.size(); ++k)
      seen += sees(c, x, b, static_cast<int64_t>(i), static_cast<int64_t>(k)) ? 1 : 0;
    for (size_t k = 0; k < m.size(); ++k) {
      if (sees(c, x, b, static_cast<int64_t>(i), static_cast<int64_t>(k))) f[i][k] += coefficient(-1) / seen;
    }
  }
  return f;
}

}  // namespace

std::string AttentionTestCase::text() const {
  return fmt::format(
      "B {} H {} N {}x{} D {} degree {} cu {} causal {} holes {} lengths {} bias {}x{} dropout {} {} form {} block {} "
      "seed {} {}{} sequences {}",
      batch, heads, rows, keys, head_size, degree, uniform, causal, holes, lengths, bias_batch, bias_heads, dropout,
      order == DropoutOrder::filter_first ? "filter_first" : "dropout_first", static_cast<int>(form), block_rows, seed,
      device.text(), strided ? " strided" : "", fmt::join(sequences, " "));
}

std::vector<double> random_values(size_t n, uint64_t seed, double deviation) {
  RandomSequence random(RandomKey(seed, "attention test"));
  std::vector<double> out(n);
  for (double& x : out) x = deviation * random.normal();
  return out;
}

AttentionValues make_values(const AttentionTestCase& c) {
  AttentionValues x;
  const auto size = [&](int64_t rows) { return static_cast<size_t>(c.batch * rows * width(c)); };
  x.q = random_values(size(c.rows), c.seed + 100, 1.5);
  x.k = random_values(size(c.keys), c.seed + 200, 1.5);
  x.v = random_values(size(c.keys), c.seed + 300);
  for (auto* values : {&x.q, &x.k, &x.v}) *values = rounded(*values, c.rounded);
  if (c.degree >= 0) {
    x.coefficients = random_values(static_cast<size_t>(c.heads * (c.degree + 2)), c.seed + 400, 0.7);
    for (int64_t h = 0; h < c.heads && !c.uniform; ++h) x.coefficients[static_cast<size_t>(h * (c.degree + 2))] = 0;
  }
  x.bias = random_values(static_cast<size_t>(c.bias_batch * c.bias_heads * c.rows * c.keys), c.seed + 500);
  RandomSequence random(RandomKey(c.seed, "attention test masks"));
  for (int64_t e = 0; e < c.batch * c.keys; ++e) x.keep.push_back(random.uniform() < 0.7);
  // The first element of the batch sees all but its tail, the others lose keys at random.
  for (int64_t b = 0; b < c.batch; ++b)
    x.lengths.push_back(b == 0 ? c.keys : static_cast<int64_t>(random.below(static_cast<uint64_t>(c.keys) + 1)));
  return x;
}

std::vector<double> seed_values(const AttentionTestCase& c) {
  return rounded(random_values(static_cast<size_t>(c.batch * c.rows * width(c)), c.seed + 600), c.rounded);
}

AttentionOptions options_of(const AttentionTestCase& c) {
  AttentionOptions o;
  o.heads = c.heads;
  o.causal = c.causal;
  o.dropout = c.dropout;
  o.dropout_order = c.order;
  o.dropout_key = RandomKey(c.seed, "dropout", 3);
  o.sample0 = c.sample0;
  o.longest = c.longest;
  o.form = c.form;
  o.block_rows = c.block_rows;
  return o;
}

AttentionResult run_attention(const AttentionTestCase& c, const AttentionValues& x, DType dtype, bool gradients) {
  const DType wide = accumulator_of(dtype);
  const int64_t w = width(c);
  const auto rows_of = [&](const std::vector<double>& values, const Shape& shape) {
    const Tensor t = tensor(values, shape, dtype, c.device);
    return c.strided ? strided_copy(t, true) : t;
  };
  AttentionInputs in;
  if (c.packed) {
    in.qkv = rows_of(pack(c, x), {c.batch, c.rows, 3 * w});
  } else {
    in.q = rows_of(x.q, {c.batch, c.rows, w});
    in.k = rows_of(x.k, {c.batch, c.keys, w});
    in.v = rows_of(x.v, {c.batch, c.keys, w});
  }
  if (c.degree >= 0) in.coefficients = tensor(x.coefficients, {c.heads, c.degree + 2}, wide, c.device);
  if (c.bias_batch > 0) in.bias = tensor(x.bias, {c.bias_batch, c.bias_heads, c.rows, c.keys}, wide, c.device);
  if (c.holes) {
    in.key_mask = Tensor::empty({c.batch, c.keys}, DType::boolean);
    std::copy(x.keep.begin(), x.keep.end(), in.key_mask.data<bool>());
    in.key_mask = in.key_mask.to(c.device);
  }
  if (!c.sequences.empty()) {
    std::vector<int64_t> offsets{0};
    for (const int64_t n : c.sequences) offsets.push_back(offsets.back() + n);
    in.offsets = Tensor::from<int64_t>({static_cast<int64_t>(offsets.size())}, offsets).to(c.device);
  }
  if (c.lengths) in.key_lengths = Tensor::from<int64_t>({c.batch}, x.lengths).to(c.device);
  if (gradients) {
    for (Tensor* t : {&in.qkv, &in.q, &in.k, &in.v, &in.coefficients, &in.bias}) {
      if (t->defined()) require_grad(*t);
    }
  }
  AttentionResult r;
  r.out = attention(in, options_of(c));
  if (!gradients) return r;
  backward(r.out, tensor(seed_values(c), r.out.shape(), dtype, c.device));
  if (c.packed) {
    const Tensor d = grad_of(in.qkv);
    r.dq = d.slice(2, 0, w);
    r.dk = d.slice(2, w, 2 * w);
    r.dv = d.slice(2, 2 * w, 3 * w);
  } else {
    r.dq = grad_of(in.q);
    r.dk = grad_of(in.k);
    r.dv = grad_of(in.v);
  }
  r.dcoefficients = grad_of(in.coefficients);
  r.dbias = grad_of(in.bias);
  return r;
}

namespace {

// Packed sequences: each is a sample of its own.
template <class S>
std::vector<S> reference_of_sequences(const AttentionTestCase& c, const AttentionValues& x,
                                      const ReferenceInputs<S>& in) {
  std::vector<S> out;
  int64_t first = 0;
  for (size_t s = 0; s < c.sequences.size(); ++s) {
    AttentionTestCase one = c;
    one.sequences.clear();
    one.rows = one.keys = c.sequences[s];
    one.sample0 += static_cast<uint32_t>(s);
    if (one.rows == 0) continue;
    const auto rows = [&](const std::vector<S>& all) {
      const auto at = all.begin() + first * width(c);
      return std::vector<S>(at, at + one.rows * width(c));
    };
    const auto part = reference_attention<S>(one, x, {rows(in.q), rows(in.k), rows(in.v), in.coefficients, {}});
    out.insert(out.end(), part.begin(), part.end());
    first += one.rows;
  }
  return out;
}

}  // namespace

template <class S>
std::vector<S> reference_attention(const AttentionTestCase& c, const AttentionValues& x, const ReferenceInputs<S>& in) {
  if (!c.sequences.empty()) return reference_of_sequences(c, x, in);
  const int64_t w = width(c);
  std::vector<S> out(static_cast<size_t>(c.batch * c.rows * w), S(0));
  for (int64_t b = 0; b < c.batch; ++b) {
    for (int64_t h = 0; h < c.heads; ++h) {
      Matrix<S> m = softmax_matrix(c, x, in, b, h);
      const bool before = c.order == DropoutOrder::dropout_first;
      if (c.dropout > 0 && before) drop(c, b, h, m);
      Matrix<S> f = filter_matrix(c, x, in, m, b, h);
      if (c.dropout > 0 && !before) drop(c, b, h, f);
      for (int64_t i = 0; i < c.rows; ++i) {
        for (int64_t j = 0; j < c.keys; ++j) {
          for (int64_t d = h * c.head_size; d < (h + 1) * c.head_size; ++d) {
            out[static_cast<size_t>((b * c.rows + i) * w + d)] +=
                f[static_cast<size_t>(i)][static_cast<size_t>(j)] * in.v[static_cast<size_t>((b * c.keys + j) * w + d)];
          }
        }
      }
    }
  }
  return out;
}
template std::vector<double> reference_attention(const AttentionTestCase&, const AttentionValues&,
                                                 const ReferenceInputs<double>&);
template std::vector<Complex> reference_attention(const AttentionTestCase&, const AttentionValues&,
                                                  const ReferenceInputs<Complex>&);

std::vector<double> reference_attention(const AttentionTestCase& c, const AttentionValues& x) {
  return reference_attention<double>(c, x, {x.q, x.k, x.v, x.coefficients, x.bias});
}

double directional_derivative(const AttentionTestCase& c, const AttentionValues& x, const std::string& which,
                              const std::vector<double>& direction) {
  constexpr double h = 1e-30;
  const auto widen = [&](const char* name, const std::vector<double>& values) {
    std::vector<Complex> out(values.begin(), values.end());
    for (size_t e = 0; e < out.size() && which == name; ++e) out[e] += Complex(0, h * direction[e]);
    return out;
  };
  const auto out = reference_attention<Complex>(c, x,
                                                {widen("q", x.q), widen("k", x.k), widen("v", x.v),
                                                 widen("coefficients", x.coefficients), widen("bias", x.bias)});
  const auto seed = seed_values(c);
  double total = 0;
  for (size_t e = 0; e < out.size(); ++e) total += seed[e] * out[e].imag() / h;
  return total;
}

double difference(const Tensor& a, const std::vector<double>& b) {
  const auto x = a.to_vector<double>();
  if (x.size() != b.size()) return std::numeric_limits<double>::infinity();
  double largest = 0.01, error = 0;
  for (size_t e = 0; e < x.size(); ++e) {
    if (std::isnan(x[e]) || std::isnan(b[e])) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(b[e]));
    error = std::max(error, std::abs(x[e] - b[e]));
  }
  return error / largest;
}
double difference(const Tensor& a, const Tensor& b) { return difference(a, b.to_vector<double>()); }

void expect_near(const AttentionResult& r, const AttentionResult& reference, double tolerance,
                 double (*error)(const Tensor&, const Tensor&)) {
  const struct {
    const char* name;
    const Tensor &found, &expected;
  } parts[] = {{"out", r.out, reference.out},
               {"dq", r.dq, reference.dq},
               {"dk", r.dk, reference.dk},
               {"dv", r.dv, reference.dv},
               {"dcoefficients", r.dcoefficients, reference.dcoefficients},
               {"dbias", r.dbias, reference.dbias}};
  for (const auto& part : parts) {
    ASSERT_EQ(part.found.defined(), part.expected.defined()) << part.name;
    if (!part.found) continue;
    EXPECT_LT(error(part.found, part.expected), tolerance) << part.name;
  }
}

void expect_exact(const AttentionTestCase& c, const AttentionValues& x) {
  SCOPED_TRACE(c.text());
  const AttentionResult r = run_attention(c, x);
  EXPECT_LT(difference(r.out, reference_attention(c, x)), 1e-12);
  const struct {
    const char* name;
    const Tensor& gradient;
  } parts[] = {{"q", r.dq}, {"k", r.dk}, {"v", r.dv}, {"coefficients", r.dcoefficients}, {"bias", r.dbias}};
  for (const auto& part : parts) {
    if (!part.gradient.defined()) continue;
    const auto gradient = part.gradient.to_vector<double>();
    for (uint64_t trial = 0; trial < 3; ++trial) {
      const auto direction = random_values(gradient.size(), 1000 + trial);
      double found = 0, scale = 1e-3;
      for (size_t e = 0; e < gradient.size(); ++e) {
        found += gradient[e] * direction[e];
        scale += std::abs(gradient[e] * direction[e]);
      }
      EXPECT_LT(std::abs(found - directional_derivative(c, x, part.name, direction)) / scale, 1e-12)
          << "d" << part.name;
    }
  }
}
void expect_exact(const AttentionTestCase& c) { expect_exact(c, make_values(c)); }

void expect_as_explicit(AttentionTestCase c, DType dtype, double tolerance) {
  SCOPED_TRACE(c.text());
  const AttentionValues x = make_values(c);
  const AttentionResult r = run_attention(c, x, dtype);
  expect_same_bits(run_attention(c, x, dtype, false).out, r.out, "without a tape");
  c.form = AttentionForm::explicit_form;
  expect_near(r, run_attention(c, x), tolerance);
}

void expect_blind_to_future(const AttentionTestCase& c, DType dtype, const std::vector<int64_t>& places) {
  SCOPED_TRACE(fmt::format("{} {}", name_of(dtype), c.text()));
  ASSERT_EQ(c.batch, 1);
  const AttentionValues x = make_values(c);
  const auto before = run_attention(c, x, dtype, false).out.to_vector<double>();
  for (const int64_t t : places) {
    AttentionValues changed = x;
    const auto cut = static_cast<size_t>(t * width(c));
    for (auto* part : {&changed.q, &changed.k, &changed.v}) {
      for (size_t e = cut; e < part->size(); ++e) (*part)[e] = 300 - 2 * (*part)[e];
    }
    const auto after = run_attention(c, changed, dtype, false).out.to_vector<double>();
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + static_cast<int64_t>(cut), after.begin())) << t;
    EXPECT_NE(before[cut], after[cut]) << t;
  }
}

std::pair<AttentionTestCase, AttentionValues> padded_to(const AttentionTestCase& c, const AttentionValues& x,
                                                        int64_t rows) {
  AttentionTestCase padded = c;
  padded.rows = padded.keys = rows;
  padded.lengths = true;
  AttentionValues y = make_values(padded);
  y.coefficients = x.coefficients;
  y.lengths = {c.rows};
  std::copy(x.q.begin(), x.q.end(), y.q.begin());
  std::copy(x.k.begin(), x.k.end(), y.k.begin());
  std::copy(x.v.begin(), x.v.end(), y.v.begin());
  return {padded, y};
}

void expect_blind_to_padding(const AttentionTestCase& c, DType dtype, int64_t rows) {
  SCOPED_TRACE(fmt::format("{} {}", name_of(dtype), c.text()));
  ASSERT_EQ(c.batch, 1);
  ASSERT_GT(rows, c.rows);
  const AttentionValues x = make_values(c);
  const AttentionResult real = run_attention(c, x, dtype);
  const auto [padded, y] = padded_to(c, x, rows);
  const AttentionResult r = run_attention(padded, y, dtype);
  expect_same_bits(r.out.slice(1, 0, c.rows).contiguous(), real.out, "padded");
  for (const double d : r.dk.slice(1, c.rows, rows).contiguous().to_vector<double>()) ASSERT_EQ(d, 0);
}

}  // namespace gfsa::test
