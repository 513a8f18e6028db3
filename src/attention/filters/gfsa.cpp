// gfsa.cpp -- graph-filter-based self-attention (NeurIPS 2024, arXiv 2312.04234):
//
//   A_K = A + (K - 1) (A A - A)          first-order Taylor estimate of A^K
//   F   = w0 I + w1 A + wK A_K
//       = w0 I + (w1 + (2 - K) wK) A + (K - 1) wK A A
#include <algorithm>
#include <array>

#include "attention/coefficient_table.h"
#include "attention/filter.h"

namespace gfsa {
namespace {

struct GfsaConfig final : FilterConfig {
  int64_t K = 3;
  double w0 = 0, w1 = 1, wK_init = 0;
  std::vector<std::string> learn{"wK"};

  void describe(config::Schema& s) override {
    s.field("K", K)
        .at_least(1)
        .doc("Order of the estimated power of the attention matrix.")
        .source("arXiv 2312.04234; the README's example is 3, the image code has 4");
    s.field("w0", w0).doc("Coefficient of the identity; where it starts if learned.").source("0 but for GLUE CoLA");
    s.field("w1", w1).doc("Coefficient of the attention matrix; where it starts if learned.").source("1 everywhere");
    s.field("wK_init", wK_init)
        .doc("Where wK starts in every head; its value if not learned. 0 starts as the base model.")
        .source("0 everywhere");
    s.field("learn", learn)
        .choices({"w0", "w1", "wK"})
        .scalar_or_list()
        .doc("Coefficients that are learned, one a head and layer; the others stay fixed.")
        .source("wK everywhere");
    s.check(is_set(learn), "learn", "each coefficient may be named once");
  }
  std::unique_ptr<FilterConfig> clone() const override { return std::make_unique<GfsaConfig>(*this); }
  int64_t degree() const override { return 2; }
  std::unique_ptr<Filter> build(const Scope& attention, int64_t heads) const override;

 private:
  static bool is_set(std::vector<std::string> names) {
    std::sort(names.begin(), names.end());
    return std::adjacent_find(names.begin(), names.end()) == names.end();
  }
};

class Gfsa final : public Filter {
 public:
  Gfsa(const GfsaConfig& config, const Scope& attention, int64_t heads) : heads_(heads), store_(&attention.store()) {
    const auto order = static_cast<double>(config.K);
    const Scope scope = attention / "gfsa";
    const struct {
      const char* name;
      double start;
      std::vector<double> row;  // (cu, c0, c1, c2) of a coefficient of 1
    } terms[] = {
        {"wK", config.wK_init, {0, 0, 2 - order, order - 1}},
        {"w0", config.w0, {0, 1, 0, 0}},
        {"w1", config.w1, {0, 0, 1, 0}},
    };
    for (const auto& term : terms) {
      if (std::find(config.learn.begin(), config.learn.end(), term.name) == config.learn.end()) {
        for (size_t j = 0; j < constant_.size(); ++j) constant_[j] += term.start * term.row[j];
        continue;
      }
      parameters_.push_back(scope.param(term.name, {heads}, constant(term.start)));
      weights_.push_back(term.row);
      // The name in the authors' image code.
      if (std::string(term.name) == "wK") attention.alias("gfsa.wK", "lamb");
    }
  }

  Tensor coefficients() const override {
    if (parameters_.empty()) {
      const Tensor& values = store_->flat_values();
      return constant_coefficients(heads_, constant_, values ? values.dtype() : DType::f32,
                                   values ? values.device() : Device{});
    }
    std::vector<Tensor> values;
    for (const Param& p : parameters_) values.push_back(*p);
    return coefficient_table(values, constant_, weights_);
  }

 private:
  int64_t heads_;
  const ParameterStore* store_;
  std::vector<double> constant_{0, 0, 0, 0};
  std::vector<Param> parameters_;
  std::vector<std::vector<double>> weights_;
};

std::unique_ptr<Filter> GfsaConfig::build(const Scope& attention, int64_t heads) const {
  return std::make_unique<Gfsa>(*this, attention, heads);
}

}  // namespace

void register_gfsa(config::Registry<FilterConfig>& registry) {
  registry.add<GfsaConfig>("gfsa", "Graph-filter-based self-attention: w0 I + w1 A + wK (estimate of A^K).");
}

}  // namespace gfsa
