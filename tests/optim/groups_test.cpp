#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "optim/parameter_groups.h"
#include "optim/small_store.h"

namespace gfsa {
namespace {

const NamedShapes kVit{{"cls_token", {1, 1, 8}},
                       {"pos_embed", {1, 5, 8}},
                       {"patch_embed.proj.weight", {8, 3, 2, 2}},
                       {"patch_embed.proj.bias", {8}},
                       {"blocks.0.norm1.weight", {8}},
                       {"blocks.0.attn.qkv.weight", {24, 8}},
                       {"blocks.0.attn.gfsa.wK", {2}},
                       {"blocks.11.mlp.fc1.weight", {32, 8}},
                       {"blocks.11.attn.gfsa.w0", {2, 1}},
                       {"norm.weight", {8}},
                       {"fc_norm.weight", {8}},
                       {"head.weight", {10, 8}},
                       {"head.bias", {10}}};

const ParameterGroup& group_of(const std::vector<ParameterGroup>& groups, const std::string& name) {
  for (const auto& group : groups) {
    for (const Parameter* p : group.parameters) {
      if (p->name == name) return group;
    }
  }
  throw std::runtime_error("no group has " + name);
}

TEST(ParameterGroups, DefaultDecayRule) {
  const auto store = make_store(kVit, DType::f32);
  const auto groups = make_parameter_groups(*store, {}, 0.05);
  ASSERT_EQ(groups.size(), 2u);
  size_t count = 0;
  for (const auto& group : groups) count += group.parameters.size();
  EXPECT_EQ(count, kVit.size());
  for (const char* name : {"patch_embed.proj.weight", "blocks.0.attn.qkv.weight", "head.weight"}) {
    EXPECT_EQ(group_of(groups, name).weight_decay, 0.05) << name;
  }
  for (const char* name : {"cls_token", "pos_embed", "patch_embed.proj.bias", "blocks.0.norm1.weight",
                           "blocks.0.attn.gfsa.wK", "blocks.11.attn.gfsa.w0", "norm.weight", "head.bias"}) {
    EXPECT_EQ(group_of(groups, name).weight_decay, 0) << name;
  }
}

TEST(ParameterGroups, EverythingDecaysWhenAsked) {
  const auto store = make_store(kVit, DType::f32);
  GroupRules rules;
  rules.no_decay = {};
  rules.no_decay_1d = false;
  const auto groups = make_parameter_groups(*store, rules, 0.01);
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].weight_decay, 0.01);
}

// timm: the stem is layer 0, block i is i + 1, '^norm' joins the last block, fc_norm and head come after it.
TEST(ParameterGroups, LayersAsTimm) {
  const auto store = make_store(kVit, DType::f32);
  EXPECT_EQ(layer_ids(*store), (std::vector<int>{0, 0, 0, 0, 1, 1, 1, 12, 12, 12, 13, 13, 13}));
  GroupRules rules;
  rules.layer_decay = 0.75;
  const auto groups = make_parameter_groups(*store, rules, 0.05);
  EXPECT_DOUBLE_EQ(group_of(groups, "head.weight").lr_factor, 1);
  EXPECT_DOUBLE_EQ(group_of(groups, "norm.weight").lr_factor, 0.75);
  EXPECT_DOUBLE_EQ(group_of(groups, "blocks.0.attn.qkv.weight").lr_factor, std::pow(0.75, 12));
  EXPECT_DOUBLE_EQ(group_of(groups, "pos_embed").lr_factor, std::pow(0.75, 13));
}

TEST(ParameterGroups, LayersOfOtherFamilies) {
  const auto gpt2 = make_store({{"transformer.wte.weight", {9, 4}},
                                {"transformer.h.0.ln_1.weight", {4}},
                                {"transformer.h.1.attn.c_attn.weight", {4, 12}},
                                {"transformer.ln_f.weight", {4}}},
                               DType::f32);
  EXPECT_EQ(layer_ids(*gpt2), (std::vector<int>{0, 1, 2, 2}));
  const auto bert = make_store({{"bert.embeddings.word_embeddings.weight", {9, 4}},
                                {"bert.encoder.layer.0.output.dense.weight", {4, 4}},
                                {"bert.encoder.layer.2.output.dense.weight", {4, 4}},
                                {"bert.pooler.dense.weight", {4, 4}},
                                {"classifier.weight", {2, 4}}},
                               DType::f32);
  EXPECT_EQ(layer_ids(*bert), (std::vector<int>{0, 1, 3, 4, 4}));
  const auto flat = make_store({{"weight", {2, 2}}, {"bias", {2}}}, DType::f32);
  EXPECT_EQ(layer_ids(*flat), (std::vector<int>{0, 0}));
  const auto bare = make_store({{"blocks.0.w", {2, 2}}, {"blocks.1.w", {2, 2}}, {"head.w", {2}}}, DType::f32);
  EXPECT_EQ(layer_ids(*bare), (std::vector<int>{1, 2, 3}));
  // Numbers elsewhere, and other names in a container, are no blocks.
  const auto mixed = make_store({{"blocks.0.w", {2}}, {"head.3.w", {2}}, {"blocks.last.w", {2}}}, DType::f32);
  EXPECT_EQ(layer_ids(*mixed), (std::vector<int>{1, 2, 2}));
}

TEST(ParameterGroups, Factors) {
  const auto store = make_store(kVit, DType::f32);
  GroupRules rules;
  rules.lr_factors = {"*.wK=10", "blocks.0.*=0.5", "head.*=0"};
  const auto groups = make_parameter_groups(*store, rules, 0.05);
  EXPECT_DOUBLE_EQ(group_of(groups, "blocks.0.attn.gfsa.wK").lr_factor, 5);
  EXPECT_DOUBLE_EQ(group_of(groups, "blocks.0.attn.qkv.weight").lr_factor, 0.5);
  EXPECT_DOUBLE_EQ(group_of(groups, "head.weight").lr_factor, 0);
  EXPECT_DOUBLE_EQ(group_of(groups, "norm.weight").lr_factor, 1);
  for (const char* bad : {"*.wK", "*.wK=", "*.wK=x", "=3", "*.wK=-1", "*.wK=nan", "*.nothing=2"}) {
    rules.lr_factors = {bad};
    EXPECT_THROW(make_parameter_groups(*store, rules, 0.05), Error) << bad;
  }
}

TEST(OptimizerConfig, DefaultsAreTheCounterpartsAndKeysAreChecked) {
  EXPECT_EQ(optimizer_from("adamw").rule->weight_decay(), 0.01);
  EXPECT_EQ(optimizer_from("adam").rule->weight_decay(), 0);
  EXPECT_EQ(optimizer_from("lion").rule->lr(), 1e-4);
  EXPECT_EQ(optimizer_from("{name: adafactor, lr: 0.5, no_decay: '*.scale', layer_decay: 0.9}").rule->lr(), 0.5);
  for (const char* bad : {"{name: adamv}", "{name: adamw, momentum: 0.9}", "{name: adamw, betas: [0.9, 1]}",
                          "{name: sgd, nesterov: true}", "{name: sgd, layer_decay: 0}", "{name: lamb, lr: -1}"}) {
    EXPECT_THROW(optimizer_from(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace gfsa
