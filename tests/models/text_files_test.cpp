// Weights and config.json as transformers has them: names, older names, base models, what does not fit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "autograd/autograd.h"
#include "formats/tensor_file.h"
#include "models/text_case.h"
#include "support/op_case.h"
#include "support/process.h"
#include "support/temporary_folder.h"

namespace gfsa::test {
namespace {

using testing::HasSubstr;

constexpr auto kClasses = TextHead::classification;
constexpr auto kMasked = TextHead::masked_lm;
constexpr auto kCausal = TextHead::causal_lm;

const std::string kTiny = "width: 12, depth: 2, heads: 3, mlp_width: 20, vocabulary: 23, positions: 9";

std::string tiny(const std::string& family, const std::string& more = "") {
  return fmt::format("{{name: {}, {}{}{}}}", family, kTiny, family == "albert" ? ", embedding_width: 6" : "", more);
}

TextInputs some_ids() {
  TextInputs in;
  in.ids = Tensor::from<int64_t>({2, 4}, {2, 7, 11, 3, 5, 22, 0, 0});
  in.lengths = Tensor::from<int64_t>({2}, {4, 2});
  return in;
}

std::vector<double> logits(const TextSubject& s) {
  const NoGrad guard;
  return s.model->forward(some_ids(), s.context).to_vector<double>();
}

std::unique_ptr<TextModelConfig> config_of(const std::string& yaml) {
  TextSections sections;
  config::load_text(sections, "model: " + yaml + "\nattention: softmax\noptimizer: adamw\n");
  return std::move(sections.model);
}

int64_t published_count(const std::string& model, const std::string& attention, TextHead head) {
  TextSections sections;
  config::load_text(sections, "model: " + model + "\nattention: " + attention + "\noptimizer: adamw\n");
  ParameterStore store;
  sections.model->build(Scope(store), sections.attention, head, 2);
  return store.count();
}

TEST(TextModels, PublishedParameterCounts) {
  const auto count = published_count;
  EXPECT_EQ(count("{name: bert, vocabulary: 30522}", "gfsa", kClasses), 109'483'922);
  EXPECT_EQ(count("{name: bert, vocabulary: 30522}", "softmax", kClasses), 109'483'778);
  EXPECT_EQ(count("{name: bert, vocabulary: 30522}", "softmax", kMasked), 109'514'298);
  EXPECT_EQ(count("{name: bert, preset: bert_large, vocabulary: 30522}", "softmax", kClasses), 335'143'938);
  EXPECT_EQ(count("{name: bert, preset: bert_tiny, vocabulary: 30522}", "softmax", kClasses), 4'386'178);
  EXPECT_EQ(count("{name: roberta, vocabulary: 50265}", "gfsa", kClasses), 124'647'314);
  EXPECT_EQ(count("{name: albert, vocabulary: 30000}", "gfsa", kClasses), 11'685'134);
  EXPECT_EQ(count("{name: gpt2, vocabulary: 50257}", "gfsa", kCausal), 124'439'952);
  EXPECT_EQ(count("{name: gpt2, vocabulary: 50257}", "{variant: gfsa, layers: even}", kCausal), 124'439'808 + 72);
  EXPECT_EQ(count("{name: gpt2, preset: gpt2_medium, vocabulary: 50257}", "softmax", kCausal), 354'823'168);
}

struct Family {
  const char *name, *base, *layer_norm;
  TextHead head;
};
const Family kFamilies[] = {
    {"bert", "bert", "embeddings.LayerNorm", kClasses},
    {"bert", "bert", "embeddings.LayerNorm", kMasked},
    {"roberta", "roberta", "embeddings.LayerNorm", kClasses},
    {"roberta", "roberta", "embeddings.LayerNorm", kMasked},
    {"albert", "albert", "embeddings.LayerNorm", kClasses},
    {"albert", "albert", "embeddings.LayerNorm", kMasked},
    {"gpt2", "transformer", "", kCausal},
};

// A file of the base model: no prefix, old names, buffers, heads of pretraining; no head of this task, no filter.
TEST(TextModels, TakeFilesOfTheBaseModel) {
  for (const Family& f : kFamilies) {
    SCOPED_TRACE(f.name);
    const TextSubject source(tiny(f.name), "softmax", f.head, 3);
    TextSubject s(tiny(f.name), "gfsa", f.head, 3);
    std::map<std::string, Tensor> file;
    const std::string prefix = std::string(f.base) + ".";
    for (const auto& [name, value] : weights_of(source.store)) {
      if (!name.starts_with(prefix) || name.find("pooler") != std::string::npos) continue;
      std::string base = name.substr(prefix.size());
      if (base == std::string(f.layer_norm) + ".weight") base = std::string(f.layer_norm) + ".gamma";
      if (base == std::string(f.layer_norm) + ".bias") base = std::string(f.layer_norm) + ".beta";
      file[base] = value;
    }
    if (f.head == kCausal) {
      file["lm_head.weight"] = Tensor::zeros({23, 12}, DType::f32);
      file["h.0.attn.bias"] = Tensor::zeros({1, 1, 9, 9}, DType::f32);
    } else {
      file["embeddings.position_ids"] = Tensor::zeros({1, 9}, DType::i64);
    }
    for (const Parameter& p : s.store.parameters()) p.value.fill(0.125);
    s.store.load(file, "base", s.model->load_options());
    for (const Parameter& p : s.store.parameters()) {
      const bool in_file = p.name.starts_with(prefix) && p.name.find("pooler") == std::string::npos &&
                           p.name.find("gfsa") == std::string::npos;
      const Tensor expected = in_file ? source.store.find(p.name)->value : Tensor::full(p.shape, 0.125, DType::f32);
      expect_same_bits(p.value.detach(), expected.detach(), p.name);
    }
    // As a checkpoint of a run such a file is not enough.
    expect_error([&] { s.store.load(file, "checkpoint"); }, {"missing tensor"});
    // A tensor that nobody knows is no head of pretraining.
    file["encoder.layre.0.weight"] = Tensor::zeros({1}, DType::f32);
    expect_error([&] { s.store.load(file, "base", s.model->load_options()); }, {"unexpected tensor encoder.layre.0"});
  }
}

TEST(TextModels, HeadsOfOtherTasksArePassedOver) {
  for (const char* family : {"bert", "roberta", "albert"}) {
    SCOPED_TRACE(family);
    const TextSubject masked(tiny(family), "softmax", kMasked, 0), classifier(tiny(family), "softmax", kClasses, 2);
    TextSubject s(tiny(family), "gfsa", kClasses, 3), m(tiny(family), "gfsa", kMasked, 0);
    s.store.load(weights_of(masked.store), "masked", s.model->load_options());
    m.store.load(weights_of(classifier.store), "classifier", m.model->load_options());
    // Three classes are not two.
    expect_error([&] { s.store.load(weights_of(classifier.store), "file", s.model->load_options()); },
                 {"misshapen tensor classifier"});
  }
}

TEST(TextModels, ConfigJsonComesBackAsItWasWritten) {
  for (const Family& f : kFamilies) {
    const auto before = config_of(tiny(f.name, ", eps: 1e-6, activation: relu, dropout: 0.25"));
    AttentionConfig attention;
    attention.dropout = 0.5;
    const std::string json = before->config_json(f.head, 3, attention);
    const auto after = config_of(fmt::format("{{name: {}}}", f.name));
    after->take_config_json(json, "config.json");
    EXPECT_EQ(after->config_json(f.head, 3, attention), json);
    EXPECT_EQ(after->max_tokens(), 9);
    EXPECT_EQ(after->vocabulary(), 23);
    const auto parsed = nlohmann::json::parse(json);
    EXPECT_EQ(parsed.at("model_type"), f.name);
    EXPECT_EQ(parsed.contains("id2label") ? parsed.at("id2label").size() : 0, f.head == kClasses ? 3 : 0);
    EXPECT_EQ(parsed.at(f.head == kCausal ? "attn_pdrop" : "attention_probs_dropout_prob"), 0.5);
  }
}

TEST(TextModels, ConfigJsonIsComparedWithTheYaml) {
  const auto model = config_of("{name: bert, width: 24, heads: 2, vocabulary: 50, eps: 1e-5, dropout: 0}");
  expect_error(
      [&] {
        model->take_config_json(
            R"({"model_type": "bert", "hidden_size": 12, "num_attention_heads": 5, "vocab_size": 60,
                "layer_norm_eps": 1e-12, "hidden_act": "gleu", "position_embedding_type": "relative_key",
                "is_decoder": true, "num_hidden_layers": "two", "type_vocab_size": 0, "hidden_dropout_prob": 0.5})",
            "c.json");
      },
      {"c.json: hidden_size is 12, but model.width is 24", "c.json: num_attention_heads is 5, but model.heads is 2",
       "c.json: vocab_size is 60, but model.vocabulary is 50",
       "c.json: layer_norm_eps is 1e-12, but model.eps is 1e-05", "c.json: hidden_act is \"gleu\", expected gelu",
       "did you mean 'gelu'?", "c.json: position_embedding_type is \"relative_key\", expected \"absolute\"",
       "c.json: is_decoder is true, expected false", "c.json: num_hidden_layers is \"two\", expected an integer",
       "c.json: type_vocab_size is 0, expected an integer from 1 to 1000"});
  expect_error([&] { model->take_config_json(R"({"model_type": "gpt2"})", "c.json"); },
               {"c.json: model_type is 'gpt2', expected 'bert'"});
  expect_error([&] { model->take_config_json("[1", "c.json"); }, {"c.json: not a JSON object"});
  const auto large = config_of("{name: bert, preset: bert_large}");
  expect_error([&] { large->take_config_json(R"({"num_attention_heads": 16, "hidden_size": 1024})", "c.json"); },
               {"c.json: num_hidden_layers is absent, but model.preset bert_large has depth 24",
                "c.json: intermediate_size is absent, but model.preset bert_large has mlp_width 4096"});
  const auto albert = config_of("{name: albert, embedding_width: 64}");
  expect_error(
      [&] {
        albert->take_config_json(R"({"embedding_size": 128, "num_hidden_groups": 2, "inner_group_num": 3})", "c");
      },
      {"c: embedding_size is 128, but model.embedding_width is 64", "c: num_hidden_groups is 2, expected 1",
       "c: inner_group_num is 3, expected 1"});
  const auto gpt2 = config_of("{name: gpt2}");
  expect_error(
      [&] {
        gpt2->take_config_json(R"({"scale_attn_by_inverse_layer_idx": true, "scale_attn_weights": false, "n_head": 7})",
                               "c");
      },
      {"scale_attn_by_inverse_layer_idx is true", "scale_attn_weights is false", "n_head is 7, expected a divisor"});
  const auto roberta = config_of("{name: roberta}");
  expect_error([&] { roberta->take_config_json(R"({"pad_token_id": 0})", "c"); }, {"pad_token_id is 0, expected 1"});
}

// Whatever stands in the file: it is taken, or it is bad input.
TEST(TextModels, ConfigJsonWithAnyValueIsTakenOrRefused) {
  const nlohmann::json values{nullptr,
                              true,
                              false,
                              -1,
                              0,
                              1,
                              7,
                              1e300,
                              -0.5,
                              9223372036854775807,
                              18446744073709551615u,
                              "",
                              "two",
                              "\xff",
                              "gelu",
                              nlohmann::json::array({1}),
                              nlohmann::json::object()};
  int taken = 0, refused = 0;
  for (const Family& f : kFamilies) {
    const auto whole = nlohmann::json::parse(config_of(tiny(f.name))->config_json(f.head, 2, {}));
    for (const auto& [key, original] : whole.items()) {
      for (const auto& value : values) {
        auto changed = whole;
        changed[key] = value;
        const auto model = config_of(fmt::format("{{name: {}}}", f.name));
        try {
          model->take_config_json(changed.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), "c.json");
          ++taken;
        } catch (const Error& e) {
          EXPECT_EQ(e.exit_code(), kExitBadInput) << e.message();
          EXPECT_THAT(e.message(), HasSubstr(key));
          ++refused;
        }
      }
    }
  }
  EXPECT_GT(taken, 500);
  EXPECT_GT(refused, 500);
}

TEST(TextModels, ConfigJsonFillsWhatTheYamlLeavesOpen) {
  const auto model = config_of("{name: gpt2, dropout: 0.2}");
  model->take_config_json(R"({"n_embd": 24, "n_head": 4, "n_layer": 3, "n_positions": 17, "vocab_size": 99,
                              "activation_function": "gelu_pytorch_tanh", "resid_pdrop": 0.4, "n_inner": null})",
                          "c");
  const auto out = nlohmann::json::parse(model->config_json(kCausal, 0, {}));
  EXPECT_EQ(out.at("n_embd"), 24);
  EXPECT_EQ(out.at("n_inner"), 96);
  EXPECT_EQ(out.at("n_layer"), 3);
  EXPECT_EQ(out.at("n_positions"), 17);
  EXPECT_EQ(out.at("activation_function"), "gelu_new");
  EXPECT_EQ(out.at("resid_pdrop"), 0.2);
  EXPECT_EQ(out.at("layer_norm_epsilon"), 1e-5);
  EXPECT_EQ(model->max_tokens(), 17);
  // RoBERTa's table has two rows more than texts can have tokens.
  const auto roberta = config_of("{name: roberta}");
  roberta->take_config_json(R"({"max_position_embeddings": 514})", "c");
  EXPECT_EQ(roberta->max_tokens(), 512);
}

// What the tokenizer has; null for what transformers would assume otherwise.
TEST(TextModels, ConfigJsonHasTheTokenizersIds) {
  const auto written = [](TextModelConfig& model) {
    const auto json = nlohmann::json::parse(model.config_json(kMasked, 0, {}));
    std::map<std::string, nlohmann::json> ids;
    for (const char* key : {"pad_token_id", "bos_token_id", "eos_token_id"}) {
      if (json.contains(key)) ids[key] = json.at(key);
    }
    return ids;
  };
  using Ids = std::map<std::string, nlohmann::json>;
  const nlohmann::json none;
  const auto bert = config_of(tiny("bert")), gpt2 = config_of(tiny("gpt2")), roberta = config_of(tiny("roberta"));
  EXPECT_EQ(written(*bert), (Ids{{"pad_token_id", none}}));
  EXPECT_EQ(written(*gpt2), (Ids{{"bos_token_id", none}, {"eos_token_id", none}}));
  EXPECT_EQ(written(*roberta), (Ids{{"pad_token_id", 1}, {"bos_token_id", none}, {"eos_token_id", none}}));
  bert->take_config_json(R"({"pad_token_id": 9, "num_attention_heads": 3, "hidden_size": 12, "num_hidden_layers": 2,
                             "intermediate_size": 20, "vocab_size": 23, "max_position_embeddings": 9})",
                         "c");
  EXPECT_EQ(written(*bert), (Ids{{"pad_token_id", 9}}));
  bert->set_special_ids({{"pad", 5}, {"eos", 6}});
  gpt2->set_special_ids({{"eos", 7}});
  roberta->set_special_ids({{"pad", 1}, {"bos", 3}, {"eos", 22}});
  EXPECT_EQ(written(*bert), (Ids{{"pad_token_id", 5}, {"eos_token_id", 6}}));
  EXPECT_EQ(written(*gpt2), (Ids{{"bos_token_id", none}, {"eos_token_id", 7}}));
  EXPECT_EQ(written(*roberta), (Ids{{"pad_token_id", 1}, {"bos_token_id", 3}, {"eos_token_id", 22}}));
  expect_error(
      [&] {
        roberta->set_special_ids({{"pad", 0}});
      },
      {"tokenizer: pads with the id 0, but roberta counts positions after the padding token's id", "1"});
  expect_error([&] { roberta->set_special_ids({{"bos", 0}}); }, {"tokenizer: has no padding token"});
}

TEST(TextModels, HeadsThatAFamilyHas) {
  const auto bert = config_of("{name: bert}"), gpt2 = config_of("{name: gpt2}");
  EXPECT_TRUE(bert->has(kClasses) && bert->has(kMasked) && !bert->has(kCausal));
  EXPECT_TRUE(gpt2->has(kCausal) && !gpt2->has(kMasked));
}

// transformers reads what is written here and computes the same; what it writes is read back.
TEST(TextModels, TransformersReadsAndWritesTheFiles) {
  const char* python = std::getenv("GFSA_PYTHON");
  if (python == nullptr) GTEST_SKIP() << "GFSA_PYTHON names no Python";
  if (run_process({python, "-c", "import torch, transformers, safetensors"}).exit_code != 0)
    GTEST_SKIP() << python << " has no torch, transformers or safetensors";
  const TemporaryFolder folder;
  nlohmann::json cases = nlohmann::json::array();
  std::vector<std::vector<double>> ours;
  for (const Family& f : kFamilies) {
    const std::string at = folder / fmt::format("{}{}", f.name, ours.size());
    Env::real().create_directories(at);
    const TextSubject s(tiny(f.name), "softmax", f.head, 3);
    NamedTensors tensors;
    for (const auto& [name, value] : weights_of(s.store)) tensors.emplace_back(name, value);
    write_tensors(Env::real(), at + "/model.safetensors", tensors, {{"format", "pt"}});
    Env::real().write(at + "/config.json", s.sections.model->config_json(f.head, 3, s.sections.attention));
    cases.push_back({{"folder", at}, {"offset", f.name == std::string("roberta")}});
    ours.push_back(logits(s));
  }
  const std::string script = R"(
import json, sys, torch, transformers
for case in json.load(open(sys.argv[1])):
    folder = case["folder"]
    name = json.load(open(folder + "/config.json"))["architectures"][0]
    model, info = getattr(transformers, name).from_pretrained(folder, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"], info
    ids = torch.tensor([[2, 7, 11, 3], [5, 22, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    keys = dict(position_ids=torch.arange(4)[None] + 2) if case["offset"] else {}
    out = model.eval()(input_ids=ids, attention_mask=mask, **keys).logits
    json.dump(out.reshape(-1).tolist(), open(folder + "/logits.json", "w"))
    model.save_pretrained(folder + "/again")
)";
  Env::real().write(folder / "cases.json", cases.dump());
  const auto result = run_process({python, "-c", script, folder / "cases.json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (size_t i = 0; i < std::size(kFamilies); ++i) {
    const Family& f = kFamilies[i];
    SCOPED_TRACE(fmt::format("{} {}", f.name, i));
    const std::string at = cases[i]["folder"];
    const std::vector<double> theirs = nlohmann::json::parse(Env::real().read(at + "/logits.json"));
    ASSERT_EQ(theirs.size(), ours[i].size());
    // Language models: the padded rows of the second text hold anything.
    const size_t real = f.head == kClasses ? ours[i].size() : ours[i].size() / 8 * 6;
    expect_close(std::vector<double>(ours[i].begin(), ours[i].begin() + static_cast<int64_t>(real)),
                 std::vector<double>(theirs.begin(), theirs.begin() + static_cast<int64_t>(real)), 1e-5, "logits");
    const auto config = config_of(fmt::format("{{name: {}}}", f.name));
    config->take_config_json(Env::real().read(at + "/again/config.json"), "config.json");
    ParameterStore store;
    const auto model = config->build(Scope(store), AttentionConfig(), f.head, 3);
    store.materialize(1);
    store.load(read_tensors(at + "/again/model.safetensors"), "again");  // every tensor, and no other
    const auto start = weights_of(TextSubject(tiny(f.name), "softmax", f.head, 3).store);
    for (const Parameter& p : store.parameters()) expect_same_bits(p.value.detach(), start.at(p.name), p.name);
  }
}

}  // namespace
}  // namespace gfsa::test
