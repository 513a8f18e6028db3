// clipping.h -- the gradient's norm in one pass, and what clipping makes of it. The gradients themselves are not
// touched: the factor goes into the optimizer's pass.
#pragma once

#include <optional>

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

class ClipResult {
 public:
  GradientScale scale;  // for Optimizer::step

  // The first of these to be called waits for a GPU; `scale` can go into a step before that.
  double norm() const;   // of the gradients times clip's factor, before clipping
  bool finite() const;   // if not, `scale` is of no use on the CPU; on a GPU a step with it changes nothing
  bool clipped() const;  // by norm

 private:
  friend ClipResult clip(const ParameterStore& store, const ClipConfig& config, double factor);
  Tensor figures_;  // ClipKernels
  double clip_norm_ = 0, factor_ = 1;
  mutable std::optional<double> norm_;
};

// factor: what every gradient is to be multiplied by beforehand (1 / accumulated batches, 1 / loss scale). By norm as
// torch.nn.utils.clip_grad_norm_: factor min(1, clip_norm / (norm + 1e-6)); by value as clip_grad_value_, after it.
// Does not wait for a GPU.
ClipResult clip(const ParameterStore& store, const ClipConfig& config, double factor = 1);

}  // namespace gfsa
