// The main of every test program: quiet logs, gtest's flags.
#include <gtest/gtest.h>

#include "base/log.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  gfsa::log::set_up();
  return RUN_ALL_TESTS();
}
