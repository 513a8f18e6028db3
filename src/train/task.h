// task.h -- one kind of experiment, as the trainer sees it: it binds data, model, loss and metrics. The trainer knows
// nothing else of them; a new domain is a new Task.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "data/batch.h"
#include "data/loader/batch_maker.h"
#include "data/loader/loader.h"
#include "data/loader/order.h"
#include "params/forward_context.h"
#include "params/parameters.h"

namespace gfsa::train {

// Named figures in the order of printing.
using Metrics = std::vector<std::pair<std::string, double>>;

// Collects figures over the samples of an evaluation. Sums are kept in f64 in sample order, so that they depend neither
// on the batch size nor on the padding of the last batch.
class Evaluation {
 public:
  virtual ~Evaluation() = default;
  // The batch lies on the CPU; what the model is to see must be brought to c.device (in blocks, if it is large). The
  // first `real` samples count; the others are padding.
  virtual void add(const data::Batch& batch, int64_t real, const ForwardContext& c) = 0;
  virtual Metrics result() const = 0;
};

class Task {
 public:
  virtual ~Task() = default;

  // The sections of the YAML that are this task's: model, attention, data, augment, eval.
  virtual void describe(config::Schema& s) = 0;
  // Opens the data, completes the model's configuration from it, declares all parameters in `store` (which outlives the
  // task). seed keys every random number of data order and augmentation.
  virtual void build(ParameterStore& store, uint64_t seed, int64_t batch_size) = 0;

  // Training samples: how batches are made, and in which order they come (a pure function of seed and epoch).
  virtual data::BatchMaker& train_batches() = 0;
  virtual std::unique_ptr<data::BatchOrder> train_order() const = 0;
  virtual const data::LoaderConfig& loader_config() const = 0;
  // Memory that decoded samples will take as the run goes on (data.cache_mb).
  virtual uint64_t cache_bytes() const { return 0; }
  // Evaluation samples, in order; `split` is "val" unless the user asks for another one.
  virtual std::unique_ptr<data::BatchMaker> eval_batches(const std::string& split) = 0;

  // batch: on c.device. Scalar loss in f32, differentiable: the sum over the batch's counted items divided by
  // `normalizer` (samples of the whole optimizer step), so that accumulation over micro-batches adds up to one large
  // batch.
  virtual Tensor loss(const data::Batch& batch, const ForwardContext& c, double normalizer) = 0;
  virtual std::unique_ptr<Evaluation> evaluation() = 0;
  // Evaluation's batches begin at multiples of this many samples, so that a task can compute in blocks of one size.
  virtual int64_t evaluation_block() const { return 1; }
  // Which figure decides about the best checkpoint ("top1"), and whether more of it is better.
  virtual std::pair<std::string, bool> primary_metric() const = 0;

  // Adapts stored tensors before their shapes are judged (position embeddings); see ParameterStore::LoadOptions.
  virtual ParameterStore::LoadOptions load_options() const { return {}; }
  // Learned filter coefficients, logged per layer and head: names and [H] tensors.
  virtual std::vector<std::pair<std::string, Tensor>> coefficients() const { return {}; }
  // FLOPs of one training sample's forward pass (matrix products); 0 if unknown.
  virtual double forward_flops() const = 0;
  // Rows of text for --dry-run: which attention implementation serves on the device, and why the others do not.
  virtual std::vector<std::string> report(Device) const { return {}; }
  // Identifies the training data in environment.json.
  virtual std::string data_fingerprint() const = 0;
  virtual std::string data_summary() const = 0;
  // --show-batch: writes a picture of an augmented batch.
  virtual void show(const data::Batch& batch, const std::string& png_path) = 0;
};

}  // namespace gfsa::train
