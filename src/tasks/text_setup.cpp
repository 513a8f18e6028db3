#include "tasks/text_setup.h"

#include <map>

#include "base/error.h"
#include "base/log.h"
#include "base/strings.h"
#include "tokenizers/train.h"

namespace gfsa::tasks {
namespace {

constexpr const char *kConfig = "config.json", *kTokenizer = "tokenizer.json", *kWeights = "model.safetensors";

std::string head_text(TextHead head) {
  return head == TextHead::classification ? "classification" : head == TextHead::causal_lm ? "causal" : "masked-token";
}

}  // namespace

void TokenizerConfig::describe(config::Schema& s) {
  s.field("path", path)
      .doc(
          "A folder or file in one of Hugging Face's formats: tokenizer.json, vocab.json with merges.txt, vocab.txt, "
          "spiece.model. Empty: model.pretrained's, else one is trained from the training text.");
  s.field("kind", kind)
      .choices({"auto", "wordpiece", "byte_bpe", "word", "character", "byte"})
      .doc(
          "What is trained; auto: what the model's family uses. Special tokens, and what stands around texts, are the "
          "family's, too.");
  s.field("vocabulary", vocabulary).positive().unit("tokens").doc("Size of a trained vocabulary, at most.");
  s.field("min_frequency", min_frequency).positive().doc("How often a pair or word must occur to become a token.");
  s.field("lowercase", lowercase)
      .doc("wordpiece: letters are made small, accents dropped, as in BERT's uncased models.");
}

void TextSetup::ModelSection::describe(config::Schema& s) {
  s.shorthand("name");
  s.variant("name", config, text_model_registry(), "Which " + text_model_registry().what() + ".");
  s.field("pretrained", pretrained)
      .path()
      .doc(
          "A folder of Hugging Face's (config.json, model.safetensors, tokenizer): sizes, weights and, unless "
          "tokenizer.path is given, the tokenizer come from there. A new head and the filter start from their own "
          "initial values.");
}

TextSetup::TextSetup(const std::string& model, TextHead head) : head_(head) {
  model_section_.config = text_model_registry().make(model);
}

void TextSetup::describe(config::Schema& s) {
  s.section("model", model_section_, "The network.");
  s.check(model_section_.config->has(head_), "model",
          fmt::format("'{}' has no {} head", text_model_registry().name_of(*model_section_.config), head_text(head_)));
  s.section("attention", attention_, "The one switch between plain attention and its filters.");
  s.section("tokenizer", tokenizer_config_, "How text becomes numbers.");
}

std::shared_ptr<const tokenizers::Tokenizer> TextSetup::given_tokenizer() const {
  if (!tokenizer_config_.path.empty()) return tokenizers::read_tokenizer(tokenizer_config_.path);
  if (model_section_.pretrained) return tokenizers::read_tokenizer(*model_section_.pretrained);
  return nullptr;
}

void TextSetup::use_companions(const train::Companions& stored, const std::string& folder) {
  stored_ = stored_ || !stored.empty();
  const auto config = stored.find(kConfig);
  if (config != stored.end()) model_section_.config->take_config_json(config->second, folder + "/" + kConfig);
  if (!stored.contains(kTokenizer)) return;
  tokenizer_ = tokenizers::read_tokenizer(folder + "/" + kTokenizer);
  const std::string& path = tokenizer_config_.path;
  if (path.empty() || !Env::real().exists(path)) return;
  const auto given = tokenizers::read_tokenizer(path);
  if (given->fingerprint() == tokenizer_->fingerprint()) return;
  bad_input(
      "tokenizer.path: {} (fingerprint {}) is not the tokenizer that the weights in {} were trained with (fingerprint "
      "{}, "
      "its {}); leave tokenizer.path out or name that one",
      path, given->fingerprint(), folder, tokenizer_->fingerprint(), kTokenizer);
}

void TextSetup::complete_model() {
  TextModelConfig& config = *model_section_.config;
  if (config.vocabulary() == 0) config.set_vocabulary(tokenizer_->size());
  if (config.vocabulary() < tokenizer_->size()) {
    bad_input("model.vocabulary: is {}, expected at least {}, the size of the tokenizer (or leave it out)",
              config.vocabulary(), tokenizer_->size());
  }
  std::map<std::string, int64_t> ids;
  for (const char* role : {"pad", "bos", "eos"}) {
    if (const auto id = tokenizer_->special_id(role)) ids[role] = *id;
  }
  config.set_special_ids(ids);
}

void TextSetup::prepare(const ForEachText& for_each_text) {
  if (model_section_.pretrained && !stored_) {
    const std::string& folder = *model_section_.pretrained;
    for (const char* name : {kConfig, kWeights}) {
      if (Env::real().exists(folder + "/" + name)) continue;
      bad_input("model.pretrained: {} has no {}, expected a folder with {}, {} and a tokenizer's files", folder, name,
                kConfig, kWeights);
    }
    const std::string path = folder + "/" + kConfig;
    model_section_.config->take_config_json(Env::real().read(path), path);
  }
  if (!tokenizer_) tokenizer_ = given_tokenizer();
  if (!tokenizer_) {
    tokenizers::TrainOptions options;
    options.kind = tokenizer_config_.kind;
    if (options.kind == "auto") options.kind = model_section_.config->tokenizer_kind();
    options.special_tokens = model_section_.config->special_tokens();
    options.vocabulary = tokenizer_config_.vocabulary;
    options.min_frequency = tokenizer_config_.min_frequency;
    options.lowercase = tokenizer_config_.lowercase;
    const double start = monotonic_seconds();
    tokenizer_ = tokenizers::train_tokenizer(for_each_text, options);
    log::info("tokenizer: {} of {} tokens, trained from the training text in {}", options.kind,
              human_count(tokenizer_->size()), human_seconds(monotonic_seconds() - start));
  }
  complete_model();
}

void TextSetup::prepare_for_weights(const std::string& source) {
  if (!tokenizer_) tokenizer_ = given_tokenizer();
  if (!tokenizer_) {
    bad_input("{}: has no {} beside it; name the tokenizer that it was trained with by tokenizer.path", source,
              kTokenizer);
  }
  complete_model();
}

void TextSetup::build(ParameterStore& store, int64_t classes) {
  model_ = model_section_.config->build(Scope(store), attention_, head_, classes);
  companions_ = {{kConfig, model_section_.config->config_json(head_, classes, attention_)},
                 {kTokenizer, tokenizer_->to_json()}};
}

void TextSetup::require_positions(const std::string& key, int64_t tokens) const {
  if (const int64_t most = model_section_.config->max_tokens(); tokens > most) {
    bad_input("{}: is {}, but the model has positions for {} tokens (model.positions)", key, tokens, most);
  }
}

int32_t TextSetup::required_token(const std::string& role, const std::string& what) const {
  const auto id = tokenizer_->special_id(role);
  if (!id) bad_input("tokenizer: has no '{}' token, which {} needs", role, what);
  return *id;
}

std::optional<train::InitialWeights> TextSetup::initial_weights() const {
  if (!model_section_.pretrained) return std::nullopt;
  return train::InitialWeights{*model_section_.pretrained + "/" + kWeights, model_->load_options()};
}

std::string TextSetup::model_text() const {
  return fmt::format("{}, depth {}", text_model_registry().name_of(*model_section_.config), model_->depth());
}

std::vector<std::string> TextSetup::report(Device device) const {
  return {
      "attention in training: " + attention_.choice(device.type, true, head_ == TextHead::causal_lm).text(),
      fmt::format("tokenizer: {} tokens, fingerprint {}", human_count(tokenizer_->size()), tokenizer_->fingerprint())};
}

TextInputs text_inputs(const data::Batch& batch) {
  const auto optional = [&](const char* name) { return batch.has(name) ? batch.at(name) : Tensor(); };
  TextInputs in;
  in.ids = batch.at("ids");
  in.segments = optional("segments");
  in.positions = optional("positions");
  in.lengths = optional("lengths");
  in.offsets = optional("offsets");
  in.rows = optional("rows");
  return in;
}

}  // namespace gfsa::tasks
