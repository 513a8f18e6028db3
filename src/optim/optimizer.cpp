#include "optim/optimizer.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/strings.h"
#include "core/dispatch.h"
#include "optim/update_kernels.h"

namespace gfsa {

void Optimizer::describe(config::Schema& s) {
  s.field("lr", lr_).at_least(0).resume_may_change().doc("Base learning rate, which the schedule starts from.");
  s.field("weight_decay", weight_decay_).at_least(0).resume_may_change().doc("Weight decay; see no_decay.");
}

void Optimizer::bind(const ParameterStore& store, std::vector<ParameterGroup> groups) {
  if (!store.materialized()) fail("optimizer: the parameters must be materialized before bind");
  const DType dtype = store.flat_values().dtype();
  if (dtype != DType::f32 && dtype != DType::f64) {
    fail("optimizer: parameters are {}, expected f32 or f64 master weights", name_of(dtype));
  }
  const Device device = store.flat_values().device();
  if (device.type != DeviceType::cpu && dtype != DType::f32) {
    fail("optimizer: parameters are {}, expected f32 master weights on device {}", name_of(dtype), device.text());
  }
  values_ = store.flat_values();
  grads_ = store.flat_grads();
  groups_ = std::move(groups);

  std::map<const Parameter*, int> group_of;
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (const Parameter* p : groups_[g].parameters) {
      if (!group_of.emplace(p, static_cast<int>(g)).second) fail("optimizer: {} is in two groups", p->name);
    }
  }
  parameters_.clear();
  group_indices_.clear();
  segments_.clear();
  for (const Parameter& p : store.parameters()) {
    const auto found = group_of.find(&p);
    if (found == group_of.end()) continue;
    const int64_t n = p.shape.numel();
    for (int64_t begin = 0; begin < n; begin += kSegmentElements) {
      segments_.push_back({p.offset + begin, std::min(kSegmentElements, n - begin), found->second,
                           static_cast<int>(parameters_.size())});
    }
    parameters_.push_back(&p);
    group_indices_.push_back(found->second);
  }
  if (parameters_.size() != group_of.size()) fail("optimizer: a group has parameters of another store");

  segment_table_ = Tensor();
  if (device.type != DeviceType::cpu) {
    std::vector<int64_t> table;
    for (const Segment& s : segments_) table.insert(table.end(), {s.begin, s.count, s.group, s.parameter});
    segment_table_ = Tensor::from({std::ssize(segments_), kSegmentColumns}, table).to(device);
  }

  state_.clear();
  state_.emplace_back("step", Tensor::zeros({1}, DType::i64));
  make_state();
}

Tensor Optimizer::add_state(const std::string& name, const Shape& shape) {
  state_.emplace_back(name, Tensor::zeros(shape, values_.dtype(), values_.device()));
  return state_.back().second;
}

int64_t* Optimizer::step_count() const {
  if (state_.empty()) fail("optimizer: used before bind");
  return state_.front().second.data<int64_t>();
}

void Optimizer::step(double lr, const GradientScale& scale) {
  begin_step(lr);
  apply_step(scale);
  end_step();
}

void Optimizer::begin_step(double lr) {
  now_ = {lr, steps() + 1};
  if (!is_on_cpu(values_)) prepare(now_);
}

void Optimizer::apply_step(const GradientScale& scale) {
  seen_finite_ = false;
  if (!std::isnan(scale.factor)) update(now_, scale);
}

void Optimizer::end_step() { ++*step_count(); }

void Optimizer::set_rules(const void* rules, size_t bytes) {
  if (rules_.bytes() != bytes) rules_ = StepTable(values_.device(), bytes);
  rules_.set(rules);
}

uint64_t Optimizer::state_bytes() const {
  uint64_t bytes = 0;
  for (const auto& [name, tensor] : state_) bytes += tensor.bytes();
  return bytes;
}

void Optimizer::load_state(const std::map<std::string, Tensor>& tensors, const std::string& source) {
  ErrorList errors;
  std::vector<std::string> names;
  for (const auto& [name, mine] : state_) {
    names.push_back(name);
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      errors.add(fmt::format("{}: missing optimizer state {} {}", source, name, mine.shape().text()));
    } else if (!(found->second.shape() == mine.shape()) || found->second.dtype() != mine.dtype()) {
      errors.add(fmt::format("{}: optimizer state {} is {} {}, expected {} {}", source, name,
                             name_of(found->second.dtype()), found->second.shape().text(), name_of(mine.dtype()),
                             mine.shape().text()));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      errors.add(fmt::format("{}: unexpected optimizer state {} {}{}", source, name, tensor.shape().text(),
                             did_you_mean(name, names)));
    }
  }
  errors.throw_if_any();
  for (const auto& [name, mine] : state_) mine.copy_from(tensors.at(name));
}

}  // namespace gfsa
