// Streams, events, copies and graphs, on both devices.
#include "core/cuda/device_test.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {

struct AddTo {
  static constexpr const char* kName = "add_to";
  GFSA_DEVICE void operator()(Global<const float> x, Global<float> y, float a, int64_t n) const {
    const int64_t i = global_x();
    if (i < n) store(y, i, load(y, i) + a * load(x, i));
  }
};
constexpr int64_t kSize = 1000;
void add(const float* x, float* y, float a, Stream stream = {}) {
  launch(AddTo{}, {.grid = {blocks_for(kSize, 128)}, .block = {128}, .stream = stream}, x, y, a, kSize);
}
std::vector<float> times(const std::vector<float>& x, float a) {
  std::vector<float> y;
  for (const float v : x) y.push_back(a * v);
  return y;
}

DEVICE_TEST(Runtime, CopiesAndFills) {
  const auto x = counting<float>(kSize);
  Array<float> a(device, x), b(device, kSize);
  device.copy(b.data(), a.data(), kSize * sizeof(float));
  device.zero(a.data(), kSize / 2 * sizeof(float));
  auto expected = x;
  EXPECT_EQ(b.values(), expected);
  std::fill(expected.begin(), expected.begin() + kSize / 2, 0.0f);
  EXPECT_EQ(a.values(), expected);
  device.synchronize();
  EXPECT_FALSE(device.description().empty());
}

DEVICE_TEST(Runtime, StreamsOrderedByEvents) {
  const auto x = counting<float>(kSize);
  Array<float> a(device, x), b(device, std::vector<float>(kSize, 0.0f));
  device.synchronize();
  const Stream first = device.create_stream(), second = device.create_stream();
  const Event ready = device.create_event(), back = device.create_event();
  auto* host = static_cast<float*>(device.allocate_pinned(kSize * sizeof(float)));
  for (int round = 0; round < 5; ++round) {
    add(a.data(), b.data(), 1, first);
    device.record(ready, first);
    device.wait(second, ready);
    add(a.data(), b.data(), 2, second);
    device.record(back, second);
    device.wait(first, back);
  }
  device.copy_async(Transfer::to_host, host, b.data(), kSize * sizeof(float), first);
  device.record(ready, first);
  device.synchronize(ready);
  EXPECT_TRUE(device.is_done(ready));
  EXPECT_EQ(std::vector<float>(host, host + kSize), times(x, 15));
  EXPECT_GE(device.elapsed_ms(back, ready), 0);

  std::fill(host, host + kSize, 7.0f);
  device.copy_async(Transfer::to_device, b.data(), host, kSize * sizeof(float), second);
  device.synchronize(second);
  EXPECT_EQ(b.values(), std::vector<float>(kSize, 7.0f));
  device.release_pinned(host);
  device.destroy(first);
  device.destroy(second);
  device.destroy(ready);
  device.destroy(back);
}

DEVICE_TEST(Runtime, CurrentStream) {
  const auto x = counting<float>(kSize);
  Array<float> a(device, x), b(device, std::vector<float>(kSize, 0.0f));
  device.synchronize();
  const Stream stream = device.create_stream();
  {
    const StreamScope scope(device, stream);
    EXPECT_EQ(device.current_stream().handle, stream.handle);
    add(a.data(), b.data(), 3);
    EXPECT_EQ(b.values(), times(x, 3));
  }
  EXPECT_NE(device.current_stream().handle, stream.handle);
  device.destroy(stream);
}

DEVICE_TEST(Runtime, GraphsReplay) {
  const auto x = counting<float>(kSize);
  Array<float> a(device, x), b(device, std::vector<float>(kSize, 0.0f)), c(device, std::vector<float>(kSize, 0.0f));
  device.synchronize();
  const Stream main = device.create_stream(), side = device.create_stream();
  const Event fork = device.create_event(), join = device.create_event();
  device.begin_capture(main);
  add(a.data(), b.data(), 1, main);
  device.record(fork, main);
  device.wait(side, fork);
  add(b.data(), c.data(), 1, side);  // c += b
  device.record(join, side);
  device.wait(main, join);
  add(a.data(), b.data(), 1, main);
  const Graph graph = device.end_capture(main);
  EXPECT_EQ(b.values(), std::vector<float>(kSize, 0.0f)) << "nothing runs while it is captured";
  for (int i = 0; i < 3; ++i) device.launch(graph, main);
  device.synchronize(main);
  EXPECT_EQ(b.values(), times(x, 6));
  EXPECT_EQ(c.values(), times(x, 1 + 3 + 5));
  device.destroy(graph);
  device.destroy(main);
  device.destroy(side);
  device.destroy(fork);
  device.destroy(join);
}

DEVICE_TEST(Runtime, AnAbandonedCaptureLeavesNothing) {
  const auto x = counting<float>(kSize);
  Array<float> a(device, x), b(device, std::vector<float>(kSize, 0.0f));
  device.synchronize();
  const uint64_t free = device.memory().free;
  const Stream stream = device.create_stream();
  {
    const StreamScope scope(device, stream);
    device.begin_capture(stream);
    add(a.data(), b.data(), 1);
    void* const memory = device.allocate(4 << 20);
    EXPECT_NE(memory, nullptr);
    EXPECT_THROW(device.synchronize(stream), Error);
    device.abandon_capture(stream);
    device.release(memory, 4 << 20);
    device.abandon_capture(stream);  // of a stream that is not captured: nothing
    EXPECT_EQ(b.values(), std::vector<float>(kSize, 0.0f));
    add(a.data(), b.data(), 1);
    EXPECT_EQ(b.values(), x);
  }
  device.synchronize();
  EXPECT_EQ(device.memory().free, free);
  device.destroy(stream);
}

}  // namespace gfsa::GFSA_DEVICE_NAMESPACE
