#include "base/error.h"

#include <gtest/gtest.h>

namespace gfsa {
namespace {

template <class F>
Error error_in(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error;
  }
  return Error(kExitDone, "no error");
}

TEST(ErrorTest, CodesAndFormatting) {
  const Error bad = error_in([] { bad_input("{}: {} is not {}", "f", 3, 'x'); });
  EXPECT_EQ(bad.exit_code(), 2);
  EXPECT_EQ(bad.message(), "f: 3 is not x");
  EXPECT_EQ(error_in([] { fail("disk {}", "full"); }).exit_code(), 1);
}

TEST(ErrorTest, ListThrowsAllLinesAtOnce) {
  ErrorList list;
  EXPECT_TRUE(list.empty());
  EXPECT_NO_THROW(list.throw_if_any());
  list.add("first");
  list.add("second {}");  // braces are text here
  EXPECT_EQ(list.lines().size(), 2u);
  const Error error = error_in([&] { list.throw_if_any(); });
  EXPECT_EQ(error.exit_code(), kExitBadInput);
  EXPECT_EQ(error.message(), "first\nsecond {}");
}

}  // namespace
}  // namespace gfsa
