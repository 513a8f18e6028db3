// ema.h -- an exponential moving average of all parameters, in one flat buffer laid out as the store's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "core/step_table.h"
#include "optim/ema_kernels.h"
#include "optim/optimizer.h"
#include "params/parameters.h"

namespace gfsa {

// The config's section `train.ema`; off while decay is null.
struct EmaConfig {
  std::optional<double> decay;
  bool warmup = false;

  void describe(config::Schema& s);
  // The decay used after optimizer step `step` (1 after the first). Without warm-up always `decay` (timm ModelEmaV2);
  // with it min(decay, 1 - (1 + s)^(-2/3)) for s = step - 1 (timm ModelEmaV3), so that the start is forgotten at once.
  double decay_at(int64_t step) const;
};

class Ema {
 public:
  // Starts from the store's values. The store must be materialized and outlive this.
  Ema(const ParameterStore& store, const EmaConfig& config);
  Ema(const Ema&) = delete;
  Ema& operator=(const Ema&) = delete;

  // average = d average + (1 - d) value, d = decay_at(step). One pass: reads both, writes the average.
  // scale: what the optimizer's step was given; if it is NaN, neither changes anything.
  void update(int64_t step, const GradientScale& scale = {});
  // Its two parts; on a GPU the second one can be captured in a graph and run again, as Optimizer::apply_step.
  void begin_update(int64_t step);
  void apply_update(const GradientScale& scale);
  // Forgets: the average is the store's values again (after weights were loaded).
  void reset();

  // Live views of the average under the parameters' names; a safetensors file of them is a model's weights.
  std::vector<std::pair<std::string, Tensor>> state() const;
  // All of it, laid out as the store's flat buffers.
  const Tensor& flat() const { return average_; }
  // Strict: one bad-input error lists all that is missing, unexpected or misshapen. Converts dtypes.
  void load_state(const std::map<std::string, Tensor>& tensors, const std::string& source);

 private:
  friend class EmaWeights;
  void swap();
  void require_not_swapped(const char* what) const;

  const ParameterStore& store_;
  EmaConfig config_;
  Tensor average_;
  EmaStep now_{};  // since begin_update
  StepTable table_;
  bool swapped_ = false;
};

// While one of these lives, the store holds the averaged weights (and Ema the trained ones): evaluation sees them
// through every handle, without copies of the model. One at a time; nothing may train meanwhile.
class EmaWeights {
 public:
  explicit EmaWeights(Ema& ema);
  ~EmaWeights();
  EmaWeights(const EmaWeights&) = delete;
  EmaWeights& operator=(const EmaWeights&) = delete;

 private:
  Ema& ema_;
};

}  // namespace gfsa
