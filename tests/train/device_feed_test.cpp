#include "train/device_feed.h"

#include <gtest/gtest.h>

#include "core/philox.h"
#include "ops/elementwise.h"
#include "support/op_case.h"

#ifdef GFSA_HAS_EMULATED
#include "core/cuda/emulated/queue.h"
#endif

namespace gfsa::train {
namespace {

data::Batch batch_of(int64_t rows, uint64_t seed) {
  data::Batch batch;
  batch.size = rows;
  batch.set("images", test::random_tensor({rows, 7}, DType::f32, seed));
  batch.set("labels",
            Tensor::from<int64_t>({rows}, std::vector<int64_t>(static_cast<size_t>(rows), static_cast<int64_t>(seed))));
  return batch;
}

TEST(DeviceFeed, OnTheCpuBatchesAreDeliveredAsTheyAre) {
  DeviceFeed feed(Device{});
  const data::Batch batch = batch_of(3, 1);
  feed.prefetch(batch);
  EXPECT_TRUE(feed.deliver(batch).at("images").shares_storage_with(batch.at("images")));
}

// Work of one batch is still queued while the next arrives; every schedule must see each batch whole.
TEST(DeviceFeed, BatchesArriveInTimeAndStayWhileTheyAreUsed) {
  const auto devices = test::other_devices();
  if (devices.empty()) GTEST_SKIP() << "this build and machine have no device but the CPU";
  for (const Device device : devices) {
    for (uint64_t schedule = 1; schedule <= 20; ++schedule) {
#ifdef GFSA_HAS_EMULATED
      emulator::set_seed(schedule);
#endif
      DeviceFeed feed(device);
      std::vector<data::Batch> batches;
      std::vector<Tensor> doubled, labels;
      // The last of an epoch is smaller, one is not prefetched, one is asked for twice.
      for (uint64_t i = 0; i < 8; ++i) batches.push_back(batch_of(i == 4 ? 2 : 5, 10 * schedule + i));
      for (size_t i = 0; i < batches.size(); ++i) {
        const data::Batch there = feed.deliver(batches[i]);
        EXPECT_EQ(there.size, batches[i].size);
        doubled.push_back(add(there.at("images"), there.at("images")));
        labels.push_back(there.at("labels").clone());
        if (i == 3) doubled.back() = add(feed.deliver(batches[i]).at("images"), there.at("images"));
        if (i + 1 < batches.size() && i != 5) feed.prefetch(batches[i + 1]);
      }
      for (size_t i = 0; i < batches.size(); ++i) {
        SCOPED_TRACE(fmt::format("batch {} on {}, schedule {}", i, device.text(), schedule));
        test::expect_same_bits(doubled[i], add(batches[i].at("images"), batches[i].at("images")), "images");
        test::expect_same_bits(labels[i], batches[i].at("labels"), "labels");
      }
    }
  }
}

TEST(DeviceFeed, ABatchThatNobodyAskedForGivesWay) {
  for (const Device device : test::other_devices()) {
    DeviceFeed feed(device);
    const data::Batch one = batch_of(3, 1), two = batch_of(3, 2), three = batch_of(3, 3);
    feed.prefetch(one);
    feed.prefetch(two);
    feed.prefetch(three);
    for (const data::Batch& batch : {three, one, two}) {
      test::expect_same_bits(feed.deliver(batch).at("images").clone(), batch.at("images"), "images");
    }
  }
}

}  // namespace
}  // namespace gfsa::train
