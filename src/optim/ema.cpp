#include "optim/ema.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/strings.h"
#include "base/threads.h"
#include "core/dispatch.h"
#include "core/on_device.h"
#include "ops/pointwise.h"
#include "optim/update_math.h"

namespace gfsa {
namespace {

constexpr int64_t kGrain = 32768;  // elements a thread should have at least

}  // namespace

template <>
void EmaKernels<DeviceType::cpu>::update(const Tensor& average, const Tensor& value, const EmaStep* step,
                                         const Tensor&) {
  update::dispatch_master("ema", average, [&](auto zero) {
    using T = decltype(zero);
    const T keep = T(step->decay), weight = T(step->weight);
    pointwise(
        average.numel(), average.data<T>(), [=](T old, T now) { return averaged(keep, weight, old, now); },
        average.data<T>(), value.data<T>());
  });
}

template <>
void EmaKernels<DeviceType::cpu>::swap(const Tensor& a, const Tensor& b) {
  update::dispatch_master("ema", a, [&](auto zero) {
    using T = decltype(zero);
    T* x = a.data<T>();
    T* y = b.data<T>();
    parallel_for(a.numel(), kGrain,
                 [&](int64_t begin, int64_t end) { std::swap_ranges(x + begin, x + end, y + begin); });
  });
}

void EmaConfig::describe(config::Schema& s) {
  s.field("decay", decay)
      .at_least(0)
      .below(1)
      .doc("Share of the average that one step keeps; null: no average.")
      .source("timm ModelEmaV2; DeiT 0.99996");
  s.field("warmup", warmup)
      .doc("The decay rises from 0 with the number of steps, so that short runs average well too.")
      .source("timm ModelEmaV3: 1 - (1 + step)^(-2/3)");
}

double EmaConfig::decay_at(int64_t step) const {
  const double most = decay.value_or(0);
  if (!warmup) return most;
  const double s = static_cast<double>(std::max<int64_t>(step - 1, 0));
  return std::min(most, 1 - std::pow(1 + s, -2.0 / 3.0));
}

Ema::Ema(const ParameterStore& store, const EmaConfig& config) : store_(store), config_(config) {
  if (!config_.decay) fail("Ema: made without a decay");
  if (!store.materialized()) fail("Ema: the parameters must be materialized first");
  average_ = store.flat_values().clone();
  if (!is_on_cpu(average_)) table_ = StepTable(average_.device(), sizeof(EmaStep));
}

void Ema::require_not_swapped(const char* what) const {
  if (swapped_) fail("Ema: {} while the averaged weights are in use", what);
}

void Ema::reset() {
  require_not_swapped("reset");
  average_.copy_from(store_.flat_values());
}

void Ema::update(int64_t step, const GradientScale& scale) {
  begin_update(step);
  apply_update(scale);
}

void Ema::begin_update(int64_t step) {
  const double decay = config_.decay_at(step);
  now_ = {decay, 1 - decay};
  table_.set(&now_);
}

void Ema::apply_update(const GradientScale& scale) {
  require_not_swapped("update");
  if (std::isnan(scale.factor)) return;
  const auto* step = is_on_cpu(average_) ? &now_ : static_cast<const EmaStep*>(table_.data());
  on_device("ema", average_,
            [&](auto d) { EmaKernels<d>::update(average_, store_.flat_values(), step, scale.on_device); });
}

void Ema::swap() {
  on_device("ema", average_, [&](auto d) { EmaKernels<d>::swap(average_, store_.flat_values()); });
  swapped_ = !swapped_;
}

std::vector<std::pair<std::string, Tensor>> Ema::state() const {
  require_not_swapped("state");
  std::vector<std::pair<std::string, Tensor>> out;
  for (const Parameter& p : store_.parameters()) {
    out.emplace_back(p.name, average_.slice(0, p.offset, p.offset + p.shape.numel()).view(p.shape));
  }
  return out;
}

void Ema::load_state(const std::map<std::string, Tensor>& tensors, const std::string& source) {
  const auto mine = state();
  ErrorList errors;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : mine) {
    names.push_back(name);
    const auto found = tensors.find(name);
    if (found == tensors.end()) {
      errors.add(fmt::format("{}: missing averaged tensor {} {}", source, name, tensor.shape().text()));
    } else if (!(found->second.shape() == tensor.shape())) {
      errors.add(fmt::format("{}: misshapen averaged tensor {}: {}, expected {}", source, name,
                             found->second.shape().text(), tensor.shape().text()));
    }
  }
  for (const auto& [name, tensor] : tensors) {
    if (store_.find(name) == nullptr) {
      errors.add(fmt::format("{}: unexpected averaged tensor {}{}", source, name, did_you_mean(name, names)));
    }
  }
  errors.throw_if_any();
  for (const auto& [name, tensor] : mine) tensor.copy_from(tensors.at(name));
}

EmaWeights::EmaWeights(Ema& ema) : ema_(ema) {
  ema_.require_not_swapped("EmaWeights");
  ema_.swap();
}
EmaWeights::~EmaWeights() { ema_.swap(); }

}  // namespace gfsa
