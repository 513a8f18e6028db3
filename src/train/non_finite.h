// non_finite.h -- a step whose loss, gradient or update is not finite: which tensor was the first, of which op, in
// which layer, and on which samples. Found by running the step's forward and backward a second time under a
// TapeObserver, so that a run without such steps pays nothing for it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/error.h"
#include "core/tensor.h"
#include "data/batch.h"
#include "params/parameters.h"
#include "train/metrics.h"

namespace gfsa::train {

// A tensor with an element that is not finite.
struct NotFiniteTensor {
  std::string name;  // "the result", "the gradient of head.weight", "batch tensor images", "optimizer state exp_avg"
  Shape shape;
  DType dtype = DType::f32;
  std::vector<int64_t> index;  // of the first such element
  double value = 0;            // NaN, infinity or -infinity

  // "the result, f32 [8, 3], is nan at [2, 1]"
  std::string text() const;
};
// Nothing if all of t is finite. Waits for t's device.
std::optional<NotFiniteTensor> describe_not_finite(const std::string& name, const Tensor& t);

struct NonFinite {
  int64_t step = 0;   // number of the step: 1 is the first
  std::string phase;  // "forward", "backward" or "optimizer"
  // "linear"; the update rule's name in phase optimizer; "input" where the data are to blame; "" if the second run was
  // finite everywhere.
  std::string op;
  NotFiniteTensor tensor;
  bool inputs_finite = false;        // forward: every input of the op is finite, so it overflowed in there
  bool is_loss = false;              // forward: the tensor is the loss itself
  std::string parameter;             // nearest: the op's own, or the last that was used before it; "" if none
  bool parameter_is_input = false;   // it is the op's own
  int64_t batch = -1;                // which of the step's batches; -1: all of them (optimizer)
  std::optional<int64_t> sample;     // id of the sample that the element belongs to, where it belongs to one
  double loss = 0, grad_norm = 0;    // of the whole step
  std::vector<int64_t> sample_ids;   // of the whole step, in order
  int64_t batches = 0, samples = 0;  // of the step
  std::string layer() const;         // of `parameter`: "blocks.3.attn.qkv"
  std::string text() const;          // all of it in one sentence
};

// Thrown by Session::step (exit code 1).
class NonFiniteStep : public Error {
 public:
  NonFiniteStep(const std::string& message, NonFinite report)
      : Error(kExitFailed, message), report_(std::move(report)) {}
  const NonFinite& report() const { return report_; }

 private:
  NonFinite report_;
};

// Fills phase, op, tensor, parameter, batch and sample of a report whose loss or gradient norm is not finite.
// rerun(before) must run forward and backward of all batches as the step did, and call before(i) ahead of batch i.
using Rerun = std::function<void(const std::function<void(size_t)>& before)>;
void find_first_not_finite(const ParameterStore& store, const std::vector<data::Batch>& batches, const Rerun& rerun,
                           NonFinite& report);

// run_dir/non_finite/step-XXXXXXXX.json. Holds no time and nothing of the machine: a run that comes by again writes the
// same file. action: what was done about it ("stop", "skip", "rollback to step 30").
void write_report(Env& env, const std::string& run_dir, const NonFinite& report, const std::string& action);
// kind "non_finite": loss, grad_norm, and how many such steps there were in a row.
MetricsRow to_row(const NonFinite& report, double epoch, int64_t in_a_row);

}  // namespace gfsa::train
