// Canonical ordering, decomposition and composition with alignment, as unicode-normalization-alignments does it.
#include <algorithm>

#include "tokenizers/normalize.h"
#include "tokenizers/unicode.h"

namespace gfsa::tokenizers {
namespace {

struct Mark {
  char32_t c;
  int change;
  int combining;
};

// Decomposed, in canonical order. An edit moves with its character; where it then stands decides what it aligns with.
std::vector<Mark> decomposed(const AlignedChars& chars, bool compatible) {
  std::vector<Mark> out;
  out.reserve(chars.size() + chars.size() / 4);
  size_t pending = 0;  // from here on: marks whose order is open
  const auto sort_pending = [&] {
    std::stable_sort(out.begin() + static_cast<int64_t>(pending), out.end(),
                     [](const Mark& a, const Mark& b) { return a.combining < b.combining; });
  };
  const auto push = [&](char32_t c, int change) {
    const int combining = combining_class(c);
    if (combining == 0) {
      if (out.size() - pending > 1) sort_pending();
      out.push_back({c, change, 0});
      pending = out.size();
    } else {
      out.push_back({c, change, combining});
    }
  };
  for (const AlignedChar& c : chars) {
    char32_t parts[18];
    const int n = decompose(c.c, compatible, parts);
    if (n == 0) push(c.c, 0);
    for (int i = 0; i < n; ++i) push(parts[i], i > 0);
  }
  sort_pending();
  return out;
}

std::vector<Edit> composed(const std::vector<Mark>& marks) {
  std::vector<Edit> out;
  out.reserve(marks.size());
  size_t starter = marks.size();  // its place in out; marks.size(): none yet
  int last = -1;                  // combining class of the last mark behind the starter, -1: none
  for (const Mark& mark : marks) {
    const bool none = starter == marks.size();
    // Nothing of the same class or of class 0 stands between the starter and the mark.
    if (!none && (last < 0 || last < mark.combining)) {
      if (const char32_t both = compose(out[starter].c, mark.c)) {
        out[starter].c = both;
        out[starter].change += mark.change - 1;
        continue;
      }
    }
    if (mark.combining == 0) {
      starter = out.size();
      last = -1;
    } else if (!none) {
      last = mark.combining;
    }
    out.push_back({mark.c, mark.change});
  }
  return out;
}

}  // namespace

void to_form(AlignedChars& chars, Form form) {
  const auto plain = [](const AlignedChar& c) { return c.c < 0xA0; };
  if (std::all_of(chars.begin(), chars.end(), plain)) return;
  const std::vector<Mark> marks = decomposed(chars, form == Form::kNfkc || form == Form::kNfkd);
  if (form == Form::kNfc || form == Form::kNfkc) {
    apply_edits(chars, composed(marks));
    return;
  }
  std::vector<Edit> edits;
  edits.reserve(marks.size());
  for (const Mark& mark : marks) edits.push_back({mark.c, mark.change});
  apply_edits(chars, edits);
}

void lowercase(AlignedChars& chars) {
  bool longer = false;
  for (AlignedChar& c : chars) {
    if (c.c == 0x130) {
      longer = true;
      continue;
    }
    char32_t one[2];
    gfsa::tokenizers::lowercase(c.c, one);
    c.c = one[0];
  }
  if (!longer) return;
  AlignedChars out;
  for (const AlignedChar& c : chars) {
    char32_t two[2];
    const int n = gfsa::tokenizers::lowercase(c.c, two);
    for (int i = 0; i < n; ++i) out.push_back({two[i], c.span});
  }
  chars = std::move(out);
}

}  // namespace gfsa::tokenizers
