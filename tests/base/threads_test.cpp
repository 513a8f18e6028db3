// The floating-point mode of programs: threads have it from the one that starts them.
#include <gtest/gtest.h>

#include <thread>

#include "base/threads.h"

namespace gfsa::test {
namespace {

// A tenth of the smallest normal number, and ten times that.
struct Small {
  float made = 0, used = 0;
};
Small small() {
  volatile float smallest = 1.17549435e-38F, tenth = 1e-39F, ten = 10;
  return {smallest / ten, tenth * ten};
}

TEST(Threads, FlushDenormals) {
  EXPECT_GT(small().made, 0);
  EXPECT_GT(small().used, 0);
  Small flushed{1, 1}, inherited{1, 1};
  std::thread program([&] {  // of its own: the mode is a thread's
    flush_denormals();
    flushed = small();
    std::thread([&] { inherited = small(); }).join();
  });
  program.join();
  EXPECT_EQ(flushed.made, 0);
  EXPECT_EQ(flushed.used, 0);
  EXPECT_EQ(inherited.made, 0);
  EXPECT_EQ(inherited.used, 0);
  EXPECT_GT(small().made, 0);
}

}  // namespace
}  // namespace gfsa::test
