// planted.h -- for kernels with a planted bug: the finding that a launch ends with.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <vector>

#ifndef GFSA_EMULATED
#define GFSA_EMULATED
#endif
#include "core/cuda/device_test.h"

namespace gfsa::emulated {

struct Found {
  std::optional<FindingKind> kind;
  std::string text;
};

// Runs `body` and waits for the device; the schedule does not matter for most bugs, the seed makes it repeatable.
template <class F>
Found found(F&& body, uint64_t seed = 1) {
  choose_schedule(seed);
  try {
    body();
    runtime().synchronize();
  } catch (const Finding& finding) {
    return {finding.kind(), finding.message()};
  }
  return {};
}

// The bug is found under every schedule, as `kind`, with all of `parts` in its message.
template <class F>
void expect_finding(FindingKind kind, const std::vector<std::string>& parts, F&& body) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const Found f = found(body, seed);
    ASSERT_TRUE(f.kind.has_value()) << "not found with seed " << seed;
    ASSERT_EQ(static_cast<int>(*f.kind), static_cast<int>(kind)) << f.text;
    for (const std::string& part : parts) ASSERT_THAT(f.text, testing::HasSubstr(part));
  }
}

// The same, and the finding names the line that the kernel has marked with BUG.
template <class K, class F>
void expect_finding_at_bug(FindingKind kind, const std::vector<std::string>& parts, F&& body) {
  expect_finding(kind, parts, body);
  EXPECT_THAT(found(body).text, testing::HasSubstr("_test.cpp:" + std::to_string(K::line))) << K::kName;
}

// A kernel from the body that follows.
#define PLANTED(name, ...)                            \
  struct name {                                       \
    static constexpr const char* kName = #name;       \
    [[maybe_unused]] inline static unsigned line = 0; \
    void operator()(__VA_ARGS__) const;               \
  };                                                  \
  void name::operator()(__VA_ARGS__) const
#define BUG line = __LINE__;

}  // namespace gfsa::emulated
