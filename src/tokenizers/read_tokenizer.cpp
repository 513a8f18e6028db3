#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/strings.h"
#include "tokenizers/hub_config.h"
#include "tokenizers/json_reader.h"
#include "tokenizers/pipeline.h"
#include "tokenizers/sentencepiece_file.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

// Lines without their ends; the last one may lack it.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const bool carriage = end > at && text[end - 1] == '\r';
    lines.push_back(text.substr(at, end - at - (carriage ? 1 : 0)));
    at = end + 1;
  }
  return lines;
}

void trim_end(std::string& text) {
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while (is_continuation(text[at])) --at;
    const size_t begin = at;
    if (!is_space(next_char(text, at))) return;
    text.resize(begin);
  }
}

// vocab.txt: a token a line, its id is the line's number from 0 on. An empty line is an id without a token.
Vocabulary read_vocab_txt(const std::string& file, Env& env) {
  const std::string text = env.read(file, kMaxTokenizerBytes);
  check_utf8(text, file);
  std::vector<std::string> lines = lines_of(text);
  std::vector<std::pair<std::string, int64_t>> tokens;
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < lines.size(); ++i) {
    trim_end(lines[i]);
    if (lines[i].empty()) continue;
    const auto [first, added] = seen.emplace(lines[i], i);
    if (!added) bad_input("{}:{}: token '{}' stands on line {} already", file, i + 1, lines[i], first->second + 1);
    tokens.emplace_back(lines[i], i);
  }
  if (tokens.empty()) bad_input("{}: has no tokens", file);
  return {std::move(tokens), file};
}

AddedToken special(const std::string& content) {
  AddedToken token;
  token.content = content;
  token.normalized = false;
  token.special = true;
  return token;
}

// The roles' tokens: what the files say, else the usual one if the vocabulary has it. Those that are missing there
// become added tokens.
void add_roles(Parts& parts, const HubConfig& config, const std::vector<std::pair<const char*, const char*>>& usual) {
  for (const auto& [role, name] : usual) {
    const auto said = config.roles.find(role);
    if (said == config.roles.end() && parts.model->vocabulary().find(name) < 0) continue;
    const AddedToken token = said == config.roles.end() ? special(name) : said->second;
    parts.roles[role] = token.content;
    const auto same = [&](const AddedToken& t) { return t.content == token.content; };
    if (std::none_of(parts.added_tokens.begin(), parts.added_tokens.end(), same)) parts.added_tokens.push_back(token);
  }
  for (const AddedToken& token : config.added) {
    const auto same = [&](const AddedToken& t) { return t.content == token.content; };
    std::erase_if(parts.added_tokens, same);
    parts.added_tokens.push_back(token);
  }
}

// To a tokenizer.json: the files beside it only say which token has which role; it is an added token then.
void add_roles(Parts& parts, const HubConfig& config) {
  for (const auto& said : config.roles) {
    const AddedToken& token = said.second;
    parts.roles[said.first] = token.content;
    const auto same = [&](const AddedToken& t) { return t.content == token.content; };
    if (std::none_of(parts.added_tokens.begin(), parts.added_tokens.end(), same)) parts.added_tokens.push_back(token);
  }
}

std::pair<std::string, int32_t> needed(const Parts& parts, const char* role, const std::string& file) {
  const auto found = parts.roles.find(role);
  const int32_t id = found == parts.roles.end() ? -1 : parts.model->vocabulary().find(found->second);
  if (id < 0) bad_input("{}: the vocabulary has no {} token", file, role);
  return {found->second, id};
}

Parts read_bert(const std::string& file, const HubConfig& config, Env& env) {
  const std::vector<std::string> classes = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                            "MobileBertTokenizer", "ConvBertTokenizer"};
  if (!config.tokenizer_class.empty() &&
      std::find(classes.begin(), classes.end(), config.tokenizer_class) == classes.end()) {
    bad_input("{}: tokenizer_class is '{}', which is not supported with a vocab.txt; expected {}", config.file,
              config.tokenizer_class, one_of(classes));
  }
  Parts parts;
  WordPieceOptions options;
  if (const auto unknown = config.roles.find("unk"); unknown != config.roles.end())
    options.unknown = unknown->second.content;
  parts.model = wordpiece_model(read_vocab_txt(file, env), options, file);
  add_roles(parts, config,
            {{"pad", "[PAD]"}, {"unk", "[UNK]"}, {"cls", "[CLS]"}, {"sep", "[SEP]"}, {"mask", "[MASK]"}});
  parts.normalizer = Normalizer(
      {bert_normalizer(true, config.chinese.value_or(true), config.strip_accents, config.lowercase.value_or(true))},
      false);
  parts.pre_tokenizer = bert_pre_tokenizer();
  const auto [cls, cls_id] = needed(parts, "cls", file);
  const auto [sep, sep_id] = needed(parts, "sep", file);
  parts.post_processor = bert_template(cls, cls_id, sep, sep_id);
  parts.decoder = wordpiece_decoder("##", true);
  return parts;
}

Merges read_merges(const std::string& file, Env& env, std::vector<size_t>& lines) {
  const std::string text = env.read(file, kMaxTokenizerBytes);
  check_utf8(text, file);
  Merges merges;
  size_t number = 0;
  for (const std::string& line : lines_of(text)) {
    ++number;
    if (line.starts_with("#version")) continue;
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos || space == 0 ||
        space + 1 == line.size()) {
      bad_input("{}:{}: '{}', expected two tokens with one space between them", file, number, line);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    lines.push_back(number);
  }
  return merges;
}

Parts read_byte_bpe(const std::string& file, const HubConfig& config, Env& env) {
  const std::vector<std::string> gpt2 = {"GPT2Tokenizer"};
  const std::vector<std::string> roberta = {"RobertaTokenizer", "LongformerTokenizer", "BartTokenizer"};
  const std::string merges_file = file.substr(0, file.size() - std::string_view("vocab.json").size()) + "merges.txt";
  const auto value = parse_json(env.read(file, kMaxTokenizerBytes), file);
  const JsonReader json(value, file);
  if (!value.is_object()) json.expected("an object of tokens and their ids");
  std::vector<std::pair<std::string, int64_t>> tokens;
  for (const auto& [token, id] : value.items()) {
    if (!id.is_number_integer())
      bad_input("{}: token '{}' has the id {}, expected a whole number", file, token, id.dump());
    tokens.emplace_back(token, id.get<int64_t>());
  }
  Vocabulary vocabulary(std::move(tokens), file);
  const auto one_of_these = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), config.tokenizer_class) != names.end();
  };
  bool is_roberta = one_of_these(roberta);
  if (config.tokenizer_class.empty()) {
    is_roberta = vocabulary.find("<s>") >= 0 && vocabulary.find("</s>") >= 0;
  } else if (!is_roberta && !one_of_these(gpt2)) {
    bad_input("{}: tokenizer_class is '{}', which is not supported with a vocab.json; expected {}", config.file,
              config.tokenizer_class, one_of({gpt2[0], roberta[0], roberta[1], roberta[2]}));
  }
  std::vector<size_t> lines;
  const Merges merges = read_merges(merges_file, env, lines);
  Parts parts;
  BpeOptions options;
  options.prefix = options.suffix = "";
  parts.model = bpe_model(std::move(vocabulary), merges, options,
                          [&](size_t i) { return fmt::format("{}:{}", merges_file, lines[i]); });
  const bool add_prefix_space = config.add_prefix_space.value_or(false);
  parts.pre_tokenizer = byte_level_pre_tokenizer(add_prefix_space, true, true);
  parts.decoder = byte_level_decoder(true, true, true);
  if (!is_roberta) {
    add_roles(parts, config,
              {{"unk", "<|endoftext|>"}, {"bos", "<|endoftext|>"}, {"eos", "<|endoftext|>"}, {"pad", ""}});
    parts.post_processor = byte_level_processor(true, false, true);
    return parts;
  }
  add_roles(parts, config,
            {{"bos", "<s>"},
             {"eos", "</s>"},
             {"unk", "<unk>"},
             {"sep", "</s>"},
             {"pad", "<pad>"},
             {"cls", "<s>"},
             {"mask", "<mask>"}});
  const auto [cls, cls_id] = needed(parts, "cls", file);
  const auto [sep, sep_id] = needed(parts, "sep", file);
  parts.post_processor =
      roberta_processor(cls, cls_id, sep, sep_id, config.trim_offsets.value_or(true), add_prefix_space);
  return parts;
}

std::string file_in(const std::string& folder, Env& env) {
  const std::vector<std::string> names = {"tokenizer.json", "vocab.json", "vocab.txt", "spiece.model"};
  for (const std::string& name : names) {
    const std::string file = folder + "/" + name;
    if (env.exists(file)) return file;
  }
  bad_input("{}: has no tokenizer: expected {} in it", folder, one_of(names));
}

}  // namespace

std::shared_ptr<const Tokenizer> read_tokenizer(const std::string& path, Env& env) {
  if (!env.exists(path)) bad_input("{}: does not exist, expected a tokenizer's folder or file", path);
  const std::string file = env.is_directory(path) ? file_in(path, env) : path;
  const size_t slash = file.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : file.substr(0, slash);
  const HubConfig config = read_hub_config(folder, env);
  const auto named = [&](std::string_view end) { return file.ends_with(end); };
  Parts parts;
  if (named("vocab.json")) {
    parts = read_byte_bpe(file, config, env);
  } else if (named("merges.txt")) {
    parts =
        read_byte_bpe(file.substr(0, file.size() - std::string_view("merges.txt").size()) + "vocab.json", config, env);
  } else if (named(".json")) {
    parts = parse_tokenizer_json(env.read(file, kMaxTokenizerBytes), file);
    add_roles(parts, config);
  } else if (named(".txt")) {
    parts = read_bert(file, config, env);
  } else if (named(".model")) {
    parts = parse_albert_model(env.read(file, kMaxTokenizerBytes), file, config);
  } else {
    bad_input("{}: not a tokenizer's file by its name: expected tokenizer.json, vocab.json, vocab.txt or spiece.model",
              file);
  }
  add_usual_roles(parts.roles, *parts.model, parts.added_tokens);
  return make_tokenizer(std::move(parts), file);
}

}  // namespace gfsa::tokenizers
