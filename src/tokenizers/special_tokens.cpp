#include "tokenizers/special_tokens.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace gfsa::tokenizers {
namespace {

using Around = SpecialTokens::Around;

const std::map<std::string, SpecialTokens>& families() {
  static const std::map<std::string, SpecialTokens> all{
      {"bert",
       {{{"[PAD]", {"pad"}}, {"[UNK]", {"unk"}}, {"[CLS]", {"cls"}}, {"[SEP]", {"sep"}}, {"[MASK]", {"mask"}}},
        Around::bert}},
      {"albert",
       {{{"<pad>", {"pad"}},
         {"<unk>", {"unk"}},
         {"[CLS]", {"cls", "bos"}},
         {"[SEP]", {"sep", "eos"}},
         {"[MASK]", {"mask"}, true}},
        Around::bert}},
      {"roberta",
       {{{"<s>", {"cls", "bos"}},
         {"<pad>", {"pad"}},
         {"</s>", {"sep", "eos"}},
         {"<unk>", {"unk"}},
         {"<mask>", {"mask"}, true}},
        Around::roberta}}};
  return all;
}

}  // namespace

std::vector<std::string> SpecialTokens::contents() const {
  std::vector<std::string> out;
  for (const Token& token : tokens) out.push_back(token.content);
  return out;
}

int32_t SpecialTokens::id(const std::string& role) const {
  const auto found = std::find_if(tokens.begin(), tokens.end(), [&](const Token& t) {
    return std::find(t.roles.begin(), t.roles.end(), role) != t.roles.end();
  });
  if (found == tokens.end()) fail("no special token is for '{}'", role);
  return static_cast<int32_t>(found - tokens.begin());
}

std::shared_ptr<const PostProcessor> SpecialTokens::post_processor(bool byte_level) const {
  switch (around) {
    case Around::bert:
      return bert_template(content("cls"), id("cls"), content("sep"), id("sep"));
    case Around::roberta:
      return roberta_processor(content("cls"), id("cls"), content("sep"), id("sep"), byte_level, false);
    case Around::nothing:
      break;
  }
  return byte_level ? byte_level_processor(true, false, true) : nullptr;
}

std::vector<std::string> special_token_families() {
  std::vector<std::string> names;
  for (const auto& [name, tokens] : families()) names.push_back(name);
  return names;
}

SpecialTokens special_tokens_of(const std::string& family, const std::string& kind) {
  if (!family.empty()) return families().at(family);
  if (kind == "wordpiece") return families().at("bert");
  if (kind == "byte_bpe") return {{{"<|endoftext|>", {"bos", "eos"}}}};
  if (kind == "word") return {{{"<unk>", {"unk"}}, {"<eos>", {"eos"}}}};
  if (kind == "character") return {{{"<unk>", {"unk"}}}};
  return {};
}

}  // namespace gfsa::tokenizers
