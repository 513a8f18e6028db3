#include "train/run_config.h"

#include "base/error.h"

namespace gfsa::train {

void TrainConfig::describe(config::Schema& s) {
  s.field("epochs", epochs)
      .positive()
      .resume_may_change()
      .doc("Length of the run in passes over the data. Either this or steps must be given.");
  s.field("steps", steps)
      .positive()
      .resume_may_change()
      .doc("Length of the run in optimizer steps, instead of epochs.");
  s.field("batch_size", batch_size)
      .positive()
      .unit("samples")
      .doc("Samples of one forward and backward pass. One optimizer step sees batch_size * accumulate of them.");
  s.field("accumulate", accumulate)
      .positive()
      .unit("batches")
      .doc(
          "Batches whose gradients add up to one optimizer step: the same step as with one large batch, in less "
          "memory. "
          "An epoch's last step takes what is left.");
  s.field("log_every", log_every)
      .positive()
      .unit("steps")
      .resume_may_change()
      .doc("How often loss, learning rate and gradient norm go to metrics.jsonl and TensorBoard.");
  s.field("on_non_finite", on_non_finite)
      .choices({"stop", "skip", "rollback"})
      .resume_may_change()
      .doc(
          "What happens when loss or gradient of a step is not finite. stop: the run ends (exit code 1). skip: the "
          "step "
          "goes without its update. rollback: weights, optimizer and averages of the last periodic or best checkpoint "
          "(step 0 has one then), data go on behind the step. A report goes to non_finite/ in every case. An update "
          "that itself overflows cannot be skipped: skip stops there.")
      .source("rollback: PaLM, arXiv 2204.02311, section 5.1");
  s.field("non_finite_limit", non_finite_limit)
      .positive()
      .resume_may_change()
      .doc(
          "So many such steps in a row end the run anyway. rollback: since the last checkpoint that had good steps "
          "before it.");
  clip.describe(s);
  s.section("ema", ema, "Exponential moving average of the weights, which evaluation can use (eval.ema).");
  s.check(
      epochs.has_value() != steps.has_value(), "epochs",
      fmt::format("exactly one of train.epochs and train.steps must be given, {}", epochs ? "both are" : "neither is"));
}

void EvalConfig::describe(config::Schema& s) {
  s.field("every_epochs", every_epochs)
      .at_least(0)
      .unit("epochs")
      .resume_may_change()
      .doc("How often the model is evaluated; 0: only at the end. The end of a run always is.");
  s.field("every_steps", every_steps)
      .positive()
      .unit("steps")
      .resume_may_change()
      .doc("As well, or instead of epochs, every so many steps.");
  s.field("batch_size", batch_size)
      .positive()
      .unit("samples")
      .resume_may_change()
      .doc("Samples of an evaluation batch; train.batch_size unless given. Results do not depend on it.");
  s.field("split", split)
      .not_empty()
      .resume_may_change()
      .doc("Which part of the data is evaluated: val and train stand for data.val_split and data.train_split.");
  s.field("ema", ema).resume_may_change().doc("Evaluate the averaged weights (train.ema) instead of the trained ones.");
}

void CheckpointConfig::describe(config::Schema& s) {
  s.field("every_epochs", every_epochs)
      .at_least(0)
      .unit("epochs")
      .resume_may_change()
      .doc("How often a checkpoint is written; 0: only at the end, and when a signal asks for it.");
  s.field("every_steps", every_steps)
      .positive()
      .unit("steps")
      .resume_may_change()
      .doc("As well, or instead of epochs, every so many steps.");
  s.field("keep_last", keep_last).positive().resume_may_change().doc("How many of the newest checkpoints are kept.");
  s.field("keep_best", keep_best)
      .resume_may_change()
      .doc(
          "Write a checkpoint after each evaluation that is the best so far, and keep the best one whatever keep_last "
          "says.");
}

namespace {

// Of a device's name; whether it is there is judged before it is used (apply_machine_settings).
std::string problem_of_device(const std::string& name) {
  try {
    parse_device(name);
  } catch (const Error& e) {
    return e.message().substr(std::string("device: ").size());
  }
  return "";
}

}  // namespace

RunConfig::RunConfig(const config::Registry<Task>& all) : tasks(all), task(all.make(all.names().at(0))) {}

void RunConfig::describe(config::Schema& s) {
  s.variant("task", task, tasks, "Kind of experiment.");
  s.section("optimizer", optimizer, "Update rule and its parameter groups.");
  s.section("schedule", schedule, "Learning rate over the run.");
  s.section("train", train, "Length, batches, clipping, averaging.");
  s.section("eval", eval, "Evaluation during the run.");
  s.section("checkpoint", checkpoint, "What is written to go on from.");
  s.field("init_from", init_from)
      .path()
      .doc(
          "A safetensors file whose weights the run starts from, by timm's or Hugging Face's names; null: they are "
          "drawn "
          "from the seed, or model.pretrained's.");
  s.field("init_optional", init_optional)
      .doc("Name patterns of parameters that init_from may lack and that are drawn then (\"*.wK\", \"head.*\").");
  s.field("seed", seed).at_least(0).doc("Keys every random number: initial weights, order, augmentation, dropout.");
  s.field("precision", precision)
      .choices({"f32", "bf16"})
      .doc("Type of activations in matrix products; weights, norms, softmax and loss stay f32.");
  s.field("tf32", tf32)
      .doc(
          "On a GPU, let the f32 matrix products of linear layers round what they multiply to TF32 (10 bits of "
          "mantissa) for tensor cores.");
  s.field("device", device)
      .not_empty()
      .resume_may_change()
      .doc(
          "Where the model lives and is computed: cpu, cuda or cuda:N (a GPU; gfsa-train --devices lists what is "
          "there), or emulated (GPU kernels checked on the CPU, for developers; slow). A checkpoint of one device goes "
          "on on any other; the first weights, the data and every random number are the same, sums differ in their "
          "last bits.");
  const std::string problem = problem_of_device(device);
  s.check(problem.empty(), "device", problem);
  s.field("graph", graph)
      .choices({"auto", "off"})
      .resume_may_change()
      .doc(
          "On a GPU, record what a step does as a CUDA graph and replay it while batches stay as large as they are: "
          "the "
          "same bits with less work for the host, for one more batch of memory. auto: where a step can be recorded; "
          "off: never.");
  s.field("threads", threads)
      .in(0, 1024)
      .resume_may_change()
      .doc(
          "CPU threads of the kernels; 0: one a core that the process may use. Data workers come on top "
          "(data.workers).");
  s.field("deterministic", deterministic)
      .doc("Two runs are equal bit for bit on the same machine and device. All kernels of ours are.");
  s.field("run_dir", run_dir)
      .resume_may_change()
      .doc("Folder for everything that the run leaves behind; runs/<name of the YAML file> unless given.");
  s.check(!eval.ema || train.ema.decay.has_value(), "eval.ema", "needs train.ema.decay");
}

ForwardContext RunConfig::evaluation_context() const {
  ForwardContext c;
  c.compute = compute();
  c.device = placement();
  return c;
}

}  // namespace gfsa::train
