#include "core/step_table.h"

#include <gtest/gtest.h>

#include "core/cuda/runtime.h"
#include "support/op_case.h"

#ifdef GFSA_HAS_EMULATED
#include "core/cuda/emulated/queue.h"
#endif

namespace gfsa {
namespace {

// The host is steps ahead of the device and writes the next values meanwhile.
TEST(StepTable, WorkSeesTheValuesThatStoodWhenItWasQueued) {
  for (const Device device : test::other_devices()) {
    auto& runtime = dynamic_cast<DeviceRuntime&>(backend(device));
    for (uint64_t schedule = 1; schedule <= 20; ++schedule) {
#ifdef GFSA_HAS_EMULATED
      emulator::set_seed(schedule);
#endif
      StepTable table(device, 3 * sizeof(int32_t));
      EXPECT_EQ(table.bytes(), 12u);
      const Tensor seen = Tensor::empty({7, 3}, DType::i32, device);
      std::vector<int32_t> expected;
      for (int32_t step = 0; step < 7; ++step) {
        const std::vector<int32_t> values{step, -step, 100 * step};
        table.set(values.data());
        runtime.copy_async(Transfer::on_device, seen.select(0, step).raw(), table.data(), table.bytes(), {});
        expected.insert(expected.end(), values.begin(), values.end());
      }
      EXPECT_EQ(seen.to_vector<int32_t>(), expected) << device.text() << ", schedule " << schedule;
    }
  }
}

TEST(StepTable, AGraphReadsItAnew) {
  for (const Device device : test::other_devices()) {
    auto& runtime = dynamic_cast<DeviceRuntime&>(backend(device));
    StepTable table(device, sizeof(double));
    const Tensor seen = Tensor::empty({1}, DType::f64, device);
    runtime.begin_capture({});
    runtime.copy_async(Transfer::on_device, seen.raw(), table.data(), table.bytes(), {});
    const Graph graph = runtime.end_capture({});
    for (const double value : {0.5, -3.0, 1e300}) {
      table.set(&value);
      runtime.launch(graph, {});
      EXPECT_EQ(seen.item(), value);
    }
    runtime.destroy(graph);
  }
}

TEST(StepTable, OfNoBytesDoesNothing) {
  StepTable table;
  EXPECT_EQ(table.bytes(), 0u);
  EXPECT_EQ(table.data(), nullptr);
  table.set(nullptr);
  for (const Device device : test::other_devices()) EXPECT_EQ(StepTable(device, 0).data(), nullptr);
}

}  // namespace
}  // namespace gfsa
