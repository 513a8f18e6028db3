// clipping.h -- the gradient's norm in one pass, and what clipping makes of it. The gradients themselves are not
// touched: the factor goes into the optimizer's pass.
#pragma once

#include <optional>
#include <vector>

#include "config/schema.h"
#include "optim/optimizer.h"
#include "params/parameters.h"

namespace gfsa {

// L2 norm over all of a contiguous f32 or f64 tensor (on a GPU f32); infinite or NaN exactly if an element is (or if
// f64 squares overflow). f64 sums over blocks of 8192 elements, added in an order that depends on the length alone: the
// same bits for any number of threads. Reads each element once. Waits for a GPU.
double l2_norm(const Tensor& flat);

// Keys beside the others of section `train`.
struct ClipConfig {
  std::optional<double> clip_norm, clip_value;

  void describe(config::Schema& s);
};

// The losses of a step's batches, added up in f64 where they live. Does not wait for a GPU.
class LossSum {
 public:
  explicit LossSum(Device device) : sum_(Tensor::zeros({1}, DType::f64, device)) {}
  void add(const Tensor& loss);  // a scalar
  const Tensor& sum() const { return sum_; }

 private:
  Tensor sum_;
};

class ClipResult {
 public:
  GradientScale scale;  // for Optimizer::step and Ema::update, which change nothing if norm or loss are not finite

  // The first of these to be called waits for a GPU; `scale` can go into a step before that.
  double norm() const;   // of the gradients times clip's factor, before clipping
  double loss() const;   // what clip() was given, else 0
  bool finite() const;   // both are
  bool clipped() const;  // by norm

 private:
  friend ClipResult clip(const ParameterStore& store, const ClipConfig& config, double factor, const Tensor& loss);
  const std::vector<double>& figures() const;
  Tensor figures_;  // ClipKernels
  double clip_norm_ = 0, factor_ = 1;
  mutable std::vector<double> read_;
};

// factor: what every gradient is to be multiplied by beforehand (1 / accumulated batches, 1 / loss scale). By norm as
// torch.nn.utils.clip_grad_norm_: factor min(1, clip_norm / (norm + 1e-6)); by value as clip_grad_value_, after it.
// loss: LossSum::sum(). Does not wait for a GPU.
ClipResult clip(const ParameterStore& store, const ClipConfig& config, double factor = 1, const Tensor& loss = {});

}  // namespace gfsa
