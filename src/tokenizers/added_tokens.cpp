#include "tokenizers/added_tokens.h"

#include <algorithm>

#include "base/error.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

char32_t last_char(std::string_view text) {
  size_t at = text.size() - 1;
  while (is_continuation(text[at])) --at;
  return next_char(text, at);
}

}  // namespace

void AddedTokens::Trie::add(std::string_view text, int32_t id) {
  if (nodes.empty()) nodes.emplace_back();
  first[static_cast<unsigned char>(text[0])] = true;
  uint32_t node = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    auto& children = nodes[node].children;
    const auto found = std::find_if(children.begin(), children.end(), [&](const auto& e) { return e.first == byte; });
    if (found != children.end()) {
      node = found->second;
    } else {
      children.emplace_back(byte, static_cast<uint32_t>(nodes.size()));
      node = static_cast<uint32_t>(nodes.size());
      nodes.emplace_back();
    }
  }
  nodes[node].id = id;
}

size_t AddedTokens::Trie::longest(std::string_view text, size_t at, int32_t& id) const {
  size_t end = 0;
  uint32_t node = 0;
  while (at < text.size()) {
    const auto byte = static_cast<unsigned char>(text[at++]);
    const auto& children = nodes[node].children;
    const auto found = std::find_if(children.begin(), children.end(), [&](const auto& e) { return e.first == byte; });
    if (found == children.end()) break;
    node = found->second;
    if (nodes[node].id < 0) continue;
    id = nodes[node].id;
    end = at;
  }
  return end;
}

AddedTokens::AddedTokens(const std::vector<AddedToken>& tokens, const Model& model, const Normalizer& normalizer,
                         const std::string& where) {
  int64_t next = model.vocabulary().count();
  for (const AddedToken& token : tokens) {
    check_utf8(token.content, where);
    if (token.content.empty()) continue;
    int64_t id = model.vocabulary().find(token.content);
    if (const auto known = by_content_.find(token.content); known != by_content_.end()) id = known->second;
    if (id < 0) {
      while (model.vocabulary().has(next) || by_id_.contains(static_cast<int32_t>(next))) ++next;
      id = token.id >= 0 ? token.id : next;
      if (id != next) {
        bad_input("{}: added token '{}' has the id {}, expected {}: it is not in the vocabulary, and ids go on there",
                  where, token.content, id, next);
      }
    }
    if (token.id >= 0 && token.id != id) {
      bad_input("{}: added token '{}' has the id {}, but {} in the vocabulary", where, token.content, token.id, id);
    }
    const auto place = static_cast<int32_t>(id);
    Entry entry{token, token.content};
    entry.token.id = id;
    if (token.normalized) entry.text = normalizer.apply(token.content);
    by_content_[token.content] = place;
    if (token.special) special_.insert(token.content);
    by_id_[place] = std::move(entry);
  }
  for (const auto& [id, token] : in_order()) {
    const std::string& text = by_id_.at(id).text;
    if (!text.empty()) tries_[token->normalized].add(text, id);
  }
}

void AddedTokens::split(std::string_view text, bool normalized, std::vector<Part>& out) const {
  const Trie& trie = tries_[normalized];
  size_t done = 0;
  for (size_t at = 0; !trie.empty() && at < text.size();) {
    int32_t id = -1;
    size_t end = trie.first[static_cast<unsigned char>(text[at])] ? trie.longest(text, at, id) : 0;
    if (end == 0) {
      ++at;
      continue;
    }
    size_t begin = at;
    at = end;
    const AddedToken& token = by_id_.at(id).token;
    if (token.single_word) {
      size_t behind = end;
      if ((begin > 0 && is_word(last_char(text.substr(0, begin)))) ||
          (end < text.size() && is_word(next_char(text, behind)))) {
        continue;
      }
    }
    if (token.lstrip) {
      size_t left = begin;
      while (left > 0) {
        size_t before = left - 1;
        while (is_continuation(text[before])) --before;
        size_t same = before;
        if (!is_space(next_char(text, same))) break;
        left = before;
      }
      begin = std::max(left, done);
    }
    if (token.rstrip) {
      for (size_t right = end; right < text.size() && is_space(next_char(text, right));) end = right;
    }
    if (done < begin) out.push_back({done, begin, -1});
    out.push_back({begin, end, id});
    done = end;
  }
  if (done < text.size()) out.push_back({done, text.size(), -1});
}

std::optional<int32_t> AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  if (found == by_content_.end()) return std::nullopt;
  return found->second;
}

const AddedToken* AddedTokens::token(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second.token;
}

const std::string& AddedTokens::text(int32_t id) const { return by_id_.at(id).text; }

int64_t AddedTokens::limit() const {
  int64_t limit = 0;
  for (const auto& [id, entry] : by_id_) limit = std::max<int64_t>(limit, id + 1);
  return limit;
}

std::vector<std::pair<int32_t, const AddedToken*>> AddedTokens::in_order() const {
  std::vector<std::pair<int32_t, const AddedToken*>> out;
  for (const auto& [id, entry] : by_id_) out.emplace_back(id, &entry.token);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace gfsa::tokenizers
