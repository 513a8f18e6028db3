// A NaN planted into the result of every op of a small vision transformer, and into every gradient: the report names
// op, layer and samples, and neither weights nor optimizer see it.
#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <optional>

#include "autograd/observer.h"
#include "config/reader.h"
#include "e2e/train_program.h"
#include "tasks/registry.h"
#include "train/session.h"

namespace gfsa {
namespace {

using testing::ElementsAreArray;
using train::NonFiniteStep;
using train::Session;

struct Event {
  std::string op;
  bool backward = false;
  size_t input = 0;
  std::string parameter;  // whose gradient it is, or ""
  Shape shape;
};

// Sees what happens in a step; fills the tensor of event number `target` with NaN, each time the step is run.
class Planter : public TapeObserver {
 public:
  explicit Planter(const ParameterStore& store) {
    for (const auto& p : store.parameters()) names_[p.value.slot().get()] = p.name;
  }
  void forward(const char* op, const Tensor& y, const std::vector<Tensor>&) override {
    happen({op, false, 0, "", y.shape()}, y);
  }
  void backward(const char* op, size_t i, const GradSlot& slot) override {
    const auto name = names_.find(&slot);
    happen({op, true, i, name == names_.end() ? "" : name->second, slot.shape}, slot.grad);
  }
  // From now on into this event of each run.
  void plant(size_t target) {
    if (step_events_ == 0) step_events_ = events.size();
    target_ = target, seen_ = 0;
  }
  std::vector<Event> events;  // of the first run

 private:
  void happen(const Event& event, const Tensor& t) {
    if (step_events_ == 0) return events.push_back(event);
    if (seen_++ % step_events_ == target_) t.fill(NAN);
  }
  std::map<const GradSlot*, std::string> names_;
  size_t step_events_ = 0, target_ = 0, seen_ = 0;
};

constexpr const char* kPlanted = R"(
task: image_classification
model: {name: vit, width: 16, heads: 2, depth: 1, patch: 8, image_size: 32, drop_path: 0.2, dropout: 0.1, layer_scale: 0.1}
attention: gfsa
data: {source: procedural, train_size: 40, val_size: 8}
optimizer: {name: adamw, lr: 1e-3}
train: {epochs: 1, batch_size: 8, ema: {decay: 0.9}}
threads: 1
)";

// The forward pass by hand: op, and the layer that a report should name.
const std::vector<std::pair<std::string, std::string>> kForward{
    {"patch_embed", "patch_embed.proj"},
    {"expand", "cls_token"},
    {"concat", "cls_token"},
    {"add", "pos_embed"},
    {"dropout", "pos_embed"},
    {"layer_norm", "blocks.0.norm1"},
    {"linear", "blocks.0.attn.qkv"},
    {"coefficient_table", "blocks.0.attn.gfsa"},
    {"attention", "blocks.0.attn.gfsa"},
    {"linear", "blocks.0.attn.proj"},
    {"dropout", "blocks.0.attn.proj"},
    {"drop_path", "blocks.0.attn.proj"},
    {"residual_scale", "blocks.0.ls1"},
    {"layer_norm", "blocks.0.norm2"},
    {"linear", "blocks.0.mlp.fc1"},
    {"dropout", "blocks.0.mlp.fc1"},
    {"linear", "blocks.0.mlp.fc2"},
    {"dropout", "blocks.0.mlp.fc2"},
    {"drop_path", "blocks.0.mlp.fc2"},
    {"residual_scale", "blocks.0.ls2"},
    {"select", "blocks.0.ls2"},
    {"layer_norm", "norm"},
    {"linear", "head"},
    {"cross_entropy", "head"},
};

std::string layer_of(const std::string& parameter) {
  const size_t dot = parameter.rfind('.');
  return dot == std::string::npos ? parameter : parameter.substr(0, dot);
}

struct Planting {
  explicit Planting(const std::vector<std::string>& overrides) : config(tasks::task_registry()) {
    config::load_text(config, kPlanted, "text", overrides);
    train::apply_machine_settings(config);
    session = std::make_unique<Session>(config);
    const auto s = session->snapshot("");
    for (const auto& [name, t] : s.model) start.model[name] = t.clone();
    for (const auto& [name, t] : s.optimizer) start.optimizer[name] = t.clone();
    for (const auto& [name, t] : s.ema) start.ema[name] = t.clone();
    for (const auto& batch : session->next_batches()) {
      for (const int64_t id : batch.at("sample_ids").to_vector<int64_t>()) ids.push_back(id);
    }
    planter = std::make_unique<Planter>(session->store);
    const ObserveTape observe(*planter);
    session->step();
  }
  // The report of the first step with a NaN at this event; nothing if the step went well.
  std::optional<train::NonFinite> report(size_t event) {
    session->restore(start);
    planter->plant(event);
    const ObserveTape observe(*planter);
    try {
      session->step();
    } catch (const NonFiniteStep& e) {
      return e.report();
    }
    return std::nullopt;
  }
  train::RunConfig config;
  std::unique_ptr<Session> session;
  train::LoadedCheckpoint start;
  std::vector<int64_t> ids;
  std::unique_ptr<Planter> planter;
};

TEST(NonFiniteInjection, ForwardAndBackwardOfEveryOpAreNamedWithTheirLayer) {
  Planting p({});
  const auto& events = p.planter->events;
  std::vector<std::string> forward, expected;
  for (const auto& e : events) {
    if (!e.backward) forward.push_back(e.op);
  }
  for (const auto& [op, layer] : kForward) expected.push_back(op);
  ASSERT_THAT(forward, ElementsAreArray(expected));
  size_t node = kForward.size();  // whose backward is running: they come in reverse
  for (size_t k = 0; k < events.size(); ++k) {
    const Event& e = events[k];
    const std::string what = fmt::format("event {}: {} {}", k, e.backward ? "backward" : "forward", e.op);
    const auto report = p.report(k);
    ASSERT_TRUE(report) << "nothing was noticed of " << what;
    const auto& r = *report;
    EXPECT_EQ(r.op, e.op) << what;
    EXPECT_EQ(r.phase, e.backward ? "backward" : "forward") << what;
    EXPECT_EQ(r.tensor.shape, e.shape) << what;
    EXPECT_TRUE(std::isnan(r.tensor.value)) << what;
    EXPECT_EQ(r.sample_ids, p.ids) << what;
    if (!e.backward) {
      EXPECT_EQ(r.layer(), kForward[k].second) << what;
      EXPECT_EQ(r.is_loss, e.op == "cross_entropy") << what;
      if (e.op == "expand") continue;  // its result is the parameter's own memory
    } else {
      if (k == 0 || !events[k - 1].backward || e.input <= events[k - 1].input || e.op != events[k - 1].op) {
        do --node;
        while (kForward[node].first != e.op);
      }
      EXPECT_EQ(r.tensor.name,
                "the gradient of " + (e.parameter.empty() ? fmt::format("input {}", e.input) : e.parameter));
      EXPECT_EQ(r.layer(), e.parameter.empty() ? kForward[node].second : layer_of(e.parameter)) << what;
      EXPECT_TRUE(std::isfinite(r.loss)) << what;
    }
    // Nothing of it stays.
    const auto after = p.session->snapshot("");
    for (const auto& [name, t] : after.model) {
      EXPECT_EQ(t.to_vector<float>(), p.start.model.at(name).to_vector<float>()) << what << " " << name;
    }
    EXPECT_EQ(p.session->first_not_finite_tensor(), "") << what;
  }
}

TEST(NonFiniteInjection, EveryOpIsNamedInBf16WithRecomputedBlocksAndInTheSecondOfTwoBatches) {
  const std::vector<std::vector<std::string>> variants{
      {"precision=bf16"},
      {"model.checkpoint_blocks=true"},
      {"train.batch_size=4", "train.accumulate=2"},
      {"model.pool=mean", "attention.variant=softmax", "model.layer_scale=0"}};
  for (const auto& overrides : variants) {
    Planting p(overrides);
    const auto& events = p.planter->events;
    for (size_t k = 0; k < events.size(); ++k) {
      const std::string what = fmt::format("{}, event {}: {}", overrides[0], k, events[k].op);
      const auto report = p.report(k);
      if (!report) {
        // A block that backward runs again does so for what it saves: nobody reads its result.
        ASSERT_TRUE(overrides[0] == "model.checkpoint_blocks=true" && events[k].op == "residual_scale") << what;
        continue;
      }
      const auto& r = *report;
      EXPECT_EQ(r.op, events[k].op) << what;
      EXPECT_EQ(r.phase, events[k].backward ? "backward" : "forward") << what;
      EXPECT_EQ(r.tensor.shape, events[k].shape) << what;
      EXPECT_EQ(r.sample_ids, p.ids) << what;
      if (overrides.size() == 2 && events[k].op != "expand") {  // whose result is the parameter's own memory
        EXPECT_EQ(r.batch, k < events.size() / 2 ? 0 : 1) << what;
      }
    }
  }
}

}  // namespace
}  // namespace gfsa
