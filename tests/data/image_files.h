// image_files.h -- small picture data sets on disk for the tests of sources.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/error.h"
#include "core/philox.h"
#include "formats/image.h"

namespace gfsa::data {

// A fresh folder of the running test.
inline std::string test_folder() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder = testing::TempDir() + "gfsa_" + info->test_suite_name() + "_" + info->name();
  Env::real().remove_all(folder);
  Env::real().create_directories(folder);
  return folder;
}

inline void write_file(const std::string& path, std::string_view content) {
  Env::real().create_directories(path.substr(0, path.rfind('/')));
  std::ofstream(path, std::ios::binary) << content;
}

inline Image noise_image(int width, int height, uint32_t which) {
  Image image{width, height, std::vector<uint8_t>(static_cast<size_t>(3 * width * height))};
  RandomSequence rng(RandomKey(3, "noise image"), which);
  for (auto& v : image.rgb) v = static_cast<uint8_t>(rng.below(256));
  return image;
}

// Programs of every Debian system: tar, gzip.
inline void run_program(const std::string& command) { ASSERT_EQ(std::system(command.c_str()), 0) << command; }

// root/train/{ant,bee,a-b}/ with 3 + 2 + 1 pictures, root/test with 1 + 1 + 1, and files that are none.
inline std::string write_image_folder() {
  const std::string root = test_folder() + "/set";
  uint32_t n = 0;
  for (const char* name :
       {"train/bee/2.png", "train/bee/10.PNG", "train/ant/z.png", "train/ant/deep/b.png", "train/ant/c.png",
        "train/a-b/1.png", "test/ant/1.png", "test/bee/1.png", "test/a-b/1.png"}) {
    write_file(root + "/" + name, encode_png(noise_image(5 + static_cast<int>(n), 6, n)));
    ++n;
  }
  write_file(root + "/train/readme.txt", "no picture");
  write_file(root + "/train/ant/.hidden.png", "no picture");
  write_file(root + "/train/ant/notes.txt", "no picture");
  write_file(root + "/train/stray.png", "not in a class");
  return root;
}

inline std::string message_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), kExitBadInput) << e.message();
    return e.message();
  }
  return "no error";
}

}  // namespace gfsa::data
