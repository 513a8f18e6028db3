#include "core/expect.h"

#include <sstream>

#include "base/strings.h"

namespace gfsa {
namespace {

std::vector<std::string> words(const char* pattern) {
  std::istringstream in(pattern);
  std::vector<std::string> out;
  for (std::string word; in >> word;) out.push_back(word);
  return out;
}

bool is_number(const std::string& word) { return word.find_first_not_of("0123456789") == std::string::npos; }

}  // namespace

const Expect::Binding* Expect::find(const std::string& name) const {
  for (const auto& b : bindings_) {
    if (b.name == name) return &b;
  }
  return nullptr;
}

void Expect::mismatch(const char* argument, const Tensor& t, const char* pattern) const {
  const auto names = words(pattern);
  std::string list, known;
  for (const auto& name : names) list += (list.empty() ? "" : ", ") + name;
  for (const auto& name : names) {
    const Binding* b = find(name);
    if (b == nullptr) continue;
    known += known.empty() ? " with " : ", ";
    known += name == "..." ? fmt::format("... = {} from {}", b->dims.text(), b->source)
                           : fmt::format("{} = {} from {}", name, b->value, b->source);
  }
  fail("{}: {} has shape {}, expected [{}]{}", op_, argument, t.shape().text(), list, known);
}

Expect& Expect::shape(const char* argument, const Tensor& t, const char* pattern) {
  if (!t.defined()) fail("{}: {} is missing, expected a tensor [{}]", op_, argument, pattern);
  const auto names = words(pattern);
  const bool leading = !names.empty() && names[0] == "...";
  const int fixed = static_cast<int>(names.size()) - (leading ? 1 : 0);
  if (leading ? t.rank() < fixed : t.rank() != fixed) mismatch(argument, t, pattern);
  const std::string source = fmt::format("{} {}", argument, t.shape().text());
  const int lead = t.rank() - fixed;
  std::vector<Binding> fresh;
  if (leading) {
    Binding b{"...", 1, {}, source};
    for (int i = 0; i < lead; ++i) b.dims.push_back(t.dim(i)), b.value *= t.dim(i);
    if (const Binding* known = find("...")) {
      if (!(known->dims == b.dims)) mismatch(argument, t, pattern);
    } else {
      fresh.push_back(b);
    }
  }
  for (int i = 0; i < fixed; ++i) {
    const std::string& name = names[static_cast<size_t>(i + (leading ? 1 : 0))];
    const int64_t d = t.dim(lead + i);
    if (is_number(name)) {
      if (std::stoll(name) != d) mismatch(argument, t, pattern);
      continue;
    }
    const Binding* known = find(name);
    for (const auto& b : fresh) {
      if (b.name == name) known = &b;
    }
    if (known == nullptr) {
      fresh.push_back({name, d, {}, source});
    } else if (known->value != d) {
      if (find(name) == nullptr) bindings_.insert(bindings_.end(), fresh.begin(), fresh.end());
      mismatch(argument, t, pattern);
    }
  }
  bindings_.insert(bindings_.end(), fresh.begin(), fresh.end());
  return *this;
}

Expect& Expect::optional(const char* argument, const Tensor& t, const char* pattern) {
  return t.defined() ? shape(argument, t, pattern) : *this;
}

Expect& Expect::dtype(const char* argument, const Tensor& t, std::initializer_list<DType> allowed) {
  std::vector<std::string> names;
  for (DType d : allowed) {
    if (t.dtype() == d) return *this;
    names.emplace_back(name_of(d));
  }
  fail("{}: {} is {}, expected {}", op_, argument, name_of(t.dtype()), one_of(names));
}

Expect& Expect::same_device(const char* argument, const Tensor& t, const Tensor& as) {
  if (t.defined() && as.defined() && !(t.device() == as.device())) {
    fail("{}: {} is on {}, expected {}", op_, argument, t.device().text(), as.device().text());
  }
  return *this;
}

int64_t Expect::operator[](const char* name) const {
  const Binding* b = find(name);
  if (b == nullptr) fail("{}: no dimension is called {}", op_, name);
  return b->value;
}

}  // namespace gfsa
