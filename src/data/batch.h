// batch.h -- what a loader hands to a task: named tensors, whatever the domain. Loaders make them on the CPU.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace gfsa::data {

struct Batch {
  std::vector<std::pair<std::string, Tensor>> tensors;  // in the order in which they were set
  int64_t size = 0;                                     // samples
  int64_t epoch = 0, index = 0;                         // which batch of which epoch
  std::shared_ptr<void> scratch;  // the BatchMaker's own between allocate() and finish(); empty in a delivered batch

  bool has(const std::string& name) const { return find(name) != nullptr; }
  // Throws (exit code 1) naming the tensors that there are.
  const Tensor& at(const std::string& name) const;
  // Adds a tensor or replaces the one of that name.
  void set(const std::string& name, Tensor tensor);
  std::vector<std::string> names() const;
  // The same batch with its tensors on that device (those that are there already are shared, not copied).
  Batch to(Device device) const;

 private:
  const Tensor* find(const std::string& name) const;
};

}  // namespace gfsa::data
