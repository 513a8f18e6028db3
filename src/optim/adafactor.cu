// Of a block of rows, warps take rows where a row's sum is wanted, threads take columns where a column's is.
#include "optim/adafactor_kernels.h"

#include "optim/cuda/segments.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kWarps = kUpdateThreads / 32;

struct Block {
  int64_t begin, count, parameter, matrix, row_state, vector_state, partial;
};
GFSA_DEVICE Block load_block(Global<const int64_t> table, Where where = Where::current()) {
  const auto at = table + int64_t{block_x()} * 7;
  return {load(at, 0, where), load(at, 1, where), load(at, 2, where), load(at, 3, where),
          load(at, 4, where), load(at, 5, where), load(at, 6, where)};
}

struct Matrix {
  int64_t rows, columns, row_state, column_state, partial, blocks;
};
GFSA_DEVICE Matrix load_matrix(Global<const int64_t> table, int64_t index, Where where = Where::current()) {
  const auto at = table + index * 6;
  return {load(at, 0, where), load(at, 1, where), load(at, 2, where),
          load(at, 3, where), load(at, 4, where), load(at, 5, where)};
}

// Of the running means, the same for all groups.
GFSA_DEVICE float weight_of(Global<const uint32_t> groups, Where where = Where::current()) {
  return static_cast<float>(load_rule<AdafactorGroup>(groups, 0, where).step.weight);
}

struct Moments {
  static constexpr const char* kName = "adafactor_moments";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<const uint32_t> groups, ScaleOnHost scale, Global<const double> factor,
                              Global<const int64_t> blocks, Global<const int64_t> matrices, Global<const float> value,
                              Global<const float> grad, Global<float> row_var, Global<float> variance,
                              Global<double> partials, Global<double> sums) const {
    GFSA_SHARED(double, scratch, 32);
    const float f = factor_of(scale, factor);
    if (is_nan(f)) return;
    const float weight = weight_of(groups);
    const Block b = load_block(blocks);
    const Matrix m = load_matrix(matrices, b.matrix);
    double sum = 0;
    for (int64_t i = b.begin + thread_x(); i < b.begin + b.count; i += kUpdateThreads) {
      const double p = load(value, i);
      sum += p * p;
    }
    sum = block_sum(sum, scratch);
    if (thread_x() == 0) store(sums, 2 * int64_t{block_x()}, sum);
    if (m.rows == 0) {
      for (int64_t i = thread_x(); i < b.count; i += kUpdateThreads) {
        const float g = update::scaled_gradient(load(grad, b.begin + i), f, scale.limit);
        store(variance, b.vector_state + i, update::lerp(load(variance, b.vector_state + i), g * g, weight));
      }
      return;
    }
    const int64_t rows = b.count / m.columns;
    for (int64_t r = warp(); r < rows; r += kWarps) {
      double squares = 0;
      for (int64_t j = lane(); j < m.columns; j += 32) {
        const double g = update::scaled_gradient(load(grad, b.begin + r * m.columns + j), f, scale.limit);
        squares += g * g;
      }
      const float mean = static_cast<float>(warp_sum(squares) / static_cast<double>(m.columns));
      if (lane() == 0) store(row_var, b.row_state + r, update::lerp(load(row_var, b.row_state + r), mean, weight));
    }
    for (int64_t j = thread_x(); j < m.columns; j += kUpdateThreads) {
      double squares = 0;
      for (int64_t r = 0; r < rows; ++r) {
        const double g = update::scaled_gradient(load(grad, b.begin + r * m.columns + j), f, scale.limit);
        squares += g * g;
      }
      store(partials, b.partial + j, squares);
    }
  }
};

// Blocks (matrix, columns of it): column states; the first also the mean of the row states.
struct GatherColumns {
  static constexpr const char* kName = "adafactor_gather_columns";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(Global<const uint32_t> groups, ScaleOnHost scale, Global<const double> factor,
                              double least, Global<const int64_t> matrices, Global<const double> partials,
                              Global<const float> row_var, Global<float> col_var, Global<double> inverse_means) const {
    GFSA_SHARED(double, scratch, 32);
    const Matrix m = load_matrix(matrices, block_x());
    if (is_nan(factor_of(scale, factor)) || m.rows == 0) return;
    const float weight = weight_of(groups);
    const double rows = static_cast<double>(m.rows);
    const int64_t j = int64_t{block_y()} * kUpdateThreads + thread_x();
    if (j < m.columns) {
      double sum = 0;
      for (int64_t b = 0; b < m.blocks; ++b) sum += load(partials, m.partial + b * m.columns + j);
      const int64_t at = m.column_state + j;
      store(col_var, at, update::lerp(load(col_var, at), static_cast<float>(sum / rows), weight));
    }
    if (block_y() != 0) return;
    double sum = 0;
    for (int64_t r = thread_x(); r < m.rows; r += kUpdateThreads) sum += load(row_var, m.row_state + r);
    const double mean = block_sum(sum, scratch) / rows;
    if (thread_x() == 0) store(inverse_means, block_x(), 1 / (mean > least ? mean : least));
  }
};

// f(element, row state scaled, column state) for the elements of a block that the calling thread has.
template <class F>
GFSA_DEVICE void for_each_element(const Block& b, const Matrix& m, Global<const float> row_var,
                                  Global<const float> col_var, Global<const float> variance,
                                  Global<const double> inverse_means, const F& f, Where where = Where::current()) {
  if (m.rows == 0) {
    for (int64_t i = thread_x(); i < b.count; i += kUpdateThreads) {
      f(b.begin + i, 1.0f, load(variance, b.vector_state + i, where));
    }
    return;
  }
  const double inverse_mean = load(inverse_means, b.matrix, where);
  for (int64_t r = warp(); r * m.columns < b.count; r += kWarps) {
    const float row = static_cast<float>(static_cast<double>(load(row_var, b.row_state + r, where)) * inverse_mean);
    for (int64_t j = lane(); j < m.columns; j += 32) {
      f(b.begin + r * m.columns + j, row, load(col_var, m.column_state + j, where));
    }
  }
}

struct Directions {
  static constexpr const char* kName = "adafactor_directions";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(ScaleOnHost scale, Global<const double> factor, float least, Global<const int64_t> blocks,
                              Global<const int64_t> matrices, Global<const float> grad, Global<const float> row_var,
                              Global<const float> col_var, Global<const float> variance,
                              Global<const double> inverse_means, Global<double> sums) const {
    GFSA_SHARED(double, scratch, 32);
    const float f = factor_of(scale, factor);
    if (is_nan(f)) return;
    const Block b = load_block(blocks);
    double sum = 0;
    for_each_element(b, load_matrix(matrices, b.matrix), row_var, col_var, variance, inverse_means,
                     [&](int64_t i, float row, float column) {
                       const float g = update::scaled_gradient(load(grad, i), f, scale.limit);
                       const double u = update::adafactor_direction(g, row, column, least);
                       sum += u * u;
                     });
    sum = block_sum(sum, scratch);
    if (thread_x() == 0) store(sums, 2 * int64_t{block_x()} + 1, sum);
  }
};

// A warp a parameter.
struct Steps {
  static constexpr const char* kName = "adafactor_steps";
  static constexpr int kMaxThreads = 32;
  GFSA_DEVICE void operator()(Global<const uint32_t> groups, ScaleOnHost scale, Global<const double> factor,
                              Global<const int64_t> parameters, Global<const double> sums, Global<double> steps) const {
    const auto at = parameters + int64_t{block_x()} * 4;
    const int64_t begin = load(at, 0), blocks = load(at, 1), n = load(at, 2);
    if (is_nan(factor_of(scale, factor))) return;
    double values = 0, directions = 0;
    for (int64_t i = begin + lane(); i < begin + blocks; i += 32) {
      values += load(sums, 2 * i);
      directions += load(sums, 2 * i + 1);
    }
    values = warp_sum(values);
    directions = warp_sum(directions);
    if (lane() != 0) return;
    const auto g = load_rule<AdafactorGroup>(groups, load(at, 3));
    store(steps, 2 * int64_t{block_x()}, 1 - g.lr * g.weight_decay);
    store(steps, 2 * int64_t{block_x()} + 1, g.step.size(g.lr, values, directions, static_cast<double>(n)));
  }
};

struct Apply {
  static constexpr const char* kName = "adafactor_apply";
  static constexpr int kMaxThreads = kUpdateThreads;
  GFSA_DEVICE void operator()(ScaleOnHost scale, Global<const double> factor, float least, Global<const int64_t> blocks,
                              Global<const int64_t> matrices, Global<float> value, Global<const float> grad,
                              Global<const float> row_var, Global<const float> col_var, Global<const float> variance,
                              Global<const double> inverse_means, Global<const double> steps) const {
    const float f = factor_of(scale, factor);
    if (is_nan(f)) return;
    const Block b = load_block(blocks);
    const float keep = static_cast<float>(load(steps, 2 * b.parameter));
    const float step = static_cast<float>(load(steps, 2 * b.parameter + 1));
    for_each_element(b, load_matrix(matrices, b.matrix), row_var, col_var, variance, inverse_means,
                     [&](int64_t i, float row, float column) {
                       const float g = update::scaled_gradient(load(grad, i), f, scale.limit);
                       const float u = update::adafactor_direction(g, row, column, least);
                       store(value, i, keep * load(value, i) - step * u);
                     });
  }
};

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void AdafactorKernels<D>::update(const AdafactorBuffers& b, const uint32_t* groups, double least,
                                 const GradientScale& scale) {
  const int64_t count = b.blocks.dim(0);
  if (count == 0) return;
  const Launch by_block = a_block_each("adafactor", count);
  const ScaleOnHost host = on_host(scale);
  const double* factor = on_device_or_null(scale);
  const int64_t* blocks = b.blocks.data<int64_t>();
  const int64_t* matrices = b.matrices.data<int64_t>();
  const float floor = static_cast<float>(least * least);
  float* values = b.values.data<float>();
  const float* grads = b.grads.data<float>();
  float* row_var = b.row_var.data<float>();
  float* col_var = b.col_var.data<float>();
  float* variance = b.variance.data<float>();
  double* inverse_means = b.inverse_means.data<double>();
  double* sums = b.sums.data<double>();
  launch(Moments{}, by_block, groups, host, factor, blocks, matrices, values, grads, row_var, variance,
         b.partials.data<double>(), sums);
  if (b.most_columns > 0) {
    launch(GatherColumns{},
           {.grid = {static_cast<uint32_t>(b.matrices.dim(0)), blocks_for(b.most_columns, kUpdateThreads)},
            .block = {kUpdateThreads},
            .op = "adafactor"},
           groups, host, factor, least, matrices, b.partials.data<double>(), row_var, col_var, inverse_means);
  }
  launch(Directions{}, by_block, host, factor, floor, blocks, matrices, grads, row_var, col_var, variance,
         inverse_means, sums);
  launch(Steps{}, {.grid = {static_cast<uint32_t>(b.parameters.dim(0))}, .block = {32}, .op = "adafactor"}, groups,
         host, factor, b.parameters.data<int64_t>(), sums, b.steps.data<double>());
  launch(Apply{}, by_block, host, factor, floor, blocks, matrices, values, grads, row_var, col_var, variance,
         inverse_means, b.steps.data<double>());
}

template struct AdafactorKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
