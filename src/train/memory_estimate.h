// memory_estimate.h -- what a run will take at its peak, told before it takes it.
//
// Weights, gradients, optimizer, averages and the checkpoint's copy are counted to the byte. Activations are measured:
// forward and backward of two small batches of zeros through the task's own code, the arena's peak extrapolated
// linearly to the batch size (a step's live tensors are a fixed part plus a part for each sample). Weights, gradients,
// random numbers (functions of seed and position, core/philox.h) and the loader's position are as if nothing had been
// measured: the run that follows is the same bit for bit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "train/machine_memory.h"
#include "train/session.h"

namespace gfsa::train {

// Bytes.
struct MemoryEstimate {
  // Tensors, in the arena. If `device` names one with memory of its own, what the model computes with lies there:
  // weights, gradients, optimizer, average, activations (the batch's copy among them), the evaluation's forward.
  // Batches and the checkpoint's copy lie in the host's arena.
  std::string device = {};  // "cuda:0"; "": the CPU
  uint64_t weights = 0, gradients = 0, optimizer = 0, average = 0;
  uint64_t train_batches = 0;  // the step's and those that the loader makes ahead of it
  uint64_t activations = 0;    // of forward and backward, beside all of the above
  uint64_t eval_batches = 0;   // of an evaluation and its loader; the training loader's wait meanwhile
  uint64_t eval_forward = 0;
  // Of a device: a batch that is ahead of its step, there and, in train_batches, on the host. Two such pieces of memory
  // are kept there (train/device_feed.h); a step computes in one of them.
  uint64_t fed = 0;
  uint64_t graph = 0;            // of a device: the batch from which a recorded step reads (train/step_graph.h)
  uint64_t waiting_batches = 0;  // of train_batches: those that are in the loader during an evaluation
  uint64_t snapshot = 0;         // the checkpoint's copy of weights, optimizer and averages (train/checkpoint/writer.h)
  bool snapshot_stays = false;   // a checkpoint is due before the last step: the copy's memory stays beside training
  // Beside the arena.
  uint64_t process = 0;    // program, libraries, compiled kernels, data that are held in memory: measured
  uint64_t reserve = 0;    // what the arena takes from the system in whole segments beyond its live blocks
  uint64_t workers = 0;    // what the loader's threads have in hand
  uint64_t past_peak = 0;  // VmHWM before the estimate
  uint64_t cache = 0;      // decoded samples that data.cache_mb keeps

  // What it was made for.
  int64_t batch_size = 0, accumulate = 0, eval_batch_size = 0, prefetch = 0;

  uint64_t state() const { return weights + gradients + optimizer + average; }
  // The peak of the device's arena; 0 if it has no memory of its own.
  uint64_t device_peak() const {
    return device.empty() ? 0 : state() + fed + std::max(activations + graph, eval_forward + fed);
  }
  // In the host's arena, by what goes on.
  uint64_t on_host(uint64_t bytes) const { return device.empty() ? bytes : 0; }
  uint64_t standing() const { return on_host(state()) + (snapshot_stays ? snapshot : 0); }
  uint64_t training_peak() const { return standing() + train_batches + on_host(activations); }
  uint64_t evaluation_peak() const { return standing() + waiting_batches + eval_batches + on_host(eval_forward); }
  uint64_t checkpoint_peak() const { return on_host(state()) + waiting_batches + snapshot; }
  // The peak of the host's arena.
  uint64_t tensor_peak() const;
  // What the process will hold at most from here on.
  uint64_t coming_peak() const;
  // The process's peak (VmHWM): that, or what opening the data took for a moment.
  uint64_t process_peak() const;
};

// Before the first step: nothing but the state and the data has been taken yet. Bad input if even the small batches
// cannot fit.
MemoryEstimate estimate_memory(Session& session, data::BatchMaker& eval_batches);

// Bad input, with the numbers and what to lower, if `available` has no room for what the process does not hold yet.
// now: what it holds. on_device: what the estimate's device has left beside the state, which it holds already.
void require_memory(const MemoryEstimate& estimate, const ProcessMemory& now, const AvailableMemory& available,
                    const AvailableMemory& on_device = {});

// Before weights, gradients, optimizer and averages of the parameters declared in `store` are taken. available: on the
// run's device.
void require_memory_for_state(const ParameterStore& store, const RunConfig& config, const AvailableMemory& available);

// "1234.5 MiB"
std::string mebibytes(uint64_t bytes);
// Lines of two columns, estimated and measured, for a terminal. tensors (in the host's arena), process, on_device (in
// the device's arena): what was measured.
std::string memory_table(const MemoryEstimate& estimate, uint64_t tensors, uint64_t process, uint64_t on_device = 0);

}  // namespace gfsa::train
