// step_table.h -- the few numbers of a step that the host works out (the step's own number, a learning rate), where
// kernels read them: a captured graph keeps the arguments that its kernels were given, but reads memory anew.
//
// A table is refreshed through pinned memory, by a copy on the current stream: ahead of a graph, never within one.
#pragma once

#include <cstddef>
#include <memory>

#include "core/tensor.h"

namespace gfsa {

class StepTable {
 public:
  StepTable();                             // of 0 bytes
  StepTable(Device device, size_t bytes);  // a GPU
  ~StepTable();
  StepTable(StepTable&&) noexcept;
  StepTable& operator=(StepTable&&) noexcept;

  // All of its bytes. Work queued on the current stream from now on reads them; what was queued before reads those
  // before. Does not wait, unless for the copy before the last one.
  void set(const void* values);
  size_t bytes() const;
  void* data() const;  // in the device's memory; nullptr of 0 bytes

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gfsa
