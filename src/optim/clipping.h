// clipping.h -- the gradient's norm in one pass, and what clipping makes of it. The gradients themselves are not
// touched: the factor goes into the optimizer's pass.
#pragma once

#include <optional>

#include "config/schema.h"
#include "optim/optimizer.h"
#include "params/parameters.h"

namespace gfsa {

// L2 norm over all of a contiguous f32 or f64 tensor; infinite or NaN exactly if an element is (or if f64 squares
// overflow). f64 sums over blocks of 8192 elements, added in order: the same bits for any number of threads. Reads each
// element once.
double l2_norm(const Tensor& flat);

// Keys beside the others of section `train`.
struct ClipConfig {
  std::optional<double> clip_norm, clip_value;

  void describe(config::Schema& s);
};

struct ClipResult {
  double norm = 0;       // of the gradients times `factor`, before clipping
  bool finite = true;    // if not, the step must be skipped or the run stopped: `scale` is of no use
  bool clipped = false;  // by norm
  GradientScale scale;   // for Optimizer::step
};

// factor: what every gradient is to be multiplied by beforehand (1 / accumulated batches, 1 / loss scale). By norm as
// torch.nn.utils.clip_grad_norm_: factor min(1, clip_norm / (norm + 1e-6)); by value as clip_grad_value_, after it.
ClipResult clip(const ParameterStore& store, const ClipConfig& config, double factor = 1);

}  // namespace gfsa
