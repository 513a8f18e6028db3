// optimizer.h -- an update rule over a store's flat buffers. The object is the config's entry as well: its members are
// the keys that stand beside `name`, with the defaults of its PyTorch counterpart.
//
//   auto rule = optimizer_registry().make("adamw");
//   rule->bind(store, make_parameter_groups(store, rules, rule->weight_decay()));
//   ... backward, store.complete_grads() ...
//   rule->step(schedule.lr(rule->lr(), now), clip(store, config.clip).scale);
//
// A step reads value, gradient and state once and writes value and state once, except where a rule needs norms of a
// whole parameter first (LAMB, Adafactor: their files say what they add). State has the store's dtype: f32, or f64 for
// exact comparisons. The same bits come out for any number of threads. A parameter that no gradient reached counts as
// one with gradient zero (complete_grads), where PyTorch would skip it.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "core/step_table.h"
#include "optim/parameter_groups.h"
#include "optim/segments.h"
#include "params/parameters.h"

namespace gfsa {

// Applied to each gradient element inside the update: clamp(g * factor, -limit, limit).
struct GradientScale {
  double factor = 1;
  double limit = std::numeric_limits<double>::infinity();
  // f64 [1], where the gradients are on a GPU and the host does not wait for their norm: stands in for `factor`. NaN:
  // the step changes neither values nor state (it is counted).
  Tensor on_device;
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // lr, weight_decay and the rule's own keys.
  virtual void describe(config::Schema& s);
  double lr() const { return lr_; }  // base: schedules start from it
  double weight_decay() const { return weight_decay_; }

  // Makes the state, all zero, on the parameters' device. The store must be materialized in f32 (on the CPU also f64)
  // and outlive the optimizer. A parameter in no group is never changed; one in two groups is an error.
  void bind(const ParameterStore& store, std::vector<ParameterGroup> groups);
  // One update with every group's learning rate lr * lr_factor. Does not wait for a GPU, unless for the update before
  // the last one.
  void step(double lr, const GradientScale& scale = {});
  // Its three parts. On a GPU the second one takes what changes from step to step from where the first one has put it:
  // captured in a graph, it can be run again. Without the third the step is none, if its scale was NaN.
  void begin_step(double lr);
  void apply_step(const GradientScale& scale);
  void end_step();
  // Whether the last update has seen that all it left, values and state, is finite. False may also mean that it did not
  // look: rules of whole parameters do not, nor do GPUs.
  bool has_seen_finite() const { return seen_finite_; }

  const std::vector<ParameterGroup>& groups() const { return groups_; }
  int64_t steps() const { return *step_count(); }
  // What a checkpoint needs: the live tensors ("step" i64 [1], always on the CPU; "exp_avg" [total], ...), laid out as
  // the flat buffers are.
  std::vector<std::pair<std::string, Tensor>> state() const { return state_; }
  // Copies tensors of these names in. Strict: one bad-input error lists all that is missing, unexpected, misshapen or
  // of another dtype, and then nothing is changed. `source` is the file's name.
  void load_state(const std::map<std::string, Tensor>& tensors, const std::string& source);
  // Bytes of state().
  uint64_t state_bytes() const;

 protected:
  Optimizer(double lr, double weight_decay) : lr_(lr), weight_decay_(weight_decay) {}

  struct Step {
    double lr = 0;
    int64_t number = 0;  // 1 at the first update
  };
  // Adds the rule's state through add_state.
  virtual void make_state() = 0;
  // For GPUs: set_rules() with all that the step changes.
  virtual void prepare(const Step& s) = 0;
  // On a GPU `s` must not matter: kernels read rules().
  virtual void update(const Step& s, const GradientScale& scale) = 0;
  // The two for a rule of update_rules.h, rule_of(T{}, group): see elementwise_update.h.
  template <class RuleOf>
  void prepare_with(const RuleOf& rule_of);
  template <class RuleOf, class... State>
  void update_with(const char* op, const GradientScale& scale, const RuleOf& rule_of, const State&... state);

  // By group, on a GPU: plain structures of 4-byte words (optim/cuda/segments.h reads them).
  template <class Rule>
  void set_rules(const std::vector<Rule>& rules) {
    static_assert(std::is_trivially_copyable_v<Rule> && sizeof(Rule) % sizeof(uint32_t) == 0);
    set_rules(rules.data(), rules.size() * sizeof(Rule));
  }
  const uint32_t* rules() const { return static_cast<const uint32_t*>(rules_.data()); }

  // A zero tensor of the store's dtype, kept in checkpoints under `name`. Default shape: the flat buffers'.
  Tensor add_state(const std::string& name) { return add_state(name, values_.shape()); }
  Tensor add_state(const std::string& name, const Shape& shape);
  const Tensor& values() const { return values_; }
  const Tensor& grads() const { return grads_; }
  const std::vector<Segment>& segments() const { return segments_; }
  const Tensor& segment_table() const { return segment_table_; }  // update_kernels.h; undefined on the CPU
  const std::vector<const Parameter*>& parameters() const {
    return parameters_;
  }  // those in groups, in the store's order
  const ParameterGroup& group_of(const Segment& s) const { return groups_[static_cast<size_t>(s.group)]; }
  int group_index_of_parameter(size_t index) const { return group_indices_[index]; }
  const ParameterGroup& group_of_parameter(size_t index) const {
    return groups_[static_cast<size_t>(group_indices_[index])];
  }

 private:
  int64_t* step_count() const;
  void set_rules(const void* rules, size_t bytes);

  double lr_, weight_decay_;
  Tensor values_, grads_;
  std::vector<ParameterGroup> groups_;
  std::vector<const Parameter*> parameters_;
  std::vector<int> group_indices_;  // of parameters_
  std::vector<Segment> segments_;
  Tensor segment_table_;
  StepTable rules_;
  Step now_;  // since begin_step
  bool seen_finite_ = false;
  std::vector<std::pair<std::string, Tensor>> state_;  // "step" first
};

}  // namespace gfsa
