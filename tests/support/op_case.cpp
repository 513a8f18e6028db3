#include "support/op_case.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "autograd/autograd.h"
#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/philox.h"
#include "core/profile.h"

namespace gfsa::test {
namespace {

constexpr double kFiniteDifferences = 1e-6;

// Rounding of one result, with the f32 (f64) arithmetic inside it.
double result_tolerance(DType dtype) { return dtype == DType::f64 ? 1e-12 : dtype == DType::f32 ? 5e-6 : 4.5e-3; }
// A gradient also feels the rounding of what was saved for it.
double gradient_tolerance(DType dtype) { return dtype == DType::f64 ? 1e-11 : dtype == DType::f32 ? 2e-5 : 2e-2; }

DType dtype_for(const OpInput& input, DType run) {
  if (input.kind == OpInput::Kind::constant) return input.value.dtype();
  if (input.kind == OpInput::Kind::parameter) return accumulator_of(run);
  return run;
}

bool wants_gradient(const OpInput& input) { return input.gradient && input.kind != OpInput::Kind::constant; }

std::vector<Tensor> draw_inputs(const OpCase& c, DType run, bool outliers) {
  std::vector<Tensor> tensors;
  for (size_t k = 0; k < c.inputs.size(); ++k) {
    const OpInput& input = c.inputs[k];
    if (input.kind == OpInput::Kind::constant) {
      tensors.push_back(input.value);
      continue;
    }
    RandomSequence random(RandomKey(7, c.name), static_cast<uint32_t>(k));
    std::vector<double> x(static_cast<size_t>(input.shape.numel()));
    for (double& v : x) {
      v = input.shift + input.deviation * random.normal();
      if (random.below(16) == 0 && outliers) v *= input.outlier;
      if (std::abs(v) < input.distance) v = std::copysign(input.distance, v);
    }
    tensors.push_back(Tensor::from(input.shape, x).to(dtype_for(input, run)));
  }
  return tensors;
}

std::vector<Array> arrays(const std::vector<Tensor>& tensors) {
  std::vector<Array> out;
  for (const Tensor& t : tensors)
    out.push_back({t.shape(), t.defined() ? t.to_vector<double>() : std::vector<double>()});
  return out;
}

// Small multiples of 1/8: exact in every dtype.
Tensor draw_seed(const Tensor& y) {
  RandomSequence random(RandomKey(8, "seed"));
  std::vector<double> s(static_cast<size_t>(y.numel()));
  for (double& v : s) v = static_cast<double>(random.below(17)) / 8 - 1 + 1.0 / 16;
  return Tensor::from(y.shape(), s).to(y.dtype()).to(y.device());
}

struct Result {
  Tensor y;
  std::vector<Tensor> gradients;  // undefined where none is wanted
};

enum class Layout { contiguous, padded_rows, padded_elements };

struct RunOptions {
  Layout layout = Layout::contiguous;
  bool reusable_dy = false;
  int repeats = 1;  // backward passes that add up in the same gradients
  int only = -1;    // the one input that wants a gradient
};

Tensor laid_out(const Tensor& t, Layout layout) {
  if (!t.defined() || layout == Layout::contiguous) return t;
  return strided_copy(t, layout == Layout::padded_rows);
}

Result run(const OpCase& c, const std::vector<Tensor>& values, const RunOptions& options = {}) {
  std::vector<Tensor> inputs;
  bool any = false;
  for (size_t k = 0; k < values.size(); ++k) {
    inputs.push_back(laid_out(values[k], options.layout));
    if (!c.differentiable || !wants_gradient(c.inputs[k]) || (options.only >= 0 && options.only != static_cast<int>(k)))
      continue;
    // A buffer full of NaN: the first contribution must overwrite it.
    Tensor buffer;
    if (options.repeats > 1) {
      buffer = Tensor::full(values[k].shape(), std::numeric_limits<double>::quiet_NaN(), values[k].dtype(),
                            values[k].device());
    }
    require_grad(inputs[k], buffer);
    any = true;
  }
  Result result;
  for (int i = 0; i < options.repeats; ++i) {
    result.y = c.op(inputs);
    EXPECT_EQ(requires_grad(result.y), any);
    if (!requires_grad(result.y)) continue;
    Tensor seed = laid_out(draw_seed(result.y), options.layout);
    if (options.reusable_dy) {
      backward(result.y, std::move(seed));
    } else {
      backward(result.y, seed);
      expect_same_bits(seed.contiguous(), draw_seed(result.y), "dy after backward, held by somebody else");
    }
  }
  EXPECT_EQ(tape_length(), 0u);
  for (size_t k = 0; k < inputs.size(); ++k) {
    result.gradients.push_back(grad_of(inputs[k]));
    EXPECT_EQ(result.gradients[k].defined(), inputs[k].slot() != nullptr) << "gradient of input " << k;
    if (values[k].defined())
      expect_same_bits(inputs[k].contiguous(), values[k], fmt::format("input {} after the run", k));
  }
  return result;
}

void compare_bits(const Result& a, const Result& b, const std::string& what) {
  expect_same_bits(a.y, b.y, what + ": result");
  for (size_t k = 0; k < a.gradients.size(); ++k) {
    if (a.gradients[k].defined())
      expect_same_bits(a.gradients[k], b.gradients[k], fmt::format("{}: gradient {}", what, k));
  }
}

class ThreadsAre {
 public:
  explicit ThreadsAre(int n) : previous_(threads()) { set_threads(n); }
  ~ThreadsAre() { set_threads(previous_); }

 private:
  int previous_;
};

// <seed, op(values)> in f64.
double projection(const OpCase& c, const std::vector<Tensor>& values, const std::vector<double>& seed) {
  const NoGrad guard;
  const auto y = c.op(values).to_vector<double>();
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += y[i] * seed[i];
  return sum;
}

void check_finite_differences(const OpCase& c, const std::vector<Tensor>& values, const Result& result) {
  constexpr double kStep = 1e-3;
  constexpr int64_t kAll = 64, kSample = 24;  // every element of a small input, some of a large one
  const ThreadsAre one(1);                    // many small runs
  const auto seed = draw_seed(result.y).to_vector<double>();
  RandomSequence random(RandomKey(9, c.name));
  for (size_t k = 0; k < values.size(); ++k) {
    if (!result.gradients[k].defined()) continue;
    const auto gradient = result.gradients[k].to_vector<double>();
    const auto n = static_cast<int64_t>(gradient.size());
    std::vector<double> actual, expected;
    for (int64_t j = 0; j < (n <= kAll ? n : kSample); ++j) {
      const int64_t i = n <= kAll ? j : static_cast<int64_t>(random.below(static_cast<uint64_t>(n)));
      auto at = [&](double offset) {
        std::vector<Tensor> moved = values;
        moved[k] = values[k].clone();
        moved[k].data<double>()[i] += offset;
        return projection(c, moved, seed);
      };
      // Fourth order, so that the step can be wide enough for rounding not to matter.
      expected.push_back((8 * (at(kStep) - at(-kStep)) - (at(2 * kStep) - at(-2 * kStep))) / (12 * kStep));
      actual.push_back(gradient[static_cast<size_t>(i)]);
    }
    expect_close(actual, expected, kFiniteDifferences, fmt::format("gradient {} against finite differences", k));
  }
}

class IsaIs {
 public:
  explicit IsaIs(simd::Isa isa) : previous_(simd::active()) { simd::set_active(isa); }
  ~IsaIs() { simd::set_active(previous_); }

 private:
  simd::Isa previous_;
};

// What every device must come close to: the reference's result, and gradients in f64.
class Expected {
 public:
  Expected(const OpCase& c, const std::vector<Tensor>& values) : c_(c), result_(c.reference(arrays(values))) {
    std::vector<Tensor> exact;
    for (size_t k = 0; k < values.size(); ++k) {
      exact.push_back(c.inputs[k].kind == OpInput::Kind::constant ? values[k] : values[k].to(DType::f64));
    }
    gradients_ = run(c, exact).gradients;
  }
  // `times`: passes that added up in the gradients.
  void compare(const Result& r, DType dtype, double times, const std::string& what) const {
    expect_close(r.y, result_, c_.looseness * result_tolerance(coarser(r, dtype)), what + ": result");
    for (size_t k = 0; k < gradients_.size(); ++k) {
      if (r.gradients[k].defined()) compare_gradient(r, dtype, k, times, what);
    }
  }
  void compare_gradient(const Result& r, DType dtype, size_t k, double times, const std::string& what) const {
    if (c_.inputs[k].kind == OpInput::Kind::data) {
      EXPECT_EQ(r.gradients[k].dtype(), dtype);
    }
    auto reference = gradients_[k].to_vector<double>();
    for (double& g : reference) g *= times;
    expect_close(r.gradients[k], reference, c_.looseness * gradient_tolerance(coarser(r, dtype)),
                 fmt::format("{}: gradient {}", what, k));
  }

 private:
  static DType coarser(const Result& r, DType dtype) { return r.y.dtype() == DType::bf16 ? DType::bf16 : dtype; }

  const OpCase& c_;
  std::vector<double> result_;
  std::vector<Tensor> gradients_;
};

// Each op on the tape is one that the profile knows (core/profile.h).
Result profiled(const OpCase& c, const std::vector<Tensor>& values) {
  profile::start({});
  try {
    Result result = run(c, values);
    profile::stop();
    return result;
  } catch (...) {
    profile::stop();
    throw;
  }
}

void check_run(const OpCase& c, DType dtype, bool outliers) {
  const std::vector<Tensor> values = draw_inputs(c, dtype, outliers);
  const Expected expected(c, values);
  const Result plain = run(c, values);
  const auto compare = [&](const Result& r, double times, const std::string& what) {
    expected.compare(r, dtype, times, what);
  };

  compare(plain, 1, "plain");
  compare_bits(run(c, values), plain, "second run");
  compare_bits(run(c, values, {.reusable_dy = true}), plain, "dy may be reused");
  compare_bits(profiled(c, values), plain, "in a profile");
  if (c.any_threads_same_bits) {
    for (int n : {1, 3}) {
      const ThreadsAre team(n);
      compare_bits(run(c, values), plain, fmt::format("{} threads", n));
    }
  }
  compare(run(c, values, {.layout = Layout::padded_rows}), 1, "padded rows");
  compare(run(c, values, {.layout = Layout::padded_elements}), 1, "padded elements");
  if (!c.differentiable) return;
  compare(run(c, values, {.repeats = 2}), 2, "two passes");
  if (dtype != DType::f64 || outliers) return;
  for (size_t k = 0; k < values.size(); ++k) {
    if (!wants_gradient(c.inputs[k])) continue;
    const Result alone = run(c, values, {.only = static_cast<int>(k)});
    expected.compare_gradient(alone, dtype, k, 1, "alone");
  }
  check_finite_differences(c, values, plain);
}

// The same on a device of GPU kernels.
void check_run_on(Device device, const OpCase& c, DType dtype, bool outliers) {
  const std::vector<Tensor> values = draw_inputs(c, dtype, outliers);
  const Expected expected(c, values);
  std::vector<Tensor> there;
  for (const Tensor& v : values) there.push_back(v.defined() ? v.to(device) : v);
  const Result plain = run(c, there);
  EXPECT_TRUE(plain.y.device() == device);
  expected.compare(plain, dtype, 1, "plain");
  if (outliers) return;
  compare_bits(run(c, there, {.reusable_dy = true}), plain, "second run, dy may be reused");
  expected.compare(run(c, there, {.layout = Layout::padded_rows}), dtype, 1, "padded rows");
  if (dtype != DType::f32) return;
  expected.compare(run(c, there, {.layout = Layout::padded_elements}), dtype, 1, "padded elements");
  if (c.differentiable) expected.compare(run(c, there, {.repeats = 2}), dtype, 2, "two passes");
}

}  // namespace

std::vector<Device> other_devices() {
  std::vector<Device> devices;
#ifdef GFSA_HAS_EMULATED
  devices.push_back({DeviceType::emulated, 0});
#endif
  if (why_no_cuda().empty()) devices.push_back({DeviceType::cuda, 0});
  return devices;
}

void check_op(const OpCase& c) {
  for (simd::Isa isa : {simd::Isa::baseline, simd::Isa::avx2, simd::Isa::avx512}) {
    if (isa > simd::supported()) continue;
    const IsaIs scope(isa);
    for (DType dtype : c.dtypes) {
      for (bool outliers : {false, true}) {
        if (outliers && !c.outliers) continue;
        SCOPED_TRACE(
            fmt::format("{}, {}, {}{}", c.name, name_of(dtype), simd::name(isa), outliers ? ", outliers" : ""));
        check_run(c, dtype, outliers);
      }
    }
  }
  for (const Device device : other_devices()) {
    for (DType dtype : c.dtypes) {
      if (dtype == DType::f64) continue;  // GPU kernels are made for f32 and bf16
      for (bool outliers : {false, true}) {
        if (outliers && !c.outliers) continue;
        SCOPED_TRACE(fmt::format("{}, {}, {}{}", c.name, name_of(dtype), device.text(), outliers ? ", outliers" : ""));
        check_run_on(device, c, dtype, outliers);
      }
    }
  }
}

void expect_close(const std::vector<double>& actual, const std::vector<double>& expected, double tolerance,
                  const std::string& what) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double squares = 0, finite = 0;
  for (double e : expected) {
    if (std::isfinite(e)) squares += e * e, finite += 1;
  }
  const double typical = std::sqrt(squares / std::max(1.0, finite)) + 0.01;
  size_t wrong = 0, worst = 0;
  double worst_error = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double a = actual[i], e = expected[i];
    if (a == e || (std::isnan(a) && std::isnan(e))) continue;
    const double error = std::abs(a - e) / (std::abs(e) + typical);
    if (error <= tolerance) continue;
    ++wrong;
    if (!(error <= worst_error)) worst = i, worst_error = error;
  }
  EXPECT_EQ(wrong, 0u) << what << ": of " << expected.size() << " values, the worst at " << worst << ": "
                       << actual[worst] << ", expected " << expected[worst] << " (relative error " << worst_error
                       << ", allowed " << tolerance << ")";
}

void expect_close(const Tensor& actual, const std::vector<double>& expected, double tolerance,
                  const std::string& what) {
  ASSERT_TRUE(actual.defined()) << what;
  expect_close(actual.to_vector<double>(), expected, tolerance, what);
}

void expect_same_bits(const Tensor& a, const Tensor& b, const std::string& what) {
  ASSERT_TRUE(a.defined() && b.defined()) << what;
  ASSERT_EQ(a.dtype(), b.dtype()) << what;
  ASSERT_TRUE(a.shape() == b.shape()) << what << ": " << a.shape().text() << " and " << b.shape().text();
  const Tensor x = a.to(Device{}).contiguous(), y = b.to(Device{}).contiguous();
  EXPECT_TRUE(x.bytes() == 0 || std::memcmp(x.raw(), y.raw(), x.bytes()) == 0) << what << ": bits differ";
}

void expect_error(const std::function<void()>& f, const std::vector<std::string>& parts) {
  try {
    f();
  } catch (const Error& e) {
    for (const auto& part : parts)
      EXPECT_NE(e.message().find(part), std::string::npos) << "'" << part << "' is not in: " << e.message();
    return;
  }
  ADD_FAILURE() << "no error, expected one about " << (parts.empty() ? "anything" : parts[0]);
}

Tensor random_tensor(const Shape& shape, DType dtype, uint64_t seed, double deviation) {
  RandomSequence random(RandomKey(seed, "random_tensor"));
  std::vector<double> x(static_cast<size_t>(shape.numel()));
  for (double& v : x) v = deviation * random.normal();
  return Tensor::from(shape, x).to(dtype);
}

Tensor strided_copy(const Tensor& t, bool rows) {
  if (t.rank() == 0 || t.rank() == Shape::kMaxRank) return t.clone();
  Shape wide = t.shape();
  if (rows) {
    wide[-1] += 3;
  } else {
    wide.push_back(2);
  }
  Tensor memory =
      Tensor::full(wide, is_floating(t.dtype()) ? std::numeric_limits<double>::quiet_NaN() : 1, t.dtype(), t.device());
  const Tensor view = rows ? memory.slice(-1, 1, 1 + t.dim(-1)) : memory.select(-1, 0);
  view.copy_from(t);
  return view;
}

}  // namespace gfsa::test
