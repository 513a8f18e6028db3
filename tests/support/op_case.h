// op_case.h -- one op, one table row, every check that an op must pass.
//
//   check_op({.name = "relu", .inputs = {data({4, 33})}, .op = [](auto& x) { return relu(x[0]); }, .reference =
//   plain_relu});
//
// check_op runs the op on normal inputs and on inputs with outliers (so that a kernel that writes zeros fails), in f64,
// f32 and bf16, with every instruction set of this processor, and compares
//   - the result with `reference`, a plain loop in double on the same (rounded) inputs;
//   - f64 gradients with finite differences, f32 and bf16 gradients with f64 ones, also for each input alone;
//   - bits: a second run, runs with other numbers of threads, a run that may reuse the memory of dy;
//   - strided inputs and dy (padded rows, padded elements), gradients added to earlier ones, buffers given for
//   gradients;
//   - that neither inputs nor a dy somebody holds are written to.
//
// Then f32 and bf16 on every other device there is: results and gradients within the same bounds, the bits of a second
// run, strided inputs, added gradients.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace gfsa::test {

// An input as the reference sees it. values in row-major order.
struct Array {
  Shape shape;
  std::vector<double> values;
  double operator[](int64_t i) const { return values[static_cast<size_t>(i)]; }
};

struct OpInput {
  enum class Kind {
    data,       // in the dtype of the run: f64, f32, bf16
    parameter,  // f64 in the f64 run, else f32
    constant,   // `value` as it is (indices, masks; may be undefined), no gradient
  };
  Kind kind = Kind::data;
  Shape shape;
  Tensor value;
  double deviation = 1;  // elements are shift + deviation * N(0, 1)
  double shift = 0;
  double outlier = 30;  // in the run with outliers about one element in 16 is this many times larger
  double distance = 0;  // elements keep this distance from 0 (a kink), more than 2e-3 for finite differences
  bool gradient = true;
};
inline OpInput data(const Shape& shape) { return {.kind = OpInput::Kind::data, .shape = shape, .value = {}}; }
inline OpInput parameter(const Shape& shape) { return {.kind = OpInput::Kind::parameter, .shape = shape, .value = {}}; }
inline OpInput constant(const Tensor& value) {
  return {.kind = OpInput::Kind::constant, .shape = value.shape(), .value = value};
}

struct OpCase {
  std::string name;
  std::vector<OpInput> inputs;
  std::function<Tensor(const std::vector<Tensor>&)> op;
  std::function<std::vector<double>(const std::vector<Array>&)> reference;
  std::vector<DType> dtypes = {DType::f64, DType::f32, DType::bf16};
  double looseness = 1;  // factor on every tolerance but that of finite differences
  bool differentiable = true;
  bool outliers = true;
  bool any_threads_same_bits = true;  // false for what goes through gemm()
};
void check_op(const OpCase& c);

// Devices beside the CPU on which this build and machine can run: emulated, cuda:0.
std::vector<Device> other_devices();

// |actual - expected| <= tolerance * (|expected| + root mean square of expected + 0.01), infinities and NaN alike.
void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance,
                  const std::string& what);
void expect_close(const Tensor& actual, const std::vector<double>& expected, double tolerance, const std::string& what);
// Same dtype, shape and bits.
void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what);
// Runs f and expects an Error whose message contains every one of `parts`.
void expect_error(const std::function<void()>& f, const std::vector<std::string>& parts);
// N(0, deviation), the same for the same seed.
Tensor random_tensor(const Shape& shape, DType dtype, uint64_t seed, double deviation = 1);
// The values of t in memory that is not contiguous: every element (or, if `rows`, every row) is followed by a gap of
// NaN.
Tensor strided_copy(const Tensor& t, bool rows);

}  // namespace gfsa::test
