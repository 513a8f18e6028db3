#include "tasks/diagnosis.h"

#include <Eigen/Dense>
#include <Eigen/SVD>
#include <algorithm>
#include <cmath>

#include "autograd/autograd.h"
#include "base/error.h"
#include "base/threads.h"

namespace gfsa::tasks {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using View = Eigen::Map<const Matrix>;

View as_matrix(const std::vector<double>& x, int64_t rows) {
  return {x.data(), rows, static_cast<int64_t>(x.size()) / rows};
}

// Softmax of q k^T / sqrt(D) over the rows, [N, N].
Matrix attention_matrix(const View& qkv, int64_t heads, int64_t head) {
  const int64_t width = qkv.cols() / 3, d = width / heads;
  const auto q = qkv.middleCols(head * d, d), k = qkv.middleCols(width + head * d, d);
  Matrix a = q * k.transpose() / std::sqrt(static_cast<double>(d));
  for (int64_t i = 0; i < a.rows(); ++i) {
    a.row(i) = (a.row(i).array() - a.row(i).maxCoeff()).exp();
    a.row(i) /= a.row(i).sum();
  }
  return a;
}

// Real parts of u_0 .. u_m, then imaginary parts: [N, 2 (m + 1)], m = floor(N / 2).
Matrix fourier_modes(int64_t n) {
  const int64_t modes = n / 2 + 1;
  Matrix u(n, 2 * modes);
  for (int64_t j = 0; j < n; ++j) {
    for (int64_t k = 0; k < modes; ++k) {
      const double angle = 2 * M_PI * static_cast<double>(j * k % n) / static_cast<double>(n);
      u(j, k) = std::cos(angle) / std::sqrt(static_cast<double>(n));
      u(j, modes + k) = std::sin(angle) / std::sqrt(static_cast<double>(n));
    }
  }
  return u;
}

std::vector<double> gains(const Matrix& images_of_modes) {
  const int64_t modes = images_of_modes.cols() / 2;
  std::vector<double> out;
  for (int64_t k = 0; k < modes; ++k) {
    out.push_back(std::sqrt(images_of_modes.col(k).squaredNorm() + images_of_modes.col(modes + k).squaredNorm()));
  }
  return out;
}

FrequencyResponse response(const Matrix& a, const Matrix& modes, const std::vector<double>& c) {
  FrequencyResponse r;
  Matrix power = a * modes;  // A^i modes
  r.attention = gains(power);
  Matrix filtered = c[1] * modes + c[2] * power;
  if (c[0] != 0) filtered.rowwise() += c[0] * modes.colwise().mean();
  for (size_t i = 3; i < c.size(); ++i) {
    power = a * power;
    filtered += c[i] * power;
  }
  r.filtered = gains(filtered);
  return r;
}

void add_to(std::vector<double>& sum, const std::vector<double>& x) {
  sum.resize(x.size(), 0.0);
  for (size_t i = 0; i < x.size(); ++i) sum[i] += x[i];
}

void divide(std::vector<double>& x, double by) {
  for (double& v : x) v /= by;
}

std::vector<std::vector<double>> coefficients_of(const Tensor& t, int64_t heads) {
  if (!t) return std::vector<std::vector<double>>(static_cast<size_t>(heads), {0, 0, 1});
  const auto all = t.to_vector<double>();
  std::vector<std::vector<double>> out;
  for (int64_t h = 0; h < heads; ++h) {
    out.emplace_back(all.begin() + h * t.dim(1), all.begin() + (h + 1) * t.dim(1));
  }
  return out;
}

// A picture's rows of a [B, N, C] tensor.
std::vector<double> sample_of(const Tensor& t, int64_t i) { return t.select(0, i).to_vector<double>(); }

// Adds the figures of one chunk of pictures. One thread has a head (or a layer, or a picture's decomposition), so that
// sums do not depend on the number of threads.
void add_chunk(Diagnosis& d, const Diagnostics& x) {
  const int64_t depth = static_cast<int64_t>(x.qkv.size()), batch = x.qkv[0].dim(0);
  if (d.layers.empty()) {
    d.layers.resize(static_cast<size_t>(depth));
    for (size_t l = 0; l < d.layers.size(); ++l) {
      d.layers[l].tokens = x.qkv[l].dim(1);
      d.layers[l].filtered = x.coefficients[l].defined();
      d.layers[l].coefficients = coefficients_of(x.coefficients[l], x.heads[l]);
      d.layers[l].heads.resize(static_cast<size_t>(x.heads[l]));
    }
  }
  for (size_t l = 0; l < d.layers.size(); ++l) {
    LayerDiagnosis& layer = d.layers[l];
    const Matrix modes = fourier_modes(layer.tokens);
    for (int64_t i = 0; i < batch; ++i) {
      const auto qkv = sample_of(x.qkv[l], i);
      const int64_t heads = x.heads[l];
      parallel_for(heads, 1, [&](int64_t begin, int64_t end) {
        for (int64_t h = begin; h < end; ++h) {
          const Matrix a = attention_matrix(as_matrix(qkv, layer.tokens), heads, h);
          const auto one = response(a, modes, layer.coefficients[static_cast<size_t>(h)]);
          add_to(layer.heads[static_cast<size_t>(h)].attention, one.attention);
          add_to(layer.heads[static_cast<size_t>(h)].filtered, one.filtered);
        }
      });
      layer.token_similarity += mean_token_similarity(sample_of(x.block_outputs[l], i), x.block_outputs[l].dim(1));
    }
  }
  const Tensor& last = x.block_outputs.back();
  std::vector<std::vector<double>> values(static_cast<size_t>(batch));
  parallel_for(batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      values[static_cast<size_t>(i)] = normalised_singular_values(sample_of(last, i), last.dim(1));
    }
  });
  for (const auto& v : values) add_to(d.singular_values, v);
  d.samples += batch;
}

}  // namespace

FrequencyResponse frequency_response(const std::vector<double>& qkv, int64_t tokens, int64_t heads, int64_t head,
                                     const std::vector<double>& coefficients) {
  return response(attention_matrix(as_matrix(qkv, tokens), heads, head), fourier_modes(tokens), coefficients);
}

double mean_token_similarity(const std::vector<double>& x, int64_t tokens) {
  if (tokens < 2) return 1;
  // The sum over all pairs is |sum of unit vectors|^2, of which each token's own 1 is taken off.
  const Matrix units = as_matrix(x, tokens).rowwise().normalized();
  const auto n = static_cast<double>(tokens);
  return (units.colwise().sum().squaredNorm() - units.squaredNorm()) / (n * (n - 1));
}

std::vector<double> normalised_singular_values(const std::vector<double>& x, int64_t tokens) {
  const Eigen::BDCSVD<Eigen::MatrixXd> svd(as_matrix(x, tokens));
  const auto& s = svd.singularValues();  // falling
  std::vector<double> out(s.data(), s.data() + s.size());
  if (out[0] > 0) divide(out, s[0]);
  return out;
}

Diagnosis diagnose(const ImageModel& model, const Tensor& images, const ForwardContext& context,
                   const std::string& name) {
  constexpr int64_t kChunk = 8;  // pictures whose block outputs are held at once
  const NoGrad guard;
  Diagnosis d;
  for (int64_t begin = 0; begin < images.dim(0); begin += kChunk) {
    Diagnostics x;
    const Tensor chunk = images.slice(0, begin, std::min(images.dim(0), begin + kChunk));
    model.forward(chunk.to(context.device), context, &x);
    for (auto* tensors : {&x.qkv, &x.block_outputs, &x.coefficients}) {
      for (Tensor& t : *tensors) t = t ? t.to(Device{}) : t;
    }
    const size_t blocks = x.qkv.size();
    if (blocks == 0 || x.block_outputs.size() != blocks || x.coefficients.size() != blocks ||
        x.heads.size() != blocks) {
      bad_input(
          "diagnosis: {} tells {}, so there is nothing to measure; fill Diagnostics in forward(), see models/vit.cpp",
          name, blocks == 0 ? "nothing about its blocks" : "only a part about its blocks");
    }
    add_chunk(d, x);
  }
  const auto n = static_cast<double>(d.samples);
  for (auto& layer : d.layers) {
    layer.token_similarity /= n;
    for (auto& head : layer.heads) divide(head.attention, n), divide(head.filtered, n);
  }
  divide(d.singular_values, n);
  return d;
}

Tensor sample_images(data::BatchMaker& batches, int64_t count) {
  const int64_t size = batches.size();
  std::vector<data::SampleRef> refs;
  for (int64_t i = 0; i < std::min(count, size); ++i) {
    refs.push_back({.index = i * size / std::min(count, size), .position = static_cast<uint64_t>(i)});
  }
  data::Batch batch;
  batch.size = static_cast<int64_t>(refs.size());
  batches.allocate(batch, refs);
  for (int64_t i = 0; i < batch.size; ++i) batches.fill(batch, i, refs[static_cast<size_t>(i)]);
  batches.finish(batch);
  return batch.at("images");
}

}  // namespace gfsa::tasks
