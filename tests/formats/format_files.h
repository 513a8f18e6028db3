// format_files.h -- what the tests of src/formats share: golden files, files of a test's own, damage by rule.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/error.h"
#include "core/philox.h"

namespace gfsa::test {

inline std::string golden_path(const std::string& name) { return std::string(GFSA_SOURCE_DIR "/tests/golden/") + name; }
inline std::string golden(const std::string& name) { return Env::real().read(golden_path(name)); }

// A path in a fresh folder of the running test.
inline std::string test_path(const std::string& name) {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const std::string folder = testing::TempDir() + "gfsa_" + info->test_suite_name() + "_" + info->name();
  Env::real().create_directories(folder);
  return folder + "/" + name;
}

inline std::string write_test_file(const std::string& name, std::string_view content) {
  const std::string path = test_path(name);
  std::ofstream(path, std::ios::binary) << content;  // not by Env: hundreds of fsyncs take long
  return path;
}

inline std::span<const uint8_t> as_bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The message of the bad-input Error that `body` throws; "" if it throws none.
inline std::string bad_input_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), kExitBadInput) << error.message();
    return error.message();
  }
  return "";
}

// read(damaged) for `count` copies of `content` with one to three random bytes changed. Success is fine, a bad-input
// Error is fine; anything else (another exception, a crash) fails the test. Returns how many copies were refused.
inline int try_damaged(const std::string& content, int count, const std::function<void(const std::string&)>& read) {
  int refused = 0;
  for (int i = 0; i < count; ++i) {
    RandomSequence random(RandomKey(17, "damage"), static_cast<uint32_t>(i));
    std::string damaged = content;
    for (uint64_t n = 1 + random.below(3); n > 0; --n) {
      damaged[random.below(damaged.size())] ^= static_cast<char>(1 + random.below(255));
    }
    refused += !bad_input_of([&] { read(damaged); }).empty();
  }
  return refused;
}

// read(content cut to n bytes) must be refused for every n of a step.
inline void expect_truncations_refused(const std::string& content, const std::function<void(const std::string&)>& read,
                                       size_t step = 1) {
  for (size_t n = 0; n < content.size(); n += step) {
    EXPECT_NE(bad_input_of([&] { read(content.substr(0, n)); }), "")
        << "cut to " << n << " of " << content.size() << " bytes";
  }
}

}  // namespace gfsa::test
