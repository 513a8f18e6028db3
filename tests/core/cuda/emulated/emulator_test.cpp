// The emulated device as a device of tensors, its repeatability and its speed.
#include <ctime>

#include "core/cuda/emulated/planted.h"
#include "core/tensor.h"
#include "support/sanitized.h"

namespace gfsa::emulated {
namespace {

PLANTED(AddOne, InPlace<float> y, int64_t n) {
  const int64_t i = global_x();
  if (i < n) store(y, i, load(y, i) + 1);
}

TEST(EmulatedDevice, HoldsTensors) {
  const Device device = parse_device("emulated");
  EXPECT_EQ(device.text(), "emulated");
  EXPECT_EQ(&backend(device), &runtime());
  EXPECT_THAT(backend(device).description(), testing::HasSubstr("emulated device"));
  const auto before = arena(device).figures();
  {
    const Tensor t = Tensor::zeros({3, 7}, DType::f32, device);
    launch(AddOne{}, {.grid = {1}, .block = {32}}, t.data<float>(), 21);
    std::vector<float> values(21);
    backend(device).copy_to_host(values.data(), t.raw(), t.bytes());
    EXPECT_EQ(values, std::vector<float>(21, 1.0f));
    EXPECT_EQ(arena(device).figures().current - before.current, 84u);
    // Blocks of the arena are not cut out of larger ones: their bounds are the tensor's.
    expect_finding(FindingKind::out_of_bounds, {"of 84 bytes, offset 84"},
                   [&] { launch(AddOne{}, {.grid = {1}, .block = {32}}, t.data<float>(), 22); });
  }
  EXPECT_EQ(arena(device).figures().current, before.current);
}

PLANTED(WhoIsFirst, Global<uint32_t> y) { store(y, atomic_add(y, 0, 1u) + 1, thread_x()); }
std::vector<uint32_t> order(uint64_t seed) {
  runtime().synchronize();  // what is left over draws numbers too
  choose_schedule(seed);
  Array<uint32_t> y(runtime(), std::vector<uint32_t>(65, 0u));
  launch(WhoIsFirst{}, {.grid = {1}, .block = {64}}, y.data());
  return y.values();
}
TEST(EmulatedDevice, ASeedIsASchedule) {
  EXPECT_EQ(order(3), order(3));
  EXPECT_NE(order(3), order(4));
}

TEST(EmulatedDevice, AfterAFindingTheDeviceGoesOn) {
  Array<float> y(runtime(), 32);
  expect_finding(FindingKind::uninitialised, {"AddOne"},
                 [&] { launch(AddOne{}, {.grid = {1}, .block = {32}}, y.data(), 32); });
  runtime().zero(y.data(), 32 * sizeof(float));
  launch(AddOne{}, {.grid = {1}, .block = {32}}, y.data(), 32);
  EXPECT_EQ(y.values(), std::vector<float>(32, 1.0f));
}

TEST(EmulatedDevice, GraphsGiveFreshMemoryInEachReplay) {
  const Stream stream = runtime().create_stream();
  const StreamScope scope(runtime(), stream);
  Array<float> y(runtime(), std::vector<float>(32, 0.0f));
  runtime().synchronize();
  runtime().begin_capture(stream);
  {
    Array<float> scratch(runtime(), 32);
    runtime().copy(scratch.data(), y.data(), 32 * sizeof(float));
    launch(AddOne{}, {.grid = {1}, .block = {32}}, scratch.data(), 32);
    runtime().copy(y.data(), scratch.data(), 32 * sizeof(float));
  }
  const Graph graph = runtime().end_capture(stream);
  for (int i = 0; i < 3; ++i) runtime().launch(graph, stream);
  EXPECT_EQ(y.values(), std::vector<float>(32, 3.0f));
  runtime().destroy(graph);
}

PLANTED(ManyLoads, Global<const float> x, Global<float> y, int rounds) {
  float sum = 0;
  for (int r = 0; r < rounds; ++r) sum += load(x, (r * 32 + thread_x()) % 4096);
  store(y, global_x(), sum);
}
PLANTED(ManySharedLoads, Global<float> y, int rounds) {
  GFSA_SHARED(float, cells, 1024);
  for (uint32_t i = thread_x(); i < 1024; i += block_dim_x()) store(cells, i, 1.0f);
  sync_block();
  float sum = 0;
  for (int r = 0; r < rounds; ++r) sum += load(cells, (r * 32 + thread_x()) % 1024);
  store(y, global_x(), sum);
}
PLANTED(ManyBarriers, Global<float> y, int rounds) {
  for (int r = 0; r < rounds; ++r) sync_block();
  store(y, global_x(), 0.0f);
}
PLANTED(ManyShuffles, Global<float> y, int rounds) {
  float sum = 1;
  for (int r = 0; r < rounds; ++r) sum += shuffle_xor(sum, 1);
  store(y, global_x(), sum);
}
PLANTED(ManyProducts, Global<float> y, int rounds) {
  float d[4] = {};
  const uint32_t a[4] = {}, b[2] = {};
  for (int r = 0; r < rounds; ++r) mma_bf16(d, a, b);
  store(y, global_x(), d[0]);
}
PLANTED(ManyWarpgroupProducts, Global<float> y, int rounds, bool wide) {
  const Shared<bfloat16> tiles = dynamic_shared<bfloat16>(0, 64 * 64 + 128 * 64);
  for (uint32_t i = thread_x(); i < 192 * 8; i += 128) store_vector(tiles, i * 8, Vector<bfloat16, 8>{});
  fence_async_proxy();
  sync_block();
  const uint64_t a = matrix_descriptor(shared_address(tiles), 0, 1024);
  const uint64_t b = matrix_descriptor(shared_address(tiles) + 8192, 0, 1024);
  float half[8][4] = {}, whole[16][4] = {};
  wgmma_fence();
  for (int r = 0; r < rounds; ++r) {
    if (wide) wgmma<Major::k>(whole, a, b, true);
    if (!wide) wgmma<Major::k>(half, a, b, true);
  }
  wgmma_commit();
  wgmma_wait<0>(half, whole);
  store(y, global_x(), half[0][0] + whole[0][0]);
}
// Of this thread: other work on the machine does not count.
double processor_ns() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}
// Prints what docs/gpu-status.md says; fails only when something is ten times slower.
TEST(EmulatedDevice, Speed) {
  if (test::kSanitizer != nullptr) GTEST_SKIP() << "the bounds are for code without " << test::kSanitizer;
  Array<float> x(runtime(), counting<float>(4096)), y(runtime(), 1024);
  const auto measure = [&](const char* what, double most_ns, double count, auto&& body) {
    runtime().synchronize();
    const double start = processor_ns();
    body();
    runtime().synchronize();
    const double ns = (processor_ns() - start) / count;
    std::printf("%s: %.1f ns\n", what, ns);
    EXPECT_LT(ns, most_ns) << what;
  };
  const Launch how{.grid = {4}, .block = {256}};
  measure("global load of a thread", 300, 1024 * 1000.0, [&] { launch(ManyLoads{}, how, x.data(), y.data(), 1000); });
  measure("shared load of a thread", 300, 1024 * 1000.0, [&] { launch(ManySharedLoads{}, how, y.data(), 1000); });
  measure("barrier of a thread", 1000, 1024 * 200.0, [&] { launch(ManyBarriers{}, how, y.data(), 200); });
  measure("shuffle of a thread", 2000, 1024 * 200.0, [&] { launch(ManyShuffles{}, how, y.data(), 200); });
  measure("mma m16n8k16 of a warp", 60000, 32 * 200.0, [&] { launch(ManyProducts{}, how, y.data(), 200); });
  const test::EmulatorArchitecture architecture(90);
  const auto products = [&](bool wide) {
    launch(ManyWarpgroupProducts{}, {.grid = {1}, .block = {128}, .shared_bytes = 3 * 8192}, y.data(), 400, wide);
  };
  measure("wgmma m64n64k16 of a warp", 200000, 4 * 400.0, [&] { products(false); });
  measure("wgmma m64n128k16 of a warp", 400000, 4 * 400.0, [&] { products(true); });
}

}  // namespace
}  // namespace gfsa::emulated
