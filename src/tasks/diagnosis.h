// diagnosis.h -- what the GFSA paper plots about a trained model, measured on a batch of pictures. All in double, from
// queries, keys and block outputs as the model computed them; the model is in evaluation mode.
//
// Frequency response, per layer and head, of a matrix M = A (softmax attention) and of M = F, the filtered matrix
// F = cu U + c0 I + c1 A + ... + ck A^k (attention/attention.h): the gain |M u_k| (2-norm) of the unit Fourier mode
//     u_k[j] = exp(2 pi i k j / N) / sqrt(N),   k = 0, ..., floor(N / 2),
// over the N tokens in their order, class token included. Since M u_k is, but for a unitary factor, column k of the
// response in the Fourier domain D M D^-1 (D the discrete Fourier transform), this is the norm of that column: how much
// of frequency k gets through. Modes k and N - k have the same gain. Averaged over the pictures. As in Wang et al. 2022
// (ICLR, arXiv 2203.05962), who show that A is a low-pass filter, and in GFSA (NeurIPS 2024, arXiv 2312.04234).
//
// Token similarity, per layer: the mean cosine of the angle between two different tokens of a block's output, over all
// N (N - 1) ordered pairs, class token included, averaged over the pictures. 1 is complete over-smoothing.
//
// Singular values of the last hidden state: of the matrix [N, C] that leaves the last block, before the final norm,
// divided by the largest, falling; averaged over the pictures. A steep fall is a collapse to low rank.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/env.h"
#include "core/tensor.h"
#include "data/loader/batch_maker.h"
#include "models/image_model.h"

namespace gfsa::tasks {

// Gains of the modes k = 0 .. floor(N / 2).
struct FrequencyResponse {
  std::vector<double> attention, filtered;
};

struct LayerDiagnosis {
  std::vector<FrequencyResponse> heads;
  std::vector<std::vector<double>> coefficients;  // of each head: cu, c0, c1, ..., ck; (0, 0, 1) without a filter
  bool filtered = false;
  int64_t tokens = 0;
  double token_similarity = 0;
};

struct Diagnosis {
  int64_t samples = 0;
  std::vector<LayerDiagnosis> layers;
  std::vector<double> singular_values;  // min(N, C) of them
};

// qkv: [N, 3 C] row-major of one picture; coefficients: (cu, c0, ..., ck).
FrequencyResponse frequency_response(const std::vector<double>& qkv, int64_t tokens, int64_t heads, int64_t head,
                                     const std::vector<double>& coefficients);
// x: [N, C] row-major.
double mean_token_similarity(const std::vector<double>& x, int64_t tokens);
std::vector<double> normalised_singular_values(const std::vector<double>& x, int64_t tokens);

// images f32 [B, C, H, W], B >= 1. A model whose forward() does not fill Diagnostics is bad input; `name` is what the
// message calls it.
Diagnosis diagnose(const ImageModel& model, const Tensor& images, const ForwardContext& context,
                   const std::string& name = "the model");

// `count` pictures (or all, if there are fewer), evenly spaced over a split, as evaluation sees them: [count, C, H, W].
Tensor sample_images(data::BatchMaker& batches, int64_t count);

// Into the folder, made if absent: frequency_response, token_similarity, singular_values and coefficients, each as .csv
// and .png (coefficients.png only if any are learned). learned: names and [H] tensors, ImageModel::coefficients().
// Returns the paths.
std::vector<std::string> save_diagnosis(Env& env, const std::string& folder, const Diagnosis& diagnosis,
                                        const std::vector<std::pair<std::string, Tensor>>& learned);

}  // namespace gfsa::tasks
