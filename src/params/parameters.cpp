#include "params/parameters.h"

#include <algorithm>
#include <cmath>

#include "autograd/autograd.h"
#include "base/error.h"
#include "base/strings.h"
#include "base/threads.h"
#include "core/dispatch.h"

namespace gfsa {
namespace {

constexpr int64_t kAlignmentElements = 16;  // 64 bytes of f32

double draw(const Init& init, RandomSequence& random) {
  switch (init.kind) {
    case Init::Kind::zeros:
      return 0;
    case Init::Kind::constant:
      return init.a;
    case Init::Kind::normal:
      return init.a * random.normal();
    case Init::Kind::truncated_normal:
      while (true) {
        const double x = init.a * random.normal();
        if (std::abs(x) <= init.b) return x;
      }
    case Init::Kind::uniform:
      return random.uniform(init.a, init.b);
  }
  return 0;
}

// value: on the CPU.
void initialise(const Parameter& p, const Tensor& value, uint64_t seed) {
  if (p.init.kind == Init::Kind::zeros) return;  // as it is
  if (p.init.kind == Init::Kind::constant) return value.fill(p.init.a);
  dispatch_floating("init", value, [&](auto t) {
    using T = decltype(t);
    T* x = value.data<T>();
    const RandomKey key(seed, "init/" + p.name);
    // Blocks of 256 elements have a sequence each: independent of threads, and cheap to start.
    constexpr int64_t kBlock = 256;
    const int64_t n = value.numel();
    parallel_for((n + kBlock - 1) / kBlock, 16, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        RandomSequence random(key, static_cast<uint32_t>(b));
        for (int64_t i = b * kBlock; i < std::min(n, (b + 1) * kBlock); ++i)
          x[i] = T(static_cast<acc_t<T>>(draw(p.init, random)));
      }
    });
  });
}

// The first element that is infinite or NaN; -1 if there is none.
int64_t first_not_finite(const Tensor& tensor) {
  if (!is_floating(tensor.dtype())) return -1;
  const Tensor dense = tensor.to(Device{}).contiguous();
  int64_t at = -1;
  dispatch_floating("load", dense, [&](auto t) {
    using T = decltype(t);
    const T* x = dense.data<T>();
    for (int64_t i = 0; i < dense.numel() && at < 0; ++i) {
      if (!std::isfinite(static_cast<double>(static_cast<acc_t<T>>(x[i])))) at = i;
    }
  });
  return at;
}

bool matches_any(const std::string& name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return matches_glob(p, name); });
}

}  // namespace

Init zeros() { return {}; }
Init ones() { return constant(1); }
Init constant(double value) { return {Init::Kind::constant, value, 0}; }
Init normal(double deviation) { return {Init::Kind::normal, deviation, 0}; }
Init truncated_normal(double deviation) { return {Init::Kind::truncated_normal, deviation, 2.0}; }
Init uniform(double low, double high) { return {Init::Kind::uniform, low, high}; }
Init torch_default(int64_t fan_in) {
  const double bound = 1.0 / std::sqrt(static_cast<double>(fan_in));
  return uniform(-bound, bound);
}

const Tensor& Param::operator*() const {
  static const Tensor absent;
  if (parameter_ == nullptr) return absent;
  if (!parameter_->value.defined()) fail("{}: used before the parameters were materialized", parameter_->name);
  return parameter_->value;
}

Param ParameterStore::declare(const std::string& name, const Shape& shape, const Init& init) {
  if (materialized()) fail("{}: declared after the parameters were materialized", name);
  if (by_name_.contains(name)) fail("{}: this parameter is declared twice", name);
  parameters_.push_back({name, shape, init, {}, {}, 0});
  by_name_[name] = &parameters_.back();
  return Param(&parameters_.back());
}

void ParameterStore::alias(const std::string& name, const std::string& other) {
  if (!by_name_.contains(name)) fail("{}: no such parameter, but {} is to be another name of it", name, other);
  if (by_name_.contains(other)) fail("{}: is a parameter itself, it cannot be another name of {}", other, name);
  aliases_[other] = name;
}

void ParameterStore::make_values(uint64_t seed, DType dtype, Device device,
                                 const std::function<bool(const Parameter&)>& is_given) {
  int64_t total = 0;
  for (auto& p : parameters_) {
    p.offset = total;
    total += (p.shape.numel() + kAlignmentElements - 1) / kAlignmentElements * kAlignmentElements;
  }
  // Drawn on the CPU, so that every device starts from the same numbers.
  const Tensor drawn = Tensor::zeros({total}, dtype);
  for (const auto& p : parameters_) {
    if (!is_given(p)) initialise(p, drawn.slice(0, p.offset, p.offset + p.shape.numel()), seed);
  }
  flat_values_ = drawn.to(device);
  for (auto& p : parameters_) {
    p.value = flat_values_.slice(0, p.offset, p.offset + p.shape.numel()).view(p.shape);
  }
}

void ParameterStore::materialize_values(const std::function<bool(const Parameter&)>& is_given, Device device) {
  make_values(0, DType::f32, device, is_given);
}

void ParameterStore::materialize(uint64_t seed, DType dtype, Device device) {
  make_values(seed, dtype, device, [](const Parameter&) { return false; });
  flat_grads_ = Tensor::zeros(flat_values_.shape(), dtype, device);
  for (auto& p : parameters_) {
    const int64_t end = p.offset + p.shape.numel();
    p.grad_buffer = flat_grads_.slice(0, p.offset, end).view(p.shape);
    require_grad(p.value, p.grad_buffer);
  }
}

void ParameterStore::clear_grads() {
  for (const auto& p : parameters_) clear_grad(p.value);
}

void ParameterStore::complete_grads() {
  for (const auto& p : parameters_) {
    if (!grad_of(p.value).defined()) p.grad_buffer.fill(0);
  }
}

const Parameter* ParameterStore::find(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

int64_t ParameterStore::count() const {
  int64_t n = 0;
  for (const auto& p : parameters_) n += p.shape.numel();
  return n;
}

void ParameterStore::load(const std::map<std::string, Tensor>& tensors, const std::string& source,
                          const LoadOptions& options) {
  std::map<const Parameter*, std::pair<std::string, Tensor>> found;
  ErrorList errors;
  std::vector<std::string> names;
  for (const auto& p : parameters_) names.push_back(p.name);
  for (const auto& [key, tensor] : tensors) {
    const auto other = aliases_.find(key);
    const std::string& name = other == aliases_.end() ? key : other->second;
    const Parameter* p = find(name);
    if (p == nullptr) {
      if (!matches_any(key, options.ignored_patterns))
        errors.add(
            fmt::format("{}: unexpected tensor {} {}{}", source, key, tensor.shape().text(), did_you_mean(key, names)));
      continue;
    }
    if (found.contains(p)) {
      errors.add(fmt::format("{}: tensors {} and {} are both for {}", source, found[p].first, key, name));
      continue;
    }
    const Tensor adapted = options.adapt ? options.adapt(*p, tensor) : tensor;
    if (!(adapted.shape() == p->shape)) {
      errors.add(
          fmt::format("{}: misshapen tensor {}: {}, expected {}", source, key, tensor.shape().text(), p->shape.text()));
    }
    if (const int64_t at = first_not_finite(adapted); at >= 0) {
      errors.add(fmt::format("{}: tensor {}: element {} is not a finite number", source, key, at));
    }
    found[p] = {key, adapted};
  }
  for (const auto& p : parameters_) {
    if (!found.contains(&p) && !matches_any(p.name, options.optional_patterns)) {
      errors.add(fmt::format("{}: missing tensor {} {}", source, p.name, p.shape.text()));
    }
  }
  errors.throw_if_any();
  for (const auto& [p, entry] : found) p->value.copy_from(entry.second);
}

Scope Scope::operator/(std::string_view part) const {
  return Scope(*store_, path_.empty() ? std::string(part) : path_ + "." + std::string(part));
}

Param Scope::param(const std::string& name, const Shape& shape, const Init& init) const {
  return store_->declare((*this / name).path(), shape, init);
}

void Scope::alias(const std::string& name, const std::string& other) const {
  store_->alias((*this / name).path(), (*this / other).path());
}

}  // namespace gfsa
