#include "tasks/diagnosis.h"

#include <gmock/gmock.h>

#include <cmath>
#include <complex>
#include <sstream>

#include "core/philox.h"
#include "tasks/tiny_run.h"
#include "tasks/trained_model.h"

namespace gfsa::tasks {
namespace {

std::vector<double> random_values(size_t n, const char* stream) {
  RandomSequence rng(RandomKey(7, stream), 0);
  std::vector<double> x(n);
  for (double& v : x) v = rng.uniform(-1, 1);
  return x;
}

// Queries and keys (one head of size N) whose softmax is the circulant matrix with this first row: A u_k = lambda_k
// u_k.
std::vector<double> circulant_qkv(const std::vector<double>& row) {
  const size_t n = row.size();
  std::vector<double> qkv(n * 3 * n, 0.0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) {
      qkv[i * 3 * n + j] = std::sqrt(static_cast<double>(n)) * std::log(row[(j + n - i) % n]);
    }
    qkv[i * 3 * n + n + i] = 1;
  }
  return qkv;
}

std::complex<double> eigenvalue(const std::vector<double>& row, size_t k) {
  std::complex<double> sum = 0;
  for (size_t j = 0; j < row.size(); ++j) {
    sum += row[j] * std::polar(1.0, 2 * M_PI * static_cast<double>(j * k) / static_cast<double>(row.size()));
  }
  return sum;
}

TEST(FrequencyResponse, OfACirculantMatrixIsItsSpectrum) {
  for (const std::vector<double>& row :
       {std::vector<double>{0.4, 0.3, 0.05, 0.15, 0.1}, {0.3, 0.2, 0.1, 0.1, 0.1, 0.2}}) {
    const std::vector<double> c{0.5, -0.2, 0.7, 0.4, 0.3};  // cu, c0 .. c3
    const auto n = static_cast<int64_t>(row.size());
    const auto r = frequency_response(circulant_qkv(row), n, 1, 0, c);
    ASSERT_EQ(r.attention.size(), row.size() / 2 + 1);
    for (size_t k = 0; k < r.attention.size(); ++k) {
      const auto a = eigenvalue(row, k);
      EXPECT_NEAR(r.attention[k], std::abs(a), 1e-12) << k;
      // The uniform average lets nothing but the mean through.
      const auto f = (k == 0 ? c[0] : 0.0) + c[1] + c[2] * a + c[3] * a * a + c[4] * a * a * a;
      EXPECT_NEAR(r.filtered[k], std::abs(f), 1e-12) << k;
    }
  }
}

TEST(FrequencyResponse, ReadsItsHeadAndScalesByTheHeadSize) {
  // 3 tokens, 2 heads of size 2: head 0 attends uniformly, head 1 does not.
  const auto values = random_values(3 * 12, "diagnosis_test.heads");
  std::vector<double> qkv = values;
  for (size_t i = 0; i < 3; ++i) qkv[i * 12] = qkv[i * 12 + 1] = 0;
  const auto uniform = frequency_response(qkv, 3, 2, 0, {0, 0, 1});
  EXPECT_NEAR(uniform.attention[0], 1, 1e-12);
  EXPECT_NEAR(uniform.attention[1], 0, 1e-12);
  EXPECT_EQ(uniform.filtered, uniform.attention);

  const auto one = frequency_response(qkv, 3, 2, 1, {0, 0, 1});
  double squares = 0;  // |A u_1|^2 by hand
  for (size_t i = 0; i < 3; ++i) {
    double weights[3], sum = 0;
    for (size_t j = 0; j < 3; ++j) {
      const double score = qkv[i * 12 + 2] * qkv[j * 12 + 6] + qkv[i * 12 + 3] * qkv[j * 12 + 7];
      sum += weights[j] = std::exp(score / std::sqrt(2.0));
    }
    std::complex<double> y = 0;
    for (size_t j = 0; j < 3; ++j)
      y += weights[j] / sum * std::polar(1 / std::sqrt(3.0), 2 * M_PI * static_cast<double>(j) / 3);
    squares += std::norm(y);
  }
  EXPECT_NEAR(one.attention[1], std::sqrt(squares), 1e-6);
}

TEST(TokenSimilarity, IsTheMeanCosineOverPairs) {
  EXPECT_NEAR(mean_token_similarity({1, 0, 0, 5}, 2), 0, 1e-12);
  EXPECT_NEAR(mean_token_similarity({1, 2, 2, 4, 10, 20}, 3), 1, 1e-12);
  EXPECT_NEAR(mean_token_similarity({1, 2, -2, -4}, 2), -1, 1e-12);
  const auto x = random_values(5 * 4, "diagnosis_test.tokens");
  double sum = 0;
  for (size_t i = 0; i < 5; ++i) {
    for (size_t j = 0; j < 5; ++j) {
      double ij = 0, ii = 0, jj = 0;
      for (size_t c = 0; c < 4; ++c) {
        ij += x[i * 4 + c] * x[j * 4 + c];
        ii += x[i * 4 + c] * x[i * 4 + c];
        jj += x[j * 4 + c] * x[j * 4 + c];
      }
      if (i != j) sum += ij / std::sqrt(ii * jj);
    }
  }
  EXPECT_NEAR(mean_token_similarity(x, 5), sum / 20, 1e-12);
}

TEST(SingularValues, AreFallingSharesOfTheLargest) {
  const auto diagonal = normalised_singular_values({0, 0, 3, 6, 0, 0}, 2);  // [2, 3]: singular values 6 and 3
  ASSERT_EQ(diagonal.size(), 2u);
  EXPECT_NEAR(diagonal[0], 1, 1e-12);
  EXPECT_NEAR(diagonal[1], 0.5, 1e-12);
  const auto one = normalised_singular_values({1, 2, 2, 4, 3, 6}, 3);  // rank 1
  EXPECT_NEAR(one[1], 0, 1e-12);
  // The sum of squares is that of the entries.
  const auto x = random_values(6 * 4, "diagnosis_test.matrix");
  const auto s = normalised_singular_values(x, 6);
  double trace4 = 0, squares = 0, entries = 0, fourth = 0;  // tr (X^T X)^2 / (tr X^T X)^2 has no scale
  for (const double v : s) squares += v * v, fourth += v * v * v * v;
  for (size_t a = 0; a < 4; ++a) {
    for (size_t b = 0; b < 4; ++b) {
      double g = 0;
      for (size_t i = 0; i < 6; ++i) g += x[i * 4 + a] * x[i * 4 + b];
      trace4 += g * g;
      if (a == b) entries += g;
    }
  }
  EXPECT_NEAR(fourth / (squares * squares), trace4 / (entries * entries), 1e-12);
}

class DiagnosisOfAModel : public testing::Test {
 protected:
  void SetUp() override { write_checkpoint(folder_ / "run"); }
  TemporaryFolder folder_;
};

TEST_F(DiagnosisOfAModel, IsTheMeanOverPictures) {
  TrainedModel trained({.path = folder_ / "run"});
  const auto batches = trained.task().eval_batches("val");
  const Tensor images = sample_images(*batches, 10);  // more than a chunk
  ASSERT_EQ(images.shape(), (Shape{10, 3, 32, 32}));
  const auto all = diagnose(image_task(trained).model(), images, {});
  EXPECT_EQ(all.samples, 10);
  ASSERT_EQ(all.layers.size(), 2u);
  EXPECT_EQ(all.layers[1].tokens, 17);
  ASSERT_EQ(all.layers[1].heads.size(), 2u);
  EXPECT_EQ(all.singular_values.size(), 16u);
  double gain = 0, similarity = 0, singular = 0;
  for (int64_t i = 0; i < 10; ++i) {
    const auto one = diagnose(image_task(trained).model(), images.slice(0, i, i + 1), {});
    gain += one.layers[1].heads[0].filtered[3] / 10;
    similarity += one.layers[0].token_similarity / 10;
    singular += one.singular_values[2] / 10;
  }
  EXPECT_NEAR(all.layers[1].heads[0].filtered[3], gain, 1e-5);
  EXPECT_NEAR(all.layers[0].token_similarity, similarity, 1e-5);
  EXPECT_NEAR(all.singular_values[2], singular, 1e-5);
}

TEST_F(DiagnosisOfAModel, KnowsTheFilter) {
  TrainedModel trained({.path = folder_ / "run"});
  const auto batches = trained.task().eval_batches("val");
  const auto d = diagnose(image_task(trained).model(), sample_images(*batches, 2), {});
  // K = 3, wK = 0.3: c1 = 1 + (2 - 3) 0.3, c2 = 2 x 0.3
  const auto& c = d.layers[0].coefficients[1];
  ASSERT_EQ(c.size(), 4u);
  EXPECT_NEAR(c[2], 0.7, 1e-6);
  EXPECT_NEAR(c[3], 0.6, 1e-6);
  // Rows sum to w0 + w1 + wK, so that a constant signal grows by that.
  EXPECT_NEAR(d.layers[0].heads[0].attention[0], 1, 1e-6);
  EXPECT_NEAR(d.layers[0].heads[0].filtered[0], 1.3, 1e-6);
}

TEST(Diagnosis, OfAModelThatTellsNothingIsBadInput) {
  struct Silent final : ImageModel {
    Tensor forward(const Tensor& images, const ForwardContext&, Diagnostics*) const override { return images; }
    double forward_flops() const override { return 0; }
    int64_t depth() const override { return 1; }
  };
  try {
    diagnose(Silent(), Tensor::zeros({1, 3, 4, 4}, DType::f32), {}, "model silent");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), kExitBadInput);
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("model silent"), testing::HasSubstr("models/vit.cpp")));
  }
}

TEST_F(DiagnosisOfAModel, IsSavedAsTablesAndCharts) {
  TrainedModel trained({.path = folder_ / "run"});
  const auto batches = trained.task().eval_batches("val");
  const auto d = diagnose(image_task(trained).model(), sample_images(*batches, 2), {});
  const auto paths = save_diagnosis(Env::real(), folder_ / "figures", d, trained.task().coefficients());
  EXPECT_EQ(paths.size(), 8u);
  for (const auto& path : paths) EXPECT_GT(Env::real().read(path).size(), 20u) << path;
  std::istringstream csv(Env::real().read(folder_ / "figures/frequency_response.csv"));
  std::string line;
  std::getline(csv, line);
  EXPECT_EQ(line, "layer,head,k,frequency,attention,filtered");
  std::getline(csv, line);
  EXPECT_EQ(line, fmt::format("0,0,0,0,{},{}", d.layers[0].heads[0].attention[0], d.layers[0].heads[0].filtered[0]));
  const std::string coefficients = Env::real().read(folder_ / "figures/coefficients.csv");
  EXPECT_THAT(coefficients, testing::HasSubstr("\n1,1,wK,true,0.3"));
  EXPECT_THAT(coefficients, testing::HasSubstr("\n1,0,c2 of the filter,false,0.6"));
}

TEST_F(DiagnosisOfAModel, APlainModelHasNoLearnedCoefficients) {
  TinyRun tiny;
  tiny.config.replace(tiny.config.find("{variant: gfsa, K: 3, wK_init: 0.3}"), 35, "softmax");
  write_checkpoint(folder_ / "plain", tiny);
  TrainedModel trained({.path = folder_ / "plain"});
  const auto batches = trained.task().eval_batches("val");
  const auto d = diagnose(image_task(trained).model(), sample_images(*batches, 1), {});
  EXPECT_FALSE(d.layers[0].filtered);
  EXPECT_EQ(d.layers[0].heads[0].filtered, d.layers[0].heads[0].attention);
  EXPECT_EQ(save_diagnosis(Env::real(), folder_ / "figures", d, {}).size(), 7u);
}

}  // namespace
}  // namespace gfsa::tasks
