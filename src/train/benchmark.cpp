#include "train/benchmark.h"

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "base/error.h"
#include "base/threads.h"
#include "core/arena.h"
#include "train/roofline.h"
#include "train/session.h"

namespace gfsa::train {
namespace {

constexpr int64_t kProductEdge = 1536;  // of the product that a step is compared with

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v.size() % 2 == 1 ? v[v.size() / 2] : (v[v.size() / 2 - 1] + v[v.size() / 2]) / 2;
}

double rounded(double x, double unit) { return std::round(x / unit) * unit; }

}  // namespace

int run_benchmark(RunConfig& config, int steps) {
  constexpr int kWarmUp = 3;
  const Device device = config.placement();
  const double gemm_before = product_rate(device, config.compute(), kProductEdge);
  Session session(config);
  const auto batches = session.next_batches();
  arena(device).reset_peak();
  std::vector<double> milliseconds;
  StepFigures figures;
  uint64_t asked_system = 0;
  std::vector<ProductLog::Entry> products;
  for (int i = 0; i < kWarmUp + steps; ++i) {
    std::optional<ProductLog> log;
    if (i == 0) log.emplace();
    if (i == 2) asked_system = arena(device).figures().system_allocations;
    const double start = monotonic_seconds();
    figures = session.step_on(batches);
    backend(device).synchronize();
    if (log) products = log->entries();
    if (i >= kWarmUp) milliseconds.push_back(1e3 * (monotonic_seconds() - start));
  }
  const double gemm = std::max(gemm_before, product_rate(device, config.compute(), kProductEdge));
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double seconds = median(milliseconds) / 1e3;
  // Backward is two products of the forward's size for each one: dX and dW.
  const double flops = 3 * config.task->forward_flops() * static_cast<double>(figures.samples);
  const auto memory = arena(device).figures();
  nlohmann::ordered_json j;
  j["precision"] = config.precision;
  j["device"] = config.device;
  j["threads"] = threads();
  j["batch"] = figures.samples;
  j["steps"] = steps;
  j["step_ms"] = {{"median", rounded(1e3 * seconds, 0.01)},
                  {"min", rounded(*std::min_element(milliseconds.begin(), milliseconds.end()), 0.01)},
                  {"max", rounded(*std::max_element(milliseconds.begin(), milliseconds.end()), 0.01)}};
  j["samples_per_second"] = rounded(static_cast<double>(figures.samples) / seconds, 0.01);
  j["flop_per_step"] = flops;
  j["flop_per_second"] = rounded(flops / seconds, 1e6);
  j["gemm_flop_per_second"] = rounded(gemm, 1e6);
  j["gemm_share"] = rounded(flops / seconds / gemm, 0.001);
  if (const auto library = device.type == DeviceType::cpu ? library_rate(products) : std::nullopt) {
    j["library_flop_per_second"] = rounded(library->warm, 1e6);
    j["library_share"] = rounded(flops / seconds / library->warm, 0.001);
    j["library_cold_flop_per_second"] = rounded(library->cold, 1e6);
    j["library_cold_share"] = rounded(flops / seconds / library->cold, 0.001);
  }
  j["graph_steps"] = session.replayed_steps();
  j["peak_tensor_mb"] = rounded(static_cast<double>(memory.peak) / (1 << 20), 0.1);
  j["reserved_mb"] = rounded(static_cast<double>(memory.reserved) / (1 << 20), 0.1);
  j["allocations_after_step_2"] = memory.system_allocations - asked_system;
  j["peak_rss_mb"] = usage.ru_maxrss / 1024;
  j["parameters"] = session.store.count();
  j["loss"] = figures.loss;
  std::printf("%s\n", j.dump().c_str());
  return kExitDone;
}

}  // namespace gfsa::train
