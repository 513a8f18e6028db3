// task.h -- one kind of experiment, as the trainer sees it: it binds data, model, loss and metrics. The trainer knows
// nothing else of them; a new domain is a new Task.
#pragma once

#include <map>
#include <memory>
#include <optional>
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
#include "train/evaluation.h"

namespace gfsa::train {

// Files that belong to weights and stand beside them, in every checkpoint and in the run directory: names without
// folders, and contents.
using Companions = std::map<std::string, std::string>;

// Weights that were stored, for a task that is to evaluate them.
struct StoredWeights {
  const std::map<std::string, Tensor>& tensors;
  std::string source;  // the file, for messages
};

// Where a model starts from, if not from random numbers.
struct InitialWeights {
  std::string file;  // safetensors
  ParameterStore::LoadOptions options;
};

struct PredictRequest {
  std::string input, output;  // a file (or a split's name); the file to write
  std::string weights;        // for the output's metadata
  int64_t batch_size = 32;
};

struct GenerateRequest {
  std::vector<std::string> prompts = {};
  int64_t max_tokens = 100;
  double temperature = 1;         // 0: always the most probable token
  int64_t top_k = 0;              // of so many most probable tokens; 0: of all
  double top_p = 1;               // of the fewest tokens that have this share of the probability
  double repetition_penalty = 1;  // above 1: tokens that stand in the text already become less probable
  uint64_t seed = 0;
};

struct Generated {
  std::vector<std::string> texts;  // the continuation of each prompt
  // What went through the model and how long that took: the prompts, up to the first new tokens, and then the new
  // tokens, one of each text at a time (each text's last one does not come to that).
  struct Part {
    int64_t tokens = 0;
    double seconds = 0;
    double per_second() const { return seconds > 0 ? static_cast<double>(tokens) / seconds : 0; }
  };
  Part prompts, steps;
};

class Task {
 public:
  virtual ~Task() = default;

  // The sections of the YAML that are this task's: model, attention, data, augment, eval.
  virtual void describe(config::Schema& s) = 0;
  // Opens the data, completes the model's configuration from it, declares all parameters in `store` (which outlives the
  // task). seed keys every random number of data order and augmentation.
  virtual void build(ParameterStore& store, uint64_t seed, int64_t batch_size) = 0;

  // The model alone, for weights that are given; opens no data. What the configuration leaves to the data is completed
  // from the tensors.
  virtual void build_model(ParameterStore& store, const StoredWeights& weights) = 0;

  // Training samples: how batches are made, and in which order they come (a pure function of seed and epoch).
  virtual data::BatchMaker& train_batches() = 0;
  virtual std::unique_ptr<data::BatchOrder> train_order() const = 0;
  virtual const data::LoaderConfig& loader_config() const = 0;
  // Memory that decoded samples will take as the run goes on (data.cache_mb).
  virtual uint64_t cache_bytes() const { return 0; }
  // Evaluation samples, in order; `split` is "val" unless the user asks for another one.
  virtual std::unique_ptr<data::BatchMaker> eval_batches(const std::string& split) = 0;

  // How many items of a batch (on the CPU) the loss is a mean over: its samples, or the tokens that are predicted.
  virtual int64_t counted_items(const data::Batch& batch) const { return batch.size; }
  // batch: on c.device. Scalar loss in f32, differentiable: the sum over the batch's counted items divided by
  // `normalizer` (counted items of the whole optimizer step), so that accumulation over micro-batches adds up to one
  // large batch.
  virtual Tensor loss(const data::Batch& batch, const ForwardContext& c, double normalizer) = 0;
  virtual std::unique_ptr<Evaluation> evaluation() = 0;
  // Evaluation's batches begin at multiples of this many samples, so that a task can compute in blocks of one size.
  virtual int64_t evaluation_block() const { return 1; }
  // Which figure decides about the best checkpoint ("top1"), and whether more of it is better.
  virtual std::pair<std::string, bool> primary_metric() const = 0;

  // Names of the files that this task keeps beside its weights; the files themselves, once it is built; and those that
  // a checkpoint was written with, before it is built: bad input, naming `folder`, if the configuration asks for
  // others.
  virtual std::vector<std::string> companion_names() const { return {}; }
  virtual Companions companions() const { return {}; }
  virtual void use_companions(const Companions& stored, const std::string& folder) { (void)stored, (void)folder; }

  // Weights that a fresh run starts from (init_from goes before them).
  virtual std::optional<InitialWeights> initial_weights() const { return std::nullopt; }
  // Adapts stored tensors before their shapes are judged (position embeddings); see ParameterStore::LoadOptions.
  virtual ParameterStore::LoadOptions load_options() const { return {}; }
  // Learned filter coefficients, logged per layer and head: names and [H] tensors.
  virtual std::vector<std::pair<std::string, Tensor>> coefficients() const { return {}; }
  // FLOPs of one training sample's forward pass (matrix products); 0 if unknown.
  virtual double forward_flops() const = 0;
  // Rows of text for --dry-run: which attention implementation serves on the device, and why the others do not.
  virtual std::vector<std::string> report(Device) const { return {}; }
  // For tables: "vit, depth 5"; "gfsa, layers even".
  virtual std::string model_text() const = 0;
  virtual std::string attention_text() const = 0;
  // Identifies the training data in environment.json.
  virtual std::string data_fingerprint() const = 0;
  virtual std::string data_summary() const = 0;
  // --show-batch: writes a picture of an augmented batch, or its texts.
  virtual void show(const data::Batch& batch, const std::string& path) = 0;

  // What gfsa-eval can do beside evaluating; a model must be built and its weights loaded. A task that has no such
  // thing leaves it, and it is bad input.
  // --predict: from one file, or a split's name, to another file. Returns a line for people.
  virtual std::string predict(const PredictRequest& request, const ForwardContext& c, Env& env);
  // --diagnose: looks at `samples` samples of a split and writes into the folder. Returns the paths.
  virtual std::vector<std::string> diagnose(const std::string& split, int64_t samples, const std::string& folder,
                                            const ForwardContext& c, Env& env);
  // --generate
  virtual Generated generate(const GenerateRequest& request, const ForwardContext& c);
};

}  // namespace gfsa::train
