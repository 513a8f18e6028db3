#include "train/dry_run.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/strings.h"
#include "core/arena.h"
#include "train/checkpoint/writer.h"
#include "train/evaluate.h"
#include "train/memory_estimate.h"
#include "train/run_directory.h"
#include "train/session.h"

namespace gfsa::train {
namespace {

void print_row(const std::string& name, const std::string& value) {
  std::printf("%-28s %s\n", name.c_str(), value.c_str());
}

// One line a top-level part; blocks folded together.
void print_model(const ParameterStore& store) {
  struct Part {
    std::string name;
    int64_t tensors = 0, elements = 0;
  };
  std::vector<Part> parts;
  for (const auto& p : store.parameters()) {
    std::string name = p.name.substr(0, p.name.find('.'));
    if (name == "blocks") {
      const size_t number_end = p.name.find('.', 7);
      name = "blocks.*" + p.name.substr(number_end, p.name.find('.', number_end + 1) - number_end);
    }
    auto it = std::find_if(parts.begin(), parts.end(), [&](const Part& part) { return part.name == name; });
    if (it == parts.end()) it = parts.insert(parts.end(), Part{name});
    it->tensors += 1;
    it->elements += p.shape.numel();
  }
  std::printf("%-28s %8s %14s\n", "part", "tensors", "parameters");
  for (const auto& part : parts)
    std::printf("%-28s %8s %14s\n", part.name.c_str(), std::to_string(part.tensors).c_str(),
                human_count(part.elements).c_str());
  std::printf("%-28s %8s %14s\n\n", "all", std::to_string(store.parameters().size()).c_str(),
              human_count(store.count()).c_str());
}

// A folder that goes away with the object.
struct TemporaryFolder {
  std::string path = (std::filesystem::temp_directory_path() / "gfsa-dry-run-XXXXXX").string();
  TemporaryFolder() {
    if (::mkdtemp(path.data()) == nullptr) fail("{}: cannot be made: {}", path, std::strerror(errno));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

void write_checkpoint(const Session& session, CheckpointWriter& writer) {
  writer.begin(session.snapshot(""), {});
  const auto outcome = writer.take(true);
  if (outcome->path.empty()) fail("dry run: a checkpoint cannot be written: {}", outcome->problem);
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(outcome->path)) bytes += entry.file_size();
  print_row("one checkpoint", human_bytes(static_cast<double>(bytes)));
}

}  // namespace

int dry_run(RunConfig& config) {
  Session session(config);
  print_model(session.store);
  for (const auto& line : config.task->report(config.placement())) std::printf("%s\n", line.c_str());
  print_row("data", config.task->data_summary());
  print_row("steps",
            fmt::format("{} of {} samples, {} an epoch", human_count(session.total_steps()),
                        config.train.batch_size * config.train.accumulate, human_count(session.steps_per_epoch())));
  const auto eval_set = config.task->eval_batches(config.eval.split);
  const MemoryEstimate estimate = estimate_memory(session, *eval_set);
  require_memory(estimate, process_memory(), available_memory(), available_memory(config.placement()));
  const TemporaryFolder folder;
  CheckpointStore checkpoints(Env::real(), folder.path);
  CheckpointWriter writer(Env::real(), checkpoints, 1);
  // First if the run's steps have the checkpoint's copy beside them, so that memory is as there.
  if (estimate.snapshot_stays) write_checkpoint(session, writer);
  const auto batches = session.next_batches();
  const double start = monotonic_seconds();
  const auto figures = session.step_on(batches);
  print_row("one step", fmt::format("loss {:.4f}, gradient norm {:.3g}, {}", figures.loss, figures.grad_norm,
                                    human_seconds(monotonic_seconds() - start)));
  const auto one_batch = [asked = 0]() mutable { return asked++ > 0; };
  const auto run = evaluate(*config.task, *eval_set, config.eval.batch_size.value_or(config.train.batch_size),
                            config.evaluation_context(), one_batch);
  print_row("one evaluation batch", to_text(run.metrics));
  if (!estimate.snapshot_stays) write_checkpoint(session, writer);
  std::fputs(
      memory_table(estimate, arena({}).figures().peak, process_memory().peak, arena(config.placement()).figures().peak)
          .c_str(),
      stdout);
  print_row("run directory", config.run_dir);
  for (const auto& [name, value] : run.metrics) {
    if (!std::isfinite(value)) fail("dry run: after one step the evaluation's {} is {}", name, value);
  }
  if (RunDirectory(Env::real(), config.run_dir).holds_run()) {
    bad_input("dry run: all well but run_dir: {} holds a run already; continue it with --resume, or set run_dir",
              config.run_dir);
  }
  std::printf("dry run: all well, nothing left behind\n");
  return kExitDone;
}

int show_batch(RunConfig& config, const std::string& png_path) {
  Session session(config);
  config.task->show(session.next_batches().front(), png_path);
  std::printf("%s\n", png_path.c_str());
  return kExitDone;
}

}  // namespace gfsa::train
