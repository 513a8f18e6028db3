// regex.h -- the patterns of tokenizer.json through PCRE2, with the classes of Oniguruma, which `tokenizers` uses. What
// stays different: PCRE2 10.42 has the tables of Unicode 14, and Oniguruma's \w takes six of Latin-1's numbers (U+00B2
// and its like) for word characters.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gfsa::tokenizers {

class Regex {
 public:
  // `where` begins the message about a pattern that PCRE2 does not take.
  Regex(const std::string& pattern, const std::string& where);
  ~Regex();

  struct Part {
    size_t begin, end;
    bool match;
  };
  // The whole text (valid UTF-8, not empty) in order, matches and what lies between them. Fails with bad input where
  // matching goes over PCRE2's limits.
  std::vector<Part> split(std::string_view text) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
  std::string pattern_;
};

}  // namespace gfsa::tokenizers
