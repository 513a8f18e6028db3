// autograd.h -- reverse mode on a tape. Knows no op: an op computes its result and calls record() with its backward.
//
//   return record("relu", y, {x}, [x](Tensor dy, GradOut& out) { ... out.give(0, dx); });
//
// The tape is a list in order of execution, one a thread; backward() walks it from the end. A node is destroyed as soon
// as its backward has run, and with it every tensor that its closure saved. Without gradients wanted, nothing is
// recorded.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <vector>

#include "core/tensor.h"

namespace gfsa {

// The gradient of one tensor in the making. Leaves (parameters) keep it after backward(); all others lose it on the
// way.
class GradSlot {
 public:
  GradSlot(const Tensor& value, bool is_leaf)
      : shape(value.shape()), dtype(value.dtype()), device(value.device()), is_leaf(is_leaf) {}
  Shape shape;
  DType dtype;
  Device device;
  bool is_leaf;
  // Undefined until the first contribution. For a leaf with a fixed buffer, `buffer` is where the gradient must end up
  // and `grad` equals it once something has been added.
  Tensor grad;
  Tensor buffer;
};

// Makes a leaf: its gradient is wanted. `buffer`, if given (shape and dtype of the value, contiguous), receives it.
void require_grad(Tensor& value, Tensor buffer = {});
// Whether a gradient will flow to this tensor.
bool requires_grad(const Tensor& x);
// The gradient of a leaf (or undefined if none has arrived since the last clear_grad).
Tensor grad_of(const Tensor& leaf);
// Forgets the gradient; a fixed buffer is kept and overwritten by the next contribution.
void clear_grad(const Tensor& leaf);

bool grad_enabled();
// Nothing is recorded while one of these is alive.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool previous_;
};

// Where a backward puts the gradients of its inputs.
class GradOut {
 public:
  explicit GradOut(const std::vector<std::shared_ptr<GradSlot>>& slots) : slots_(slots) {}
  // Whether input i (in the order given to record) wants a gradient. Do no work for one that does not.
  bool wants(size_t i) const { return slots_[i] != nullptr; }
  // Memory of the input's shape and dtype to write into: overwritten if accumulate is false, added to if it is true.
  struct Target {
    Tensor tensor;
    bool accumulate;
  };
  Target target(size_t i);
  // Hands over a finished gradient (dtype and shape of the input). It may be dy itself or a view of it; it is added if
  // something is there already, and never written to while somebody else holds it.
  void give(size_t i, Tensor gradient);

 private:
  const std::vector<std::shared_ptr<GradSlot>>& slots_;
};

// dy arrives by value: if it is unique (Tensor::is_unique), its memory may be reused for a result.
using Backward = std::function<void(Tensor dy, GradOut& out)>;

// Gives y a place on the tape if any input wants a gradient and recording is on; returns y. Inputs may be undefined
// tensors.
Tensor record(const char* op, Tensor y, std::initializer_list<Tensor> inputs, Backward backward);
Tensor record(const char* op, Tensor y, const std::vector<Tensor>& inputs, Backward backward);

// Gradients of every leaf that `loss` depends on, added to what the leaves hold. `seed` is d(loss) (default: 1, loss
// scalar). The tape is empty afterwards, also when an exception leaves it.
void backward(const Tensor& loss, Tensor seed = {});

// Runs f(inputs) without keeping what it would save for backward; backward runs it a second time. f must depend on
// nothing but its inputs, parameters and counter-based random numbers. Gradients flow to inputs and to leaves that f
// uses.
Tensor checkpoint(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs);

// Number of nodes on this thread's tape.
size_t tape_length();

}  // namespace gfsa
