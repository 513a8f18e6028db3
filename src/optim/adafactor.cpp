// adafactor.cpp -- torch.optim.Adafactor (Shazeer, Stern 2018, with PyTorch's reading of lr as the bound of the step
// size):
//
//   w = t^beta2_decay, rho = min(lr, 1 / sqrt(t)), alpha = max(eps2, rms(p)) rho, p = (1 - lr weight_decay) p
//   matrix (last two dimensions): R = lerp(R, mean over columns of g^2, w), C = lerp(C, mean over rows of g^2, w),
//                                 V = R C / max(mean(R), eps1)
//   vector:                       V = lerp(V, g^2, w)
//   u = g / sqrt(max(V, eps1^2)), p = p - alpha u / max(1, rms(u) / d)
//
// State: a row and a column for each matrix, so R + C instead of 2 R C elements. Three passes, since V needs whole rows
// and columns and the last line needs all of u: 32 bytes an element in f32. Sums: f64 over blocks of rows that depend
// on the shape alone, added in order.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "core/cpu/simd.h"
#include "core/on_device.h"
#include "optim/adafactor_kernels.h"
#include "optim/registry.h"
#include "optim/segment_loop.h"

namespace gfsa {
namespace {

constexpr int64_t kLeastRows = 16;  // of a block: column sums take at most 1 / 16 of the parameter's room, in f64

// One matrix of a parameter, or one vector (then rows = 0).
struct Matrix {
  int64_t rows, cols;
  int64_t row_state, col_state;  // offsets into row_var and col_var
  size_t first_block, blocks;
  double inverse_mean = 1;  // 1 / max(mean(R), eps1) of this step
};

// Rows of a matrix, or elements of a vector, that one thread updates.
struct Block {
  int64_t begin, count;  // elements in the flat buffers
  int parameter;
  size_t matrix;
  int64_t row_state;     // of the first row
  int64_t vector_state;  // offset into variance
  int64_t partial;       // offset of this block's column sums
};

template <class T>
struct Coefficients {
  T factor, limit, weight;
};

// Row means into the row state, column sums of g^2 into partial.
template <class T>
inline void matrix_moments(const Coefficients<T> c, int64_t rows, int64_t cols, const T* grad, T* row_state,
                           double* partial) {
  std::fill(partial, partial + cols, 0.0);
  for (int64_t r = 0; r < rows; ++r) {
    const T* row = grad + r * cols;
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < cols; ++j) {
      const double g = update::scaled_gradient(row[j], c.factor, c.limit);
      sum += g * g;
      partial[j] += g * g;
    }
    row_state[r] = update::lerp(row_state[r], T(sum / static_cast<double>(cols)), c.weight);
  }
}

template <class T>
inline void vector_moments(const Coefficients<T> c, int64_t n, const T* grad, T* variance) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const T g = update::scaled_gradient(grad[i], c.factor, c.limit);
    variance[i] = update::lerp(variance[i], g * g, c.weight);
  }
}

template <class T>
inline double sum_of_squares(int64_t n, const T* x) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

// One line of u: V = state * row (row = 1 for a vector). Gives the sum of u^2; writes p = keep p - step u if asked to.
template <class T>
inline double line(const Coefficients<T> c, int64_t n, T* value, const T* grad, const T* state, T row, T least, T keep,
                   T step, bool apply) {
  double sum = 0;
  if (apply) {
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      const T g = update::scaled_gradient(grad[j], c.factor, c.limit);
      const T u = update::adafactor_direction(g, row, state[j], least);
      value[j] = keep * value[j] - step * u;
    }
    return 0;
  }
#pragma omp simd reduction(+ : sum)
  for (int64_t j = 0; j < n; ++j) {
    const T g = update::scaled_gradient(grad[j], c.factor, c.limit);
    const double u = update::adafactor_direction(g, row, state[j], least);
    sum += u * u;
  }
  return sum;
}

class Adafactor : public Optimizer {
 public:
  Adafactor() : Optimizer(1e-2, 0) {}

  void describe(config::Schema& s) override {
    Optimizer::describe(s);
    s.field("beta2_decay", beta2_decay_).at_most(0).doc("The second moment moves by step^beta2_decay.");
    s.field("eps1", eps1_)
        .at_least(0)
        .doc("Floor of the second moment's root; null: the epsilon of the parameters' type.");
    s.field("eps2", eps2_).at_least(0).doc("Floor of a parameter's root mean square.");
    s.field("d", d_).at_least(1).doc("Greatest root mean square of an update before scaling.");
  }

 protected:
  void make_state() override;
  void prepare(const Step& s) override {
    std::vector<AdafactorGroup> rules;
    for (const ParameterGroup& group : groups()) {
      rules.push_back({step_of_all(s), s.lr * group.lr_factor, group.weight_decay});
    }
    set_rules(rules);
  }
  void update(const Step& s, const GradientScale& scale) override {
    on_device("adafactor", values(), [&](auto d) {
      if constexpr (d == DeviceType::cpu) {
        update::dispatch_master("adafactor", values(), [&](auto zero) { run<decltype(zero)>(s, scale); });
      } else {
        AdafactorKernels<d>::update(buffers_, rules(), least(), scale);
      }
    });
  }

 private:
  AdafactorStep step_of_all(const Step& s) const {
    const double t = static_cast<double>(s.number);
    return {t, std::pow(t, beta2_decay_), least(), eps2_, d_};
  }
  template <class T>
  void run(const Step& now, const GradientScale& scale);
  void make_buffers();
  template <class T>
  void gather_columns(Matrix& m, T weight);
  template <class T>
  double directions(const Coefficients<T>& c, const Block& b, T keep, T step, bool apply);

  double least() const {
    if (eps1_) return *eps1_;
    return values().dtype() == DType::f64 ? std::numeric_limits<double>::epsilon()
                                          : static_cast<double>(std::numeric_limits<float>::epsilon());
  }

  double beta2_decay_ = -0.8;
  std::optional<double> eps1_;
  double eps2_ = 1e-3, d_ = 1;

  Tensor row_var_, col_var_, variance_;
  Tensor partials_;  // f64: column sums by block
  std::vector<Matrix> matrices_;
  std::vector<Block> blocks_;
  std::vector<double> value_sums_, direction_sums_;  // by block
  std::vector<std::array<double, 2>> totals_;        // by parameter: sums of p^2 and u^2
  AdafactorBuffers buffers_;
};

void Adafactor::make_state() {
  matrices_.clear();
  blocks_.clear();
  int64_t row_total = 0, col_total = 0, vector_total = 0, partial_total = 0;
  for (size_t i = 0; i < parameters().size(); ++i) {
    const Parameter& p = *parameters()[i];
    const int index = static_cast<int>(i), rank = p.shape.rank();
    const int64_t n = p.shape.numel();
    if (rank <= 1 || n == 0) {
      matrices_.push_back({0, n, 0, 0, blocks_.size(), 0});
      for (int64_t begin = 0; begin < n; begin += kSegmentElements) {
        const int64_t count = std::min(kSegmentElements, n - begin);
        blocks_.push_back({p.offset + begin, count, index, matrices_.size() - 1, 0, vector_total + begin, 0});
      }
      vector_total += n;
      continue;
    }
    const int64_t rows = p.shape[rank - 2], cols = p.shape[rank - 1];
    const int64_t rows_per_block = std::max(kLeastRows, kSegmentElements / cols);
    for (int64_t offset = 0; offset < n; offset += rows * cols) {
      matrices_.push_back({rows, cols, row_total, col_total, blocks_.size(), 0});
      for (int64_t r = 0; r < rows; r += rows_per_block) {
        const int64_t count = std::min(rows_per_block, rows - r) * cols;
        blocks_.push_back(
            {p.offset + offset + r * cols, count, index, matrices_.size() - 1, row_total + r, 0, partial_total});
        partial_total += cols;
        ++matrices_.back().blocks;
      }
      row_total += rows;
      col_total += cols;
    }
  }
  row_var_ = add_state("row_var", {row_total});
  col_var_ = add_state("col_var", {col_total});
  variance_ = add_state("variance", {vector_total});
  partials_ = Tensor::empty({partial_total}, DType::f64, values().device());
  value_sums_.assign(blocks_.size(), 0);
  direction_sums_.assign(blocks_.size(), 0);
  totals_.assign(parameters().size(), {});
  if (!is_on_cpu(values())) make_buffers();
}

void Adafactor::make_buffers() {
  const Device device = values().device();
  const int64_t count = std::ssize(parameters());
  std::vector<int64_t> blocks, matrices, spans(static_cast<size_t>(4 * count));
  buffers_ = {};
  for (const Matrix& m : matrices_) {
    const int64_t partial = m.blocks == 0 ? 0 : blocks_[m.first_block].partial;
    matrices.insert(matrices.end(),
                    {m.rows, m.cols, m.row_state, m.col_state, partial, static_cast<int64_t>(m.blocks)});
    if (m.rows > 0) buffers_.most_columns = std::max(buffers_.most_columns, m.cols);
  }
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const Block& b = blocks_[i];
    blocks.insert(blocks.end(), {b.begin, b.count, b.parameter, static_cast<int64_t>(b.matrix), b.row_state,
                                 b.vector_state, b.partial});
    int64_t* span = &spans[4 * static_cast<size_t>(b.parameter)];
    if (span[1] == 0) span[0] = static_cast<int64_t>(i);
    span[1] += 1;
  }
  for (size_t i = 0; i < parameters().size(); ++i) {
    spans[4 * i + 2] = parameters()[i]->shape.numel();
    spans[4 * i + 3] = group_index_of_parameter(i);
  }
  const auto scratch = [&](const Shape& shape) { return Tensor::empty(shape, DType::f64, device); };
  buffers_.blocks = Tensor::from({std::ssize(blocks_), 7}, blocks).to(device);
  buffers_.matrices = Tensor::from({std::ssize(matrices_), 6}, matrices).to(device);
  buffers_.parameters = Tensor::from({count, 4}, spans).to(device);
  buffers_.values = values(), buffers_.grads = grads();
  buffers_.row_var = row_var_, buffers_.col_var = col_var_, buffers_.variance = variance_;
  buffers_.partials = partials_;
  buffers_.inverse_means = scratch({std::ssize(matrices_)});
  buffers_.sums = scratch({std::ssize(blocks_), 2});
  buffers_.steps = scratch({count, 2});
}

template <class T>
void Adafactor::gather_columns(Matrix& m, T weight) {
  if (m.rows == 0) return;
  T* columns = col_var_.data<T>() + m.col_state;
  double* sums = partials_.data<double>() + blocks_[m.first_block].partial;  // the first block's line takes the total
  for (size_t b = 1; b < m.blocks; ++b) {
    const double* more = sums + static_cast<int64_t>(b) * m.cols;
    for (int64_t j = 0; j < m.cols; ++j) sums[j] += more[j];
  }
  for (int64_t j = 0; j < m.cols; ++j) {
    columns[j] = update::lerp(columns[j], T(sums[j] / static_cast<double>(m.rows)), weight);
  }
  const T* rows = row_var_.data<T>() + m.row_state;
  double mean = 0;
  for (int64_t r = 0; r < m.rows; ++r) mean += rows[r];
  m.inverse_mean = 1 / std::max(mean / static_cast<double>(m.rows), least());
}

template <class T>
double Adafactor::directions(const Coefficients<T>& c, const Block& b, T keep, T step, bool apply) {
  const Matrix& m = matrices_[b.matrix];
  const T floor = T(least() * least());
  T* value = values().data<T>() + b.begin;
  const T* grad = grads().data<T>() + b.begin;
  if (m.rows == 0) {
    return line(c, b.count, value, grad, variance_.data<T>() + b.vector_state, T(1), floor, keep, step, apply);
  }
  const T* rows = row_var_.data<T>() + b.row_state;
  const T* columns = col_var_.data<T>() + m.col_state;
  double sum = 0;
  for (int64_t r = 0; r * m.cols < b.count; ++r) {
    const T row = T(rows[r] * m.inverse_mean);
    sum += line(c, m.cols, value + r * m.cols, grad + r * m.cols, columns, row, floor, keep, step, apply);
  }
  return sum;
}

template <class T>
void Adafactor::run(const Step& now, const GradientScale& scale) {
  const AdafactorStep of_all = step_of_all(now);
  const Coefficients<T> c{T(scale.factor), T(scale.limit), T(of_all.weight)};
  for_each_segment(blocks_, [&](int64_t index, const Block& b) {
    const Matrix& m = matrices_[b.matrix];
    const T* grad = grads().data<T>() + b.begin;
    simd::run([&] {
      value_sums_[static_cast<size_t>(index)] = sum_of_squares(b.count, values().data<T>() + b.begin);
      if (m.rows == 0) {
        vector_moments(c, b.count, grad, variance_.data<T>() + b.vector_state);
      } else {
        matrix_moments(c, b.count / m.cols, m.cols, grad, row_var_.data<T>() + b.row_state,
                       partials_.data<double>() + b.partial);
      }
    });
  });
  parallel_for(static_cast<int64_t>(matrices_.size()), 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) gather_columns(matrices_[static_cast<size_t>(i)], c.weight);
  });
  for_each_segment(blocks_, [&](int64_t index, const Block& b) {
    simd::run([&] { direction_sums_[static_cast<size_t>(index)] = directions(c, b, T(0), T(0), false); });
  });
  std::fill(totals_.begin(), totals_.end(), std::array<double, 2>{});
  for (size_t i = 0; i < blocks_.size(); ++i) {
    auto& total = totals_[static_cast<size_t>(blocks_[i].parameter)];
    total[0] += value_sums_[i];
    total[1] += direction_sums_[i];
  }
  for_each_segment(blocks_, [&](int64_t, const Block& b) {
    const size_t parameter = static_cast<size_t>(b.parameter);
    const ParameterGroup& group = group_of_parameter(parameter);
    const double n = static_cast<double>(parameters()[parameter]->shape.numel());
    const double lr = now.lr * group.lr_factor;
    const T keep = T(1 - lr * group.weight_decay);
    const T step = T(of_all.size(lr, totals_[parameter][0], totals_[parameter][1], n));
    simd::run([&] { directions(c, b, keep, step, true); });
  });
}

}  // namespace

void register_adafactor(config::Registry<Optimizer>& registry) {
  registry.add<Adafactor>("adafactor", "Second moments kept as rows and columns (Shazeer, Stern 2018).");
}

}  // namespace gfsa
