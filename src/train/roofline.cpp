#include "train/roofline.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/env.h"
#include "base/error.h"
#include "base/threads.h"
#include "core/tensor.h"
#include "ops/activation.h"
#include "ops/gemm_onednn.h"
#include "train/machine_memory.h"

namespace gfsa::train {
namespace {

constexpr int kRuns = 6;

// The shortest of some runs; f() gives the device work.
template <class F>
double best_seconds(Device device, const F& f) {
  double best = 1e9;
  for (int i = 0; i < kRuns; ++i) {
    const double start = monotonic_seconds();
    f();
    backend(device).synchronize();
    best = std::min(best, monotonic_seconds() - start);
  }
  return best;
}

// Bytes of an array beyond all caches; emulated devices have none, and are slow.
int64_t array_bytes(Device device) {
  if (device.type == DeviceType::emulated) return int64_t{1} << 20;
  if (device.type == DeviceType::cuda) return int64_t{512} << 20;
  const int64_t cache = std::max<int64_t>(0, ::sysconf(_SC_LEVEL3_CACHE_SIZE));
  const auto room = static_cast<int64_t>(available_memory().bytes / 16);
  return std::min(std::max(cache, int64_t{64} << 20), std::max(room, int64_t{1} << 20));
}

// Three arrays changed by a fourth, as an optimizer does it: in place, so that the processor reads nothing but what
// counts, and in more streams than one, which it reads ahead of better.
double update_rate() {
  const int64_t n = array_bytes({}) / static_cast<int64_t>(sizeof(float));
  const Tensor a = Tensor::full({n}, 0, DType::f32), b = a.clone(), c = a.clone(), d = Tensor::full({n}, 1, DType::f32);
  float *const x = a.data<float>(), *const y = b.data<float>(), *const z = c.data<float>();
  const float* const g = d.data<float>();
  const double seconds = best_seconds({}, [&] {
    parallel_for(n, 1 << 16, [=](int64_t begin, int64_t end) {
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) {
        x[i] += 0.5f * g[i];
        y[i] += 0.25f * g[i];
        z[i] -= g[i];
      }
    });
  });
  return static_cast<double>(7 * a.bytes()) / seconds;
}

double copy_rate(Device device) {
  const int64_t n = array_bytes(device) / static_cast<int64_t>(sizeof(float));
  const Tensor from = Tensor::full({n}, 1, DType::f32, device), to = Tensor::full({n}, 0, DType::f32, device);
  return static_cast<double>(2 * from.bytes()) / best_seconds(device, [&] { to.copy_from(from); });
}

}  // namespace

double product_rate(Device device, DType type, int64_t edge) {
  const Tensor a = Tensor::full({edge, edge}, 0.5, type, device);
  const Tensor b = Tensor::full({edge, edge}, 0.25, type, device);
  const Tensor c = Tensor::empty({edge, edge}, DType::f32, device);
  Gemm g;
  g.a_type = type, g.m = g.n = g.k = edge, g.transpose_b = true;
  const double flops = 2.0 * static_cast<double>(edge) * static_cast<double>(edge) * static_cast<double>(edge);
  return flops / best_seconds(device, [&] { gemm(device, g, a.raw(), b.raw(), c.raw()); });
}

namespace {

// A product with operands of its own, by oneDNN.
struct LibraryProduct {
  explicit LibraryProduct(const Gemm& problem)
      : g(problem),
        a(Tensor::full({g.transpose_a ? g.k : g.m, g.lda}, 0.5, g.a_type)),
        b(Tensor::full({g.transpose_b ? g.n : g.k, g.ldb}, 0.25, g.a_type)),
        c(Tensor::full({g.m, g.ldc}, 0, g.c_type)),
        bias(Tensor::full({g.n}, 0, DType::f32)) {}
  void run() const { gemm_onednn(g, false, a.raw(), b.raw(), c.raw(), bias.raw()); }
  uint64_t bytes() const { return static_cast<uint64_t>(a.bytes() + b.bytes() + c.bytes()); }

  Gemm g;
  Tensor a, b, c, bias;
};

// The median of three, after one that does not count.
template <class F>
double median_seconds(const F& f) {
  std::array<double, 3> times{};
  f();
  for (double& time : times) {
    const double start = monotonic_seconds();
    f();
    time = monotonic_seconds() - start;
  }
  std::sort(times.begin(), times.end());
  return times[1];
}

}  // namespace

std::optional<LibraryRate> library_rate(const std::vector<ProductLog::Entry>& products) {
  constexpr uint64_t kMostOperands = 32;
  double flops = 0, warm = 0, cold = 0;
  for (const ProductLog::Entry& entry : products) {
    const int64_t count = entry.count;
    Gemm g = entry.problem;
    g.activation_a = g.activation_b = Activation::none;
    std::vector<LibraryProduct> calls{LibraryProduct(g)};
    const uint64_t room = available_memory().bytes / 4 / calls[0].bytes();
    while (calls.size() < std::min({static_cast<uint64_t>(count), kMostOperands, room})) calls.emplace_back(g);
    try {
      warm += static_cast<double>(count) * median_seconds([&] { calls[0].run(); });
      cold += median_seconds([&] {
        for (int64_t i = 0; i < count; ++i) calls[static_cast<size_t>(i) % calls.size()].run();
      });
    } catch (const Error&) {
      return std::nullopt;
    }
    flops += 2.0 * static_cast<double>(count * g.m * g.n) * static_cast<double>(g.k);
  }
  if (flops == 0) return std::nullopt;
  return LibraryRate{flops / warm, flops / cold};
}

Roofline measure_roofline(Device device, DType type) {
  const int64_t edge = device.type == DeviceType::cuda ? 8192 : device.type == DeviceType::emulated ? 256 : 1536;
  const Roofline measured{product_rate(device, type, edge),
                          device.type == DeviceType::cpu ? update_rate() : copy_rate(device)};
  arena(device).trim();  // the run's memory is as without it
  return measured;
}

}  // namespace gfsa::train
