#include "core/expect.h"

#include <gtest/gtest.h>

#include "support/op_case.h"

namespace gfsa {
namespace {

using test::expect_error;

Tensor of(const Shape& shape, DType dtype = DType::f32) { return Tensor::zeros(shape, dtype); }

TEST(Expect, BindsNamesOnce) {
  Expect e("op");
  e.shape("x", of({5, 7, 3}), "... C").shape("w", of({3, 2}), "C D").shape("m", of({5, 7}), "...");
  EXPECT_EQ(e["C"], 3);
  EXPECT_EQ(e["D"], 2);
  EXPECT_EQ(e["..."], 35);
  expect_error([&] { (void)e["Z"]; }, {"op", "Z"});
}

TEST(Expect, WordsOfAMismatch) {
  Expect e("layer_norm");
  e.shape("x", of({64, 197, 384}), "... C");
  expect_error([&] { e.shape("weight", of({768}), "C"); },
               {"layer_norm: weight has shape [768], expected [C] with C = 384 from x [64, 197, 384]"});
  expect_error([&] { e.shape("y", of({64, 196, 384}), "... C"); }, {"y has shape [64, 196, 384]", "[64, 197]"});
  expect_error([&] { e.shape("z", of({3, 4}), "3 5"); }, {"z has shape [3, 4], expected [3, 5]"});
  expect_error([&] { e.shape("k", of({3, 4}), "P P"); }, {"k has shape [3, 4], expected [P, P]"});
  expect_error([&] { e.shape("r", of({3, 4}), "A B D"); }, {"r has shape [3, 4], expected [A, B, D]"});
  expect_error([&] { e.shape("u", {}, "A"); }, {"u is missing"});
}

TEST(Expect, OptionalDTypesAndConditions) {
  Expect e("op");
  e.optional("bias", {}, "C").floating("x", of({1}, DType::bf16)).that(true, "never");
  expect_error(
      [&] {
        e.dtype("t", of({1}, DType::u8), {DType::i64, DType::i32});
      },
      {"op: t is u8, expected i64 or i32"});
  expect_error([&] { e.that(1 > 2, "count is {}", 5); }, {"op: count is 5"});
}

}  // namespace
}  // namespace gfsa
