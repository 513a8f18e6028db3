// observer.h -- looks over the tape's shoulder: sees every tensor of a forward and backward pass in the order of its
// making. For finding the first value that is not finite (train/), and for tests that plant one.
#pragma once

#include <cstddef>
#include <vector>

#include "autograd/autograd.h"

namespace gfsa {

class TapeObserver {
 public:
  virtual ~TapeObserver() = default;
  // An op has computed y from `inputs` (as it gave them to record(); some may be undefined). Called whether or not the
  // op goes on the tape.
  virtual void forward(const char* op, const Tensor& y, const std::vector<Tensor>& inputs) = 0;
  // An op's backward has run: the gradient of its input i as it stands now, with what other ops have added to it.
  // `slot` is the input's: for a parameter, the one of Parameter::value.
  virtual void backward(const char* op, size_t i, const GradSlot& slot) = 0;
};

// While it lives, the observer sees what this thread's tape does; it must outlive this. They nest, and the outer one
// sees first.
class ObserveTape {
 public:
  explicit ObserveTape(TapeObserver& observer);
  ~ObserveTape();
  ObserveTape(const ObserveTape&) = delete;
  ObserveTape& operator=(const ObserveTape&) = delete;
};

}  // namespace gfsa
