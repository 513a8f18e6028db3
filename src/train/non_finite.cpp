#include "train/non_finite.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "autograd/observer.h"
#include "train/finite.h"

namespace gfsa::train {
namespace {

std::string number(double x) { return fmt::format("{}", x); }

// The first tensor that is not finite, and what stood around it.
class Tracer : public TapeObserver {
 public:
  Tracer(const ParameterStore& store, const std::vector<data::Batch>& batches, NonFinite& report)
      : batches_(batches), report_(report) {
    for (const auto& p : store.parameters()) names_.emplace(p.value.slot().get(), p.name);
  }
  bool found() const { return found_; }

  void begin(size_t batch) {
    batch_ = static_cast<int64_t>(batch);
    last_parameter_.clear();
    if (found_) return;
    for (const auto& [name, tensor] : batches_[batch].tensors) {
      if (take("forward", "input", "batch tensor " + name, tensor, {}, true)) return;
    }
  }

  void forward(const char* op, const Tensor& y, const std::vector<Tensor>& inputs) override {
    Near near{last_parameter_, false};
    for (const Tensor& x : inputs) {
      const std::string name = name_of(x.slot().get());
      if (name.empty()) continue;
      if (!near.is_input) near = {name, true};
      last_parameter_ = name;
    }
    for (const Tensor& x : inputs) {
      if (x.slot()) near_[{x.slot().get(), op}] = near;
    }
    if (found_) return;
    const int64_t rows = batches_[static_cast<size_t>(batch_)].size;
    const bool of_samples = std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& x) {
      return x && x.rank() > 0 && x.dim(0) == rows && name_of(x.slot().get()).empty();
    });
    if (!take("forward", op, "the result", y, near, of_samples)) return;
    report_.inputs_finite =
        std::all_of(inputs.begin(), inputs.end(), [](const Tensor& x) { return !x || !first_not_finite(x); });
    report_.is_loss = y.numel() == 1;
  }

  void backward(const char* op, size_t i, const GradSlot& slot) override {
    if (found_) return;
    const std::string name = name_of(&slot);
    const auto near = near_.find({&slot, op});
    take("backward", op, "the gradient of " + (name.empty() ? fmt::format("input {}", i) : name), slot.grad,
         !name.empty()         ? Near{name, true}
         : near == near_.end() ? Near{}
                               : near->second,
         name.empty() && i == 0);
  }

 private:
  struct Near {
    std::string parameter;
    bool is_input = false;
  };

  std::string name_of(const GradSlot* slot) const {
    const auto found = slot == nullptr ? names_.end() : names_.find(slot);
    return found == names_.end() ? "" : found->second;
  }

  // of_samples: the tensor's first dimension is the batch's, if it is as long.
  bool take(const char* phase, const char* op, const std::string& name, const Tensor& t, const Near& near,
            bool of_samples) {
    auto bad = describe_not_finite(name, t);
    if (!bad) return false;
    found_ = true;
    report_.phase = phase;
    report_.op = op;
    report_.tensor = std::move(*bad);
    report_.parameter = near.parameter;
    report_.parameter_is_input = near.is_input;
    report_.batch = batch_;
    const data::Batch& batch = batches_[static_cast<size_t>(batch_)];
    if (of_samples && t.rank() > 0 && t.dim(0) == batch.size && batch.has("sample_ids")) {
      report_.sample = batch.at("sample_ids").to_vector<int64_t>()[static_cast<size_t>(report_.tensor.index[0])];
    }
    return true;
  }

  const std::vector<data::Batch>& batches_;
  NonFinite& report_;
  std::map<const GradSlot*, std::string> names_;
  std::map<std::pair<const GradSlot*, std::string_view>, Near> near_;  // by input and op
  std::string last_parameter_;
  int64_t batch_ = 0;
  bool found_ = false;
};

}  // namespace

std::optional<NotFiniteTensor> describe_not_finite(const std::string& name, const Tensor& t) {
  const auto first = first_not_finite(t);
  if (!first) return std::nullopt;
  NotFiniteTensor out{name, t.shape(), t.dtype(), {}, 0};
  Tensor element = t.detach();
  const Shape strides = t.shape().contiguous_strides();
  for (int64_t d = 0, rest = *first; d < t.rank(); ++d) {
    const int64_t i = rest / strides[static_cast<int>(d)];
    rest %= strides[static_cast<int>(d)];
    out.index.push_back(i);
    element = element.select(0, i);
  }
  out.value = element.item();
  return out;
}

std::string NotFiniteTensor::text() const {
  return fmt::format("{}, {} {}, is {} at [{}]", name, name_of(dtype), shape.text(), value, fmt::join(index, ", "));
}

std::string NonFinite::layer() const {
  const size_t dot = parameter.rfind('.');
  return dot == std::string::npos ? parameter : parameter.substr(0, dot);
}

std::string NonFinite::text() const {
  std::string out = fmt::format("step {}: the loss is {}, the gradient's norm {}; ", step, loss, grad_norm);
  if (phase == "optimizer") {
    out += fmt::format("the update by {} went wrong: {}", op, tensor.text());
  } else if (op.empty()) {
    out +=
        "run a second time, every tensor of it was finite: a fault of the machine (memory?), or an op whose result "
        "changes from run to run";
  } else if (op == "input") {
    out += fmt::format("the data are to blame: {}", tensor.text());
  } else {
    out += fmt::format("first in {}: of {}, {}", phase, op, tensor.text());
    if (inputs_finite && is_loss) out += "; its inputs are finite: the loss overflowed in this reduction";
    if (inputs_finite && !is_loss) out += "; its inputs are finite";
  }
  if (!parameter.empty()) {
    const bool known = tensor.name.ends_with(parameter);
    out += known ? fmt::format("; layer {}", layer())
           : parameter_is_input
               ? fmt::format("; it uses {}, layer {}", parameter, layer())
               : fmt::format("; the parameter used last before it is {}, layer {}", parameter, layer());
  }
  if (sample) out += fmt::format("; that is sample {}", *sample);
  if (!sample_ids.empty()) {
    constexpr size_t kShown = 16;
    out += "; its samples are";
    for (size_t i = 0; i < std::min(kShown, sample_ids.size()); ++i) out += fmt::format(" {}", sample_ids[i]);
    if (sample_ids.size() > kShown) out += fmt::format(" and {} more", sample_ids.size() - kShown);
  }
  return out;
}

void find_first_not_finite(const ParameterStore& store, const std::vector<data::Batch>& batches, const Rerun& rerun,
                           NonFinite& report) {
  Tracer tracer(store, batches, report);
  {
    const ObserveTape observe(tracer);
    rerun([&](size_t batch) { tracer.begin(batch); });
  }
  if (!tracer.found()) report.phase = std::isfinite(report.loss) ? "backward" : "forward";
}

void write_report(Env& env, const std::string& run_dir, const NonFinite& r, const std::string& action) {
  nlohmann::ordered_json j;
  j["step"] = r.step;
  j["phase"] = r.phase;
  j["op"] = r.op;
  j["tensor"] = r.tensor.name;
  j["dtype"] = name_of(r.tensor.dtype);
  j["shape"] = std::vector<int64_t>(r.tensor.shape.begin(), r.tensor.shape.end());
  j["index"] = r.tensor.index;
  j["value"] = number(r.tensor.value);
  j["inputs_finite"] = r.inputs_finite;
  j["parameter"] = r.parameter;
  j["parameter_is_input"] = r.parameter_is_input;
  j["layer"] = r.layer();
  j["batch"] = r.batch;
  if (r.sample) j["sample"] = *r.sample;
  j["loss"] = number(r.loss);
  j["grad_norm"] = number(r.grad_norm);
  j["sample_ids"] = r.sample_ids;
  j["action"] = action;
  j["text"] = r.text();
  const std::string folder = run_dir + "/non_finite";
  env.create_directories(folder);
  env.write(fmt::format("{}/step-{:08}.json", folder, r.step), j.dump(2) + "\n");
}

MetricsRow to_row(const NonFinite& r, double epoch, int64_t in_a_row) {
  return {.kind = "non_finite",
          .step = r.step,
          .epoch = epoch,
          .figures = {{"loss", r.loss}, {"grad_norm", r.grad_norm}, {"in_a_row", static_cast<double>(in_a_row)}},
          .coefficients = {}};
}

}  // namespace gfsa::train
