// parameters.h -- the state dict. A model's constructor declares its parameters through a Scope; the store then lays
// all of them out in one flat buffer (and their gradients in another), initialises them, and loads and saves them by
// name. Optimizers, EMA, checkpoints and the model table read the store, never the layers.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/philox.h"
#include "core/tensor.h"

namespace gfsa {

// How a parameter starts. Element i of parameter `name` is a function of (seed, "init", hash(name), i) only.
struct Init {
  enum class Kind { zeros, constant, normal, truncated_normal, uniform } kind = Kind::zeros;
  double a = 0;  // constant: value; normal, truncated: standard deviation (mean 0); uniform: low
  double b = 0;  // truncated: cut at +-b (absolute); uniform: high
};
Init zeros();
Init ones();
Init constant(double value);
Init normal(double deviation);
// timm's trunc_normal_: N(0, deviation) redrawn outside [-2, 2] (absolute bounds, as timm calls it).
Init truncated_normal(double deviation);
Init uniform(double low, double high);
// PyTorch's default for Linear and Conv2d: U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for weight and bias alike.
Init torch_default(int64_t fan_in);

struct Parameter {
  std::string name;  // "blocks.3.attn.qkv.weight"
  Shape shape;
  Init init;
  Tensor value;        // undefined before materialize(); a view of the flat buffer afterwards
  Tensor grad_buffer;  // undefined after materialize_values()
  int64_t offset = 0;  // elements, into the flat buffers
};

// A handle to a parameter, stable for the store's lifetime; what layers keep as members.
class Param {
 public:
  Param() = default;  // absent: *p is an undefined tensor
  explicit Param(Parameter* parameter) : parameter_(parameter) {}
  const Tensor& operator*() const;
  const Tensor* operator->() const { return &**this; }
  explicit operator bool() const { return parameter_ != nullptr; }

 private:
  Parameter* parameter_ = nullptr;
};

class ParameterStore {
 public:
  ParameterStore() = default;
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  // Called through Scope::param while the model is built. A second declaration of a name is an error.
  Param declare(const std::string& name, const Shape& shape, const Init& init);
  // Another name under which the declared parameter `name` may stand in files (e.g. "blocks.0.attn.lamb").
  void alias(const std::string& name, const std::string& other);

  // Allocates values and gradients (flat, every parameter 64-byte aligned, padding zero) and initialises from the
  // seed: the same numbers on every device. dtype f32 for training, f64 for exact comparisons (on the CPU).
  void materialize(uint64_t seed, DType dtype = DType::f32, Device device = {});
  // For stored weights that are to be used, not trained: values alone, no gradients. Those of parameters that
  // `is_given` are zeros until load() brings them, as to draw them takes longer than to read them; the others are drawn
  // as by materialize(0).
  void materialize_values(const std::function<bool(const Parameter&)>& is_given, Device device = {});
  bool materialized() const { return flat_values_.defined(); }

  const std::deque<Parameter>& parameters() const { return parameters_; }
  const Parameter* find(const std::string& name) const;  // nullptr if unknown
  int64_t count() const;                                 // elements, without padding
  // [total] including padding.
  const Tensor& flat_values() const { return flat_values_; }
  const Tensor& flat_grads() const { return flat_grads_; }
  // Before a step: forgets all gradients. After its last backward: zeroes the buffers that nothing was written to.
  void clear_grads();
  void complete_grads();

  // Strict: one error lists all missing, unexpected and misshapen tensors; nothing is changed if there is one. Aliases
  // are understood; dtypes are converted; the tensors may lie on any device. `adapt` may replace a tensor before its
  // shape is judged (position embeddings); names matching `optional_patterns` may be missing and keep their values (a
  // new head, wK from a base model).
  struct LoadOptions {
    std::function<Tensor(const Parameter&, const Tensor&)> adapt;
    std::vector<std::string> optional_patterns;
    std::vector<std::string> ignored_patterns;  // unexpected names that are no error
  };
  void load(const std::map<std::string, Tensor>& tensors, const std::string& source, const LoadOptions& options);
  void load(const std::map<std::string, Tensor>& tensors, const std::string& source) { load(tensors, source, {}); }

 private:
  void make_values(uint64_t seed, DType dtype, Device device, const std::function<bool(const Parameter&)>& is_given);

  std::deque<Parameter> parameters_;
  std::map<std::string, Parameter*, std::less<>> by_name_;
  std::map<std::string, std::string> aliases_;  // other name -> name
  Tensor flat_values_, flat_grads_;
};

// A path into a store. Member name = path part = the reference's name.
class Scope {
 public:
  explicit Scope(ParameterStore& store, std::string path = "") : store_(&store), path_(std::move(path)) {}
  Scope operator/(std::string_view part) const;
  Scope operator/(int64_t index) const { return *this / std::to_string(index); }
  Param param(const std::string& name, const Shape& shape, const Init& init) const;
  void alias(const std::string& name, const std::string& other) const;
  const std::string& path() const { return path_; }
  ParameterStore& store() const { return *store_; }

 private:
  ParameterStore* store_;
  std::string path_;  // "blocks.3.attn"; "" at the root
};

}  // namespace gfsa
