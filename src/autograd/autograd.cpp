#include "autograd/autograd.h"

#include <cstring>
#include <utility>

#include "autograd/observer.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "core/tensor_kernels.h"

namespace gfsa {
namespace {

struct Node {
  const char* op;
  std::shared_ptr<GradSlot> output;
  std::vector<std::shared_ptr<GradSlot>> inputs;
  Backward backward;
  int64_t range = -1;        // of the forward in a profile
  uint64_t input_bytes = 0;  // where there is a profile
};

thread_local std::vector<Node> tape;
thread_local bool recording = true;
thread_local std::vector<TapeObserver*> observers;

// a += b, elementwise; both contiguous and alike.
void add_in_place(const Tensor& a, const Tensor& b) {
  if (a.numel() == 0) return;
  on_device("gradient accumulation", a, [&](auto d) { TensorKernels<d>::add(a, b); });
}

// Makes slot.grad a tensor that only the slot writes to.
void own(GradSlot& slot) {
  const bool fixed = slot.buffer.defined() && slot.grad.shares_storage_with(slot.buffer);
  if (!fixed && (!slot.grad.is_unique() || !slot.grad.is_contiguous())) slot.grad = slot.grad.clone();
}

uint64_t bytes_of(const std::vector<Tensor>& tensors) {
  uint64_t bytes = 0;
  for (const Tensor& t : tensors) bytes += t ? t.bytes() : 0;
  return bytes;
}

// The op's forward in a profile: what it reads and writes. A view moves nothing.
void note_forward(const char* op, const Tensor& y, const std::vector<Tensor>& inputs) {
  if (std::strcmp(profile::innermost_name(), op) != 0) {
    fail("{}: records outside of its OpRange (core/profile.h)", op);
  }
  bool is_view = false;
  for (const Tensor& x : inputs) {
    if (!x) continue;
    is_view = is_view || y.shares_storage_with(x);
    if (x.slot() && x.slot()->is_leaf) profile::note_parameter(x.slot().get());
  }
  profile::note_operands(is_view ? 0 : y.bytes() + bytes_of(inputs));
}

// The same of its backward: dy, what forward read, and the gradients.
void note_backward(uint64_t dy_bytes, const Node& node) {
  uint64_t bytes = dy_bytes + node.input_bytes;
  for (const auto& slot : node.inputs) bytes += slot && slot->grad.defined() ? slot->grad.bytes() : 0;
  profile::note_operands(bytes);
}

// Walks this thread's tape from its end down to `first`, running what has a gradient.
void run_tape(size_t first) {
  while (tape.size() > first) {
    Node node = std::move(tape.back());
    tape.pop_back();
    Tensor dy = std::exchange(node.output->grad, {});
    if (!dy.defined()) continue;
    const ProfileRange range(node.op, profile::Kind::backward, node.range);
    const uint64_t dy_bytes = dy.bytes();
    GradOut out(node.inputs);
    node.backward(std::move(dy), out);
    if (range.is_open()) note_backward(dy_bytes, node);
    if (observers.empty()) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!node.inputs[i] || !node.inputs[i]->grad.defined()) continue;
      for (TapeObserver* observer : observers) observer->backward(node.op, i, *node.inputs[i]);
    }
  }
}

struct ClearTape {
  size_t first;
  ~ClearTape() { tape.resize(std::min(tape.size(), first)); }
};

}  // namespace

void require_grad(Tensor& value, Tensor buffer) {
  if (!is_floating(value.dtype())) fail("require_grad: a tensor of {} has no gradient", name_of(value.dtype()));
  auto slot = std::make_shared<GradSlot>(value, true);
  slot->buffer = std::move(buffer);
  value.set_slot(std::move(slot));
}

bool requires_grad(const Tensor& x) { return x.slot() != nullptr; }
Tensor grad_of(const Tensor& leaf) { return leaf.slot() ? leaf.slot()->grad : Tensor(); }
void clear_grad(const Tensor& leaf) {
  if (leaf.slot()) leaf.slot()->grad = {};
}

bool grad_enabled() { return recording; }
NoGrad::NoGrad() : previous_(std::exchange(recording, false)) {}
NoGrad::~NoGrad() { recording = previous_; }

GradOut::Target GradOut::target(size_t i) {
  GradSlot& slot = *slots_[i];
  if (slot.grad.defined()) {
    own(slot);
    return {slot.grad, true};
  }
  slot.grad = slot.buffer.defined() ? slot.buffer : Tensor::empty(slot.shape, slot.dtype, slot.device);
  return {slot.grad, false};
}

void GradOut::give(size_t i, Tensor gradient) {
  if (!wants(i)) return;
  GradSlot& slot = *slots_[i];
  if (!(gradient.shape() == slot.shape) || gradient.dtype() != slot.dtype) {
    fail("autograd: gradient {} {} for an input {} {}", name_of(gradient.dtype()), gradient.shape().text(),
         name_of(slot.dtype), slot.shape.text());
  }
  if (slot.grad.defined()) {
    own(slot);
    profile::add_bytes(3 * gradient.bytes());
    add_in_place(slot.grad, gradient.contiguous());
  } else if (slot.buffer.defined()) {
    profile::add_bytes(2 * gradient.bytes());
    slot.buffer.copy_from(gradient);
    slot.grad = slot.buffer;
  } else {
    slot.grad = gradient.detach();
  }
}

Tensor record(const char* op, Tensor y, const std::vector<Tensor>& inputs, Backward backward) {
  y.set_slot(nullptr);
  for (TapeObserver* observer : observers) observer->forward(op, y, inputs);
  const bool profiled = profile::is_on();
  if (profiled) note_forward(op, y, inputs);
  if (!recording) return y;
  std::vector<std::shared_ptr<GradSlot>> slots;
  bool wanted = false;
  for (const Tensor& input : inputs) {
    slots.push_back(input.slot());
    wanted = wanted || input.slot() != nullptr;
  }
  if (!wanted) return y;
  auto output = std::make_shared<GradSlot>(y, false);
  y.set_slot(output);
  tape.push_back({op, std::move(output), std::move(slots), std::move(backward)});
  if (profiled) tape.back().range = profile::innermost(), tape.back().input_bytes = bytes_of(inputs);
  return y;
}

Tensor record(const char* op, Tensor y, std::initializer_list<Tensor> inputs, Backward backward) {
  return record(op, std::move(y), std::vector<Tensor>(inputs), std::move(backward));
}

void backward(const Tensor& loss, Tensor seed) {
  const ClearTape clear{0};
  if (!loss.slot()) fail("backward: the loss depends on nothing that wants a gradient");
  if (!seed.defined()) {
    if (loss.numel() != 1)
      fail("backward: the loss has shape {}, expected one element (or give a seed)", loss.shape().text());
    seed = Tensor::full(loss.shape(), 1.0, loss.dtype(), loss.device());
  }
  const std::vector<std::shared_ptr<GradSlot>> slots{loss.slot()};
  GradOut(slots).give(0, std::move(seed));
  const NoGrad guard;
  run_tape(0);
}

Tensor checkpoint(const std::function<Tensor(const std::vector<Tensor>&)>& f, const std::vector<Tensor>& inputs) {
  if (!recording) return f(inputs);
  Tensor y;
  {
    const NoGrad guard;
    y = f(inputs);
  }
  std::vector<Tensor> saved;
  for (const Tensor& x : inputs) saved.push_back(x.detach());
  // f's parameters are leaves and collect their gradients themselves; the segment must be recorded even if no input
  // wants one.
  auto output = std::make_shared<GradSlot>(y, false);
  std::vector<std::shared_ptr<GradSlot>> slots;
  for (const Tensor& x : inputs) slots.push_back(x.slot());
  auto rerun = [f, saved, slots](Tensor dy, GradOut& out) {
    std::vector<Tensor> again = saved;
    for (size_t i = 0; i < again.size(); ++i) {
      if (slots[i]) require_grad(again[i]);
    }
    const size_t first = tape.size();
    const ClearTape clear{first};
    recording = true;
    struct Off {
      ~Off() { recording = false; }
    } off;
    const Tensor second = f(again);
    if (second.slot()) {
      const std::vector<std::shared_ptr<GradSlot>> seed{second.slot()};
      GradOut(seed).give(0, std::move(dy));
      recording = false;
      run_tape(first);
    }
    for (size_t i = 0; i < again.size(); ++i) {
      if (slots[i] && grad_of(again[i]).defined()) out.give(i, grad_of(again[i]));
    }
  };
  y.set_slot(output);
  tape.push_back({"checkpoint", std::move(output), std::move(slots), std::move(rerun)});
  return y;
}

ObserveTape::ObserveTape(TapeObserver& observer) { observers.push_back(&observer); }
ObserveTape::~ObserveTape() { observers.pop_back(); }

size_t tape_length() { return tape.size(); }

}  // namespace gfsa
