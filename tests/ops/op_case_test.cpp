// The harness itself: it must let a right op pass and catch the wrong ones that it is there for.
#include "support/op_case.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "core/dispatch.h"
#include "core/profile.h"

namespace gfsa::test {
namespace {

enum class Flaw { none, zeros, wrong_gradient, ignores_accumulate, writes_to_dy, ignores_strides, drops_tail };

// y = x^2, with a flaw; on any device, through copies on the CPU.
Tensor square(const Tensor& given, Flaw flaw) {
  const OpRange range("square");
  const Device device = given.device();
  const Tensor x = (flaw == Flaw::ignores_strides && is_on_cpu(given) ? given : given.contiguous()).to(Device{});
  Tensor y = Tensor::zeros(x.shape(), x.dtype());
  dispatch_floating("square", x, [&](auto t) {
    using T = decltype(t);
    using A = acc_t<T>;
    const int64_t n = flaw == Flaw::zeros ? 0 : flaw == Flaw::drops_tail ? x.numel() / 16 * 16 : x.numel();
    for (int64_t i = 0; i < n; ++i) y.data<T>()[i] = T(A(x.data<T>()[i]) * A(x.data<T>()[i]));
  });
  return record("square", y.to(device), {given}, [x, flaw](const Tensor& given_dy, GradOut& out) {
    const Tensor own_dy = given_dy.contiguous(), dy = own_dy.to(Device{});
    const auto [target, accumulate] = out.target(0);
    const Tensor dx = target.to(Device{});
    dispatch_floating("square", x, [&, accumulate = accumulate](auto t) {
      using T = decltype(t);
      using A = acc_t<T>;
      const A factor = flaw == Flaw::wrong_gradient ? A(2.001) : A(2);
      for (int64_t i = 0; i < x.numel(); ++i) {
        const A before = accumulate && flaw != Flaw::ignores_accumulate ? A(dx.data<T>()[i]) : A(0);
        dx.data<T>()[i] = T(before + factor * A(x.data<T>()[i]) * A(dy.data<T>()[i]));
        if (flaw == Flaw::writes_to_dy) dy.data<T>()[i] = T(A(0));
      }
    });
    if (!is_on_cpu(target)) target.copy_from(dx);
  });
}

OpCase square_case(Flaw flaw) {
  return {.name = "square",
          .inputs = {data({3, 11})},
          .op = [flaw](const std::vector<Tensor>& x) { return square(x[0], flaw); },
          .reference =
              [](const std::vector<Array>& x) {
                std::vector<double> y;
                for (double v : x[0].values) y.push_back(v * v);
                return y;
              }};
}

TEST(OpCase, LetsARightOpPass) { check_op(square_case(Flaw::none)); }

TEST(OpCase, CatchesEachFlaw) {
  for (Flaw flaw : {Flaw::zeros, Flaw::wrong_gradient, Flaw::ignores_accumulate, Flaw::writes_to_dy,
                    Flaw::ignores_strides, Flaw::drops_tail}) {
    testing::TestPartResultArray failures;
    {
      testing::ScopedFakeTestPartResultReporter reporter(
          testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD, &failures);
      check_op(square_case(flaw));
    }
    EXPECT_GT(failures.size(), 0) << "flaw " << static_cast<int>(flaw);
  }
}

TEST(OpCase, ExpectErrorWantsTheErrorAndItsParts) {
  expect_error([] { fail("a {} b", 1); }, {"a 1", "b"});
  EXPECT_NONFATAL_FAILURE(expect_error([] {}, {"a"}), "no error");
  EXPECT_NONFATAL_FAILURE(expect_error([] { fail("a"); }, {"z"}), "'z' is not in");
}

TEST(OpCase, StridedCopiesHoldTheValuesAmongGaps) {
  const Tensor t = random_tensor({2, 3, 5}, DType::f32, 1);
  for (bool rows : {false, true}) {
    const Tensor s = strided_copy(t, rows);
    EXPECT_FALSE(s.is_contiguous());
    expect_same_bits(s, t, "strided copy");
  }
}

}  // namespace
}  // namespace gfsa::test
