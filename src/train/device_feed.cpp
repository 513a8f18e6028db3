#include "train/device_feed.h"

#include <cstring>
#include <string>

namespace gfsa::train {
namespace {

constexpr size_t kAlignment = 256;
size_t padded(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// The tensor of that name if it can hold a copy of `like`.
const Tensor* find_room(const data::Batch& batch, const std::string& name, const Tensor& like) {
  if (!batch.has(name)) return nullptr;
  const Tensor& t = batch.at(name);
  return t.dtype() == like.dtype() && t.shape() == like.shape() ? &t : nullptr;
}

}  // namespace

DeviceFeed::DeviceFeed(Device device) : device_(device) {
  if (device.type == DeviceType::cpu) return;
  runtime_ = &dynamic_cast<DeviceRuntime&>(backend(device));
  stream_ = runtime_->create_stream();
  for (Slot& slot : slots_) slot.arrived = runtime_->create_event(), slot.used = runtime_->create_event();
}

DeviceFeed::~DeviceFeed() {
  if (runtime_ == nullptr) return;
  runtime_->destroy(stream_);  // waits for its copies
  for (Slot& slot : slots_) {
    if (slot.pinned != nullptr) runtime_->release_pinned(slot.pinned);
    runtime_->destroy(slot.arrived);
    runtime_->destroy(slot.used);
  }
}

void DeviceFeed::in_use_until_now() {
  if (delivered_ == nullptr) return;
  runtime_->record(delivered_->used, {});
  delivered_->source = {};
  delivered_ = nullptr;
}

void DeviceFeed::prefetch(const data::Batch& batch) {
  if (runtime_ == nullptr || batch.tensors.empty()) return;
  in_use_until_now();
  Slot& slot = slots_[next_];
  next_ = (next_ + 1) % slots_.size();
  slot.source = {};  // holds nothing if what follows fails
  fill(slot, batch);
  slot.source = batch.tensors.front().second;
}

void DeviceFeed::fill(Slot& slot, const data::Batch& batch) {
  size_t bytes = 0;
  for (const auto& entry : batch.tensors) bytes += padded(entry.second.bytes());
  runtime_->synchronize(slot.arrived);  // the copy before, of two batches ago
  if (slot.pinned_bytes < bytes) {
    if (slot.pinned != nullptr) runtime_->release_pinned(std::exchange(slot.pinned, nullptr));
    slot.pinned_bytes = 0;
    slot.pinned = runtime_->allocate_pinned(bytes);
    slot.pinned_bytes = bytes;
  }
  data::Batch there = batch;
  bool fresh = false;
  for (auto& [name, tensor] : there.tensors) {
    const Tensor* room = find_room(slot.batch, name, tensor);
    fresh = fresh || room == nullptr;
    tensor = room != nullptr ? *room : Tensor::empty(tensor.shape(), tensor.dtype(), device_);
  }
  // The arena may have given out memory that queued work still uses.
  if (fresh) runtime_->record(slot.used, {});
  runtime_->wait(stream_, slot.used);
  size_t at = 0;
  for (size_t i = 0; i < batch.tensors.size(); ++i) {
    const Tensor from = batch.tensors[i].second.contiguous();
    char* staged = static_cast<char*>(slot.pinned) + at;
    at += padded(from.bytes());
    if (from.bytes() == 0) continue;
    std::memcpy(staged, from.raw(), from.bytes());
    runtime_->copy_async(Transfer::to_device, there.tensors[i].second.raw(), staged, from.bytes(), stream_);
  }
  runtime_->record(slot.arrived, stream_);
  slot.batch = std::move(there);
}

data::Batch DeviceFeed::deliver(const data::Batch& batch) {
  if (runtime_ == nullptr) return batch;
  in_use_until_now();
  for (Slot& slot : slots_) {
    if (!slot.source || batch.tensors.empty() || !slot.source.shares_storage_with(batch.tensors.front().second))
      continue;
    runtime_->wait({}, slot.arrived);
    delivered_ = &slot;
    return slot.batch;
  }
  return batch.to(device_);
}

}  // namespace gfsa::train
