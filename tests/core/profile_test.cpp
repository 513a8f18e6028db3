#include "core/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "base/error.h"

namespace gfsa {
namespace {

using profile::Kind;
using profile::Range;
using profile::Recording;

const Range& named(const Recording& recording, const std::string& name) {
  for (const Range& range : recording.ranges) {
    if (name == range.name) return range;
  }
  fail("no range is called {}", name);
}

TEST(Profile, WithoutARecordingNothingIsKept) {
  {
    const OpRange op("before");
    EXPECT_FALSE(op.is_open());
    profile::add_flops(7);
    profile::set_bytes(7);
    EXPECT_EQ(profile::innermost(), -1);
  }
  profile::start({});
  EXPECT_TRUE(profile::stop().ranges.empty());
  const OpRange op("after");
  EXPECT_FALSE(op.is_open());
}

TEST(Profile, RangesNestAndHaveWhatHappensWithin) {
  profile::name_thread("main");
  profile::start({});
  {
    const ProfileRange step("step");
    {
      const OpRange op("product");
      EXPECT_EQ(profile::innermost(), 1);
      EXPECT_STREQ(profile::innermost_name(), "product");
      profile::add_flops(100);
      profile::note_operands(10);
      profile::add_bytes(5);
    }
    const ProfileRange backward("product", Kind::backward, 1);
    profile::add_flops(1);
    profile::set_bytes(3);
    profile::note_operands(10);
  }
  const Recording r = profile::stop();
  ASSERT_EQ(r.ranges.size(), 3u);
  const Range &step = r.ranges[0], &forward = r.ranges[1], &backward = r.ranges[2];
  EXPECT_EQ(r.threads, std::vector<std::string>{"main"});
  EXPECT_EQ(step.parent, -1);
  EXPECT_EQ(forward.parent, 0);
  EXPECT_EQ(backward.parent, 0);
  EXPECT_EQ(forward.kind, Kind::forward);
  EXPECT_EQ(backward.forward, 1);
  EXPECT_EQ(forward.flops, 100);
  EXPECT_EQ(backward.flops, 1);
  EXPECT_EQ(step.flops, 101);
  EXPECT_EQ(step.bytes, 0);
  EXPECT_EQ(forward.bytes, 15);
  EXPECT_EQ(backward.bytes, 3);
  EXPECT_LE(step.start, forward.start);
  EXPECT_LE(forward.end, backward.start);
  EXPECT_LE(backward.end, step.end);
  EXPECT_LE(step.end, r.seconds);
}

TEST(Profile, FlopsThatAreSetTakeThePlaceOfThoseCounted) {
  profile::start({});
  {
    const ProfileRange step("step");
    const OpRange op("attention");
    profile::set_flops(40);
    profile::add_flops(100);
  }
  const Recording r = profile::stop();
  EXPECT_EQ(named(r, "attention").flops, 40);
  EXPECT_EQ(named(r, "step").flops, 40);
}

TEST(Profile, RangesBegunBeforeOrOpenAtTheEnd) {
  std::optional<ProfileRange> before(std::in_place, "before"), open;
  profile::start({});
  before.reset();
  open.emplace("open");
  profile::add_flops(2);
  const Recording r = profile::stop();
  ASSERT_EQ(r.ranges.size(), 1u);
  EXPECT_EQ(r.ranges[0].end, r.seconds);
  EXPECT_EQ(r.ranges[0].flops, 2);
  profile::start({});
  open.reset();  // belongs to the recording before
  EXPECT_EQ(profile::innermost(), -1);
  EXPECT_TRUE(profile::stop().ranges.empty());
}

TEST(Profile, EveryThreadHasItsOwnRanges) {
  profile::start({});
  const auto work = [] {
    profile::name_thread("worker");
    const ProfileRange outer("outer");
    const ProfileRange inner("inner");
  };
  {
    const ProfileRange step("step");
    std::thread(work).join();
    std::thread(work).join();
  }
  const Recording r = profile::stop();
  EXPECT_THAT(r.threads, testing::ElementsAre(testing::_, "worker", "worker 2"));
  ASSERT_EQ(r.ranges.size(), 5u);
  for (const size_t i : {1u, 3u}) {
    EXPECT_STREQ(r.ranges[i].name, "outer");
    EXPECT_EQ(r.ranges[i].parent, -1);
    EXPECT_EQ(r.ranges[i + 1].parent, static_cast<int64_t>(i));
    EXPECT_EQ(r.ranges[i + 1].thread, r.ranges[i].thread);
  }
  EXPECT_NE(r.ranges[1].thread, r.ranges[3].thread);
}

// Threads that come and go while recordings begin and end.
TEST(Profile, RecordingsBesideThreadsAtWork) {
  std::atomic<bool> done{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      while (!done) {
        const ProfileRange outer("outer");
        const OpRange inner("inner");
        profile::add_flops(1);
      }
    });
  }
  for (int i = 0; i < 50; ++i) {
    profile::start({});
    { const ProfileRange step("step"); }
    const Recording r = profile::stop();
    for (const Range& range : r.ranges) {
      ASSERT_LE(range.start, range.end);
      if (range.parent < 0) continue;
      ASSERT_EQ(r.ranges[static_cast<size_t>(range.parent)].thread, range.thread);
      ASSERT_LE(range.end, r.ranges[static_cast<size_t>(range.parent)].end);
    }
  }
  done = true;
  for (auto& thread : threads) thread.join();
}

TEST(Profile, OneRecordingAtATime) {
  profile::start({});
  EXPECT_THROW(profile::start({}), Error);
  profile::stop();
}

}  // namespace
}  // namespace gfsa
