// step_graph.h -- what a step gives a GPU to do, recorded once as graphs and run again: the host then launches a few
// graphs in place of thousands of kernels.
//
// A step comes in pieces, one a batch. One that is like the step before it (batches as large, as many items in the
// loss's mean) is recorded, piece by piece; those that follow and are like it are replayed. Any other step runs as it
// is given, and what was recorded is dropped: never is there memory for both. A recorded piece reads its batch from
// tensors of the graph's own and everything else from where it lay; what changes from step to step must come through a
// StepTable.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/arena.h"
#include "core/cuda/runtime.h"
#include "data/batch.h"

namespace gfsa::train {

class StepGraph {
 public:
  // Without `enabled`, and on the CPU, every step runs as it is given.
  StepGraph(Device device, bool enabled);
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  // Ahead of a step: its batches, on any device, and what else an argument of a kernel depends on.
  void begin_step(const std::vector<data::Batch>& batches, double normalizer);
  // Piece i of n of the step that has begun. queue(batch): gives the current stream its work, and waits for nothing; it
  // is not called where that work is replayed, so all else that it does must hold for the steps to come. Memory that it
  // keeps is the graph's until drop(). delivered: the piece's batch on the device, as begin_step() saw it.
  // A piece that cannot be recorded, as it waits for the device, runs as it is given; a warning says so, once, and
  // nothing is recorded any more.
  void run(size_t i, const data::Batch& delivered, const std::function<void(const data::Batch&)>& queue);
  // Gives the memory back, before others take much on the device; the next step that is like the last one is recorded
  // again. Waits for the work.
  void drop();
  int64_t replayed_steps() const { return replayed_steps_; }

 private:
  // All that queue() may depend on of a batch but its elements.
  struct Layout {
    int64_t size = 0;
    std::vector<std::string> names;
    std::vector<DType> dtypes;
    std::vector<Shape> shapes;
    bool operator==(const Layout&) const = default;
  };
  // Pieces between the first and the last one are alike.
  struct Piece {
    bool first = false, last = false;
    Layout layout;
    bool operator==(const Piece&) const = default;
  };
  static Layout layout_of(const data::Batch& batch);
  // A copy of the batch, at the same place each time.
  const data::Batch& input(const Layout& layout, const data::Batch& delivered);
  Graph record(const data::Batch& batch, const std::function<void(const data::Batch&)>& queue);

  Device device_;
  DeviceRuntime* runtime_ = nullptr;  // null: nothing is recorded
  std::vector<Layout> step_;          // batches of the step that has begun
  double normalizer_ = 0;
  bool like_the_last_ = false;  // it is recorded or replayed
  bool replays_ = false;
  int64_t replayed_steps_ = 0;
  std::unique_ptr<ArenaPool> pool_;
  std::vector<std::pair<Layout, data::Batch>> inputs_;
  std::vector<std::pair<Piece, Graph>> graphs_;
};

}  // namespace gfsa::train
