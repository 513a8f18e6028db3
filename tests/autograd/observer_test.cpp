#include "autograd/observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace gfsa {
namespace {

using testing::ElementsAre;

// y = op(inputs): copies the first; hands dy to each input that is defined.
Tensor copy_of(const char* op, const std::vector<Tensor>& inputs) {
  return record(op, inputs[0].detach().clone(), inputs, [n = inputs.size()](const Tensor& dy, GradOut& out) {
    for (size_t i = 0; i < n; ++i) out.give(i, dy);
  });
}

struct Listener : TapeObserver {
  std::vector<std::string> heard;
  void forward(const char* op, const Tensor& y, const std::vector<Tensor>& inputs) override {
    heard.push_back(std::string(op) + " " + std::to_string(inputs.size()) + " " +
                    std::to_string(y.item()).substr(0, 1));
  }
  void backward(const char* op, size_t i, const GradSlot& slot) override {
    heard.push_back(std::string(op) + "' " + std::to_string(i) + " " + std::to_string(slot.grad.item()).substr(0, 1) +
                    (slot.is_leaf ? " leaf" : ""));
  }
};

TEST(Observer, SeesForwardAndBackwardInOrder) {
  Tensor x = Tensor::from<double>({1}, {3});
  require_grad(x);
  Listener listener;
  {
    const ObserveTape observe(listener);
    const Tensor y = copy_of("first", {x, Tensor()});
    backward(copy_of("second", {y, x}));
  }
  // What an input holds includes what other uses gave it: x has one from `second` already.
  EXPECT_THAT(listener.heard,
              ElementsAre("first 2 3", "second 2 3", "second' 0 1", "second' 1 1 leaf", "first' 0 2 leaf"));
  copy_of("unobserved", {x});
  EXPECT_EQ(listener.heard.size(), 5u);
}

TEST(Observer, SeesForwardWhereNothingIsRecorded) {
  Listener listener;
  const ObserveTape observe(listener);
  const NoGrad guard;
  copy_of("op", {Tensor::from<double>({1}, {7})});
  EXPECT_THAT(listener.heard, ElementsAre("op 1 7"));
}

TEST(Observer, TheyNestAndTheOuterOneSeesFirst) {
  struct Writer : TapeObserver {
    void forward(const char*, const Tensor& y, const std::vector<Tensor>&) override { y.fill(5); }
    void backward(const char*, size_t, const GradSlot&) override {}
  } writer;
  Listener listener;
  const ObserveTape outer(writer);
  {
    const ObserveTape inner(listener);
    copy_of("op", {Tensor::from<double>({1}, {7})});
  }
  copy_of("op", {Tensor::from<double>({1}, {7})});
  EXPECT_THAT(listener.heard, ElementsAre("op 1 5"));
}

}  // namespace
}  // namespace gfsa
