#include "attention/coefficient_table.h"

#include "autograd/autograd.h"
#include "core/expect.h"

namespace gfsa {

Tensor coefficient_table(const std::vector<Tensor>& parameters, const std::vector<double>& constant,
                         const std::vector<std::vector<double>>& weights) {
  Expect e("coefficient_table");
  e.that(!parameters.empty() && parameters.size() == weights.size(), "{} parameters for {} rows of weights",
         parameters.size(), weights.size());
  const DType dtype = parameters[0].dtype();
  for (const Tensor& p : parameters) e.dtype("parameter", p, {dtype}).shape("parameter", p, "H");
  const auto heads = static_cast<size_t>(e["H"]);
  const size_t columns = constant.size();

  std::vector<std::vector<double>> values;
  for (const Tensor& p : parameters) values.push_back(p.to_vector<double>());
  std::vector<double> table;
  for (size_t h = 0; h < heads; ++h) {
    for (size_t j = 0; j < columns; ++j) {
      double sum = constant[j];
      for (size_t p = 0; p < values.size(); ++p) sum += weights[p][j] * values[p][h];
      table.push_back(sum);
    }
  }
  const Shape shape{static_cast<int64_t>(heads), static_cast<int64_t>(columns)};
  const Tensor y = Tensor::from<double>(shape, table).to(dtype);
  return record("coefficient_table", y, parameters, [=](Tensor dy, GradOut& out) {
    const std::vector<double> d = dy.to_vector<double>();
    for (size_t p = 0; p < weights.size(); ++p) {
      if (!out.wants(p)) continue;
      std::vector<double> dp(heads, 0.0);
      for (size_t h = 0; h < heads; ++h) {
        for (size_t j = 0; j < columns; ++j) dp[h] += weights[p][j] * d[h * columns + j];
      }
      out.give(p, Tensor::from<double>({static_cast<int64_t>(heads)}, dp).to(dtype));
    }
  });
}

Tensor constant_coefficients(int64_t heads, const std::vector<double>& constant, DType dtype) {
  std::vector<double> table;
  for (int64_t h = 0; h < heads; ++h) table.insert(table.end(), constant.begin(), constant.end());
  return Tensor::from<double>({heads, static_cast<int64_t>(constant.size())}, table).to(dtype);
}

}  // namespace gfsa
