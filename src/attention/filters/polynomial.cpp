// polynomial.cpp -- F = c0 I + c1 A + ... + ck A^k with free coefficients a head, learned from the base model's (0, 1,
// 0, ...).
#include "attention/coefficient_table.h"
#include "attention/filter.h"

namespace gfsa {
namespace {

class Polynomial final : public Filter {
 public:
  Polynomial(int64_t degree, const Scope& attention, int64_t heads) : degree_(degree) {
    for (int64_t j = 0; j <= degree; ++j) {
      coefficients_.push_back(
          (attention / "polynomial").param(fmt::format("c{}", j), {heads}, j == 1 ? ones() : zeros()));
    }
  }
  Tensor coefficients() const override {
    const auto columns = static_cast<size_t>(degree_ + 2);
    std::vector<Tensor> values;
    std::vector<std::vector<double>> weights;
    for (size_t j = 0; j + 1 < columns; ++j) {
      values.push_back(*coefficients_[j]);
      weights.emplace_back(columns, 0.0);
      weights.back()[j + 1] = 1;
    }
    return coefficient_table(values, std::vector<double>(columns, 0.0), weights);
  }

 private:
  int64_t degree_;
  std::vector<Param> coefficients_;
};

struct PolynomialConfig final : FilterConfig {
  int64_t k = 2;
  void describe(config::Schema& s) override {
    s.field("degree", k).in(1, 16).doc("Highest power of the attention matrix; each costs one pass.");
  }
  std::unique_ptr<FilterConfig> clone() const override { return std::make_unique<PolynomialConfig>(*this); }
  int64_t degree() const override { return k; }
  std::unique_ptr<Filter> build(const Scope& attention, int64_t heads) const override {
    return std::make_unique<Polynomial>(k, attention, heads);
  }
};

}  // namespace

void register_polynomial(config::Registry<FilterConfig>& registry) {
  registry.add<PolynomialConfig>("polynomial", "A polynomial in A with free coefficients.");
}

}  // namespace gfsa
