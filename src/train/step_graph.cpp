#include "train/step_graph.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"

namespace gfsa::train {

StepGraph::StepGraph(Device device, bool enabled) : device_(device) {
  if (enabled && device.type != DeviceType::cpu) runtime_ = &dynamic_cast<DeviceRuntime&>(backend(device));
}

StepGraph::~StepGraph() { drop(); }

StepGraph::Layout StepGraph::layout_of(const data::Batch& batch) {
  Layout layout{.size = batch.size, .names = batch.names(), .dtypes = {}, .shapes = {}};
  for (const auto& [name, tensor] : batch.tensors) {
    layout.dtypes.push_back(tensor.dtype());
    layout.shapes.push_back(tensor.shape());
  }
  return layout;
}

void StepGraph::begin_step(const std::vector<data::Batch>& batches, double normalizer) {
  if (runtime_ == nullptr) return;
  std::vector<Layout> step;
  for (const auto& batch : batches) step.push_back(layout_of(batch));
  like_the_last_ = step == step_ && normalizer == normalizer_;
  if (!like_the_last_) drop();
  replays_ = !graphs_.empty();
  step_ = std::move(step);
  normalizer_ = normalizer;
}

void StepGraph::run(size_t i, const data::Batch& delivered, const std::function<void(const data::Batch&)>& queue) {
  if (!like_the_last_) return queue(delivered);
  const Piece piece{i == 0, i + 1 == step_.size(), step_[i]};
  const data::Batch& batch = input(piece.layout, delivered);
  auto graph = std::find_if(graphs_.begin(), graphs_.end(), [&](const auto& entry) { return entry.first == piece; });
  if (graph == graphs_.end()) {
    try {
      graphs_.emplace_back(piece, record(batch, queue));
    } catch (const Error& e) {
      log::warn("a step cannot be recorded as a graph, so steps run without (as with graph: off): {}", e.message());
      drop();
      runtime_ = nullptr;
      like_the_last_ = false;
      return queue(delivered);
    }
    graph = std::prev(graphs_.end());
  }
  runtime_->launch(graph->second, {});
  if (piece.last && replays_) ++replayed_steps_;
}

const data::Batch& StepGraph::input(const Layout& layout, const data::Batch& delivered) {
  auto found = std::find_if(inputs_.begin(), inputs_.end(), [&](const auto& entry) { return entry.first == layout; });
  if (found == inputs_.end()) {
    data::Batch own = delivered;
    for (auto& [name, tensor] : own.tensors) tensor = Tensor::empty(tensor.shape(), tensor.dtype(), device_);
    found = inputs_.insert(found, {layout, std::move(own)});
  }
  for (size_t t = 0; t < delivered.tensors.size(); ++t) {
    const Tensor &from = delivered.tensors[t].second, &to = found->second.tensors[t].second;
    runtime_->copy_async(Transfer::on_device, to.raw(), from.raw(), from.bytes(), {});
  }
  return found->second;
}

Graph StepGraph::record(const data::Batch& batch, const std::function<void(const data::Batch&)>& queue) {
  if (!pool_) pool_ = std::make_unique<ArenaPool>(arena(device_));
  const ArenaPoolScope scope(*pool_);
  runtime_->begin_capture({});
  try {
    queue(batch);
    return runtime_->end_capture({});
  } catch (...) {
    runtime_->abandon_capture({});
    throw;
  }
}

void StepGraph::drop() {
  if (!pool_) return;
  runtime_->synchronize(Stream{});
  for (const auto& [piece, graph] : graphs_) runtime_->destroy(graph);
  graphs_.clear();
  inputs_.clear();
  pool_.reset();
}

}  // namespace gfsa::train
