#include "attention/implementations.h"

#include "attention/kernels/kernels.h"
#include "base/error.h"
#include "base/strings.h"
#include "core/on_device.h"

namespace gfsa {
namespace {

constexpr int64_t kLargestHeadOfTwoPassOnGpus = 256;
constexpr int64_t kLargestHeadOfOneSweepOnGpus = 64, kLargestDegreeOfOneSweepOnGpus = 2;

std::optional<std::string> nothing(const AttentionCase&) { return std::nullopt; }

std::optional<std::string> why_not_two_pass(const AttentionCase& c) {
  if (c.filtered && c.dropout > 0 && c.dropout_order == DropoutOrder::filter_first) {
    return "cannot drop entries of the filtered matrix, which it never forms; use dropout_order: dropout_first, form: "
           "explicit "
           "or dropout: 0";
  }
  if (c.device != DeviceType::cpu && c.head_size > kLargestHeadOfTwoPassOnGpus) {
    return fmt::format("takes head sizes up to {} on a GPU, not {}; use form: explicit", kLargestHeadOfTwoPassOnGpus,
                       c.head_size);
  }
  return std::nullopt;
}

std::optional<std::string> why_not_one_sweep(const AttentionCase& c) {
  if (!c.causal) return "serves causal attention alone; use form: two_pass";
  if (c.device != DeviceType::cpu && c.degree > kLargestDegreeOfOneSweepOnGpus) {
    return fmt::format("takes filters of degree up to {} on a GPU, not {}; use form: two_pass",
                       kLargestDegreeOfOneSweepOnGpus, c.degree);
  }
  if (c.device != DeviceType::cpu && c.head_size > kLargestHeadOfOneSweepOnGpus) {
    return fmt::format("takes head sizes up to {} on a GPU, not {}; use form: two_pass", kLargestHeadOfOneSweepOnGpus,
                       c.head_size);
  }
  return why_not_two_pass(c);
}
std::optional<std::string> why_one_sweep_is_asked_for(const AttentionCase& c) {
  if (c.device == DeviceType::cpu) return std::nullopt;
  return "has not been measured on GPUs; ask for form: one_sweep";
}

template <template <DeviceType> class Kernels>
kernels::Saved forward(const kernels::Problem& p, const Tensor& out, bool save) {
  kernels::Saved saved;
  on_device("attention", out, [&](auto d) { saved = Kernels<d>::forward(p, out, save); });
  return saved;
}
template <template <DeviceType> class Kernels>
void backward(const kernels::Problem& p, const kernels::Saved& saved, const Tensor& dout,
              const kernels::Gradients& to) {
  on_device("attention", dout, [&](auto d) { Kernels<d>::backward(p, saved, dout, to); });
}

const char* form_name(AttentionForm form) {
  switch (form) {
    case AttentionForm::automatic:
      return "auto";
    case AttentionForm::explicit_form:
      return "explicit";
    case AttentionForm::two_pass:
      return "two_pass";
    case AttentionForm::one_sweep:
      return "one_sweep";
  }
  return "";
}

}  // namespace

const std::vector<Implementation>& attention_implementations() {
  static const std::vector<Implementation> list{
      {"one_sweep", AttentionForm::one_sweep, why_not_one_sweep, why_one_sweep_is_asked_for, forward<kernels::OneSweep>,
       backward<kernels::OneSweep>},
      {"two_pass", AttentionForm::two_pass, why_not_two_pass, nothing, forward<kernels::TwoPass>,
       backward<kernels::TwoPass>},
      {"explicit", AttentionForm::explicit_form, nothing, nothing, forward<kernels::Explicit>,
       backward<kernels::Explicit>},
  };
  return list;
}

const Implementation& find_implementation(const std::string& name) {
  for (const auto& i : attention_implementations()) {
    if (name == i.name) return i;
  }
  fail("attention: no implementation is called '{}'", name);
}

std::string AttentionChoice::text() const {
  std::string out = name;
  for (const auto& [other, reason] : rejected) out += fmt::format(" (not {}: {})", other, reason);
  return out;
}

AttentionChoice choose_attention(const AttentionCase& attention_case, AttentionForm form) {
  AttentionChoice choice;
  for (const auto& i : attention_implementations()) {
    std::optional<std::string> reason = i.why_not(attention_case);
    if (form == AttentionForm::automatic && !reason) reason = i.why_not_automatic(attention_case);
    if (form != AttentionForm::automatic && form != i.form)
      reason = fmt::format("form: {} is asked for", form_name(form));
    if (!reason && choice.name.empty()) {
      choice.name = i.name;
    } else if (reason) {
      if (form == i.form) bad_input("attention: form: {} {}", i.name, *reason);
      choice.rejected.emplace_back(i.name, *reason);
    } else {
      choice.rejected.emplace_back(i.name, fmt::format("it would serve too, but {} is preferred", choice.name));
    }
  }
  if (choice.name.empty()) bad_input("attention: nothing can serve this case: {}", choice.text());
  return choice;
}

AttentionForm parse_attention_form(const std::string& name) {
  const std::vector<std::string> names{"auto", "explicit", "two_pass", "one_sweep"};
  if (name == names[0]) return AttentionForm::automatic;
  if (name == names[1]) return AttentionForm::explicit_form;
  if (name == names[2]) return AttentionForm::two_pass;
  if (name == names[3]) return AttentionForm::one_sweep;
  bad_input("unknown attention form '{}', expected {}{}", name, one_of(names), did_you_mean(name, names));
}

DropoutOrder parse_dropout_order(const std::string& name) {
  const std::vector<std::string> names{"filter_first", "dropout_first"};
  if (name == names[0]) return DropoutOrder::filter_first;
  if (name == names[1]) return DropoutOrder::dropout_first;
  bad_input("unknown dropout order '{}', expected {}{}", name, one_of(names), did_you_mean(name, names));
}

}  // namespace gfsa
