// benchmark_attention.cpp -- attention alone: forms against each other and against this machine's rate of matrix
// products. Built when asked for; prints one Markdown table.
//
//   cmake --build build --target benchmark_attention
//   build/tests/benchmark_attention [f32|bf16] [causal|full] [cpu|cuda] [head=64] [rows ...]
//
// causal (the default): one_sweep and two_pass; full, every row sees every key: two_pass and, up to 1,024 rows,
// explicit. Random numbers: on the CPU 12 heads and batches of at least 1,024 rows, on a GPU a width of 2,048 and
// 16,384 rows. Forward and backward are timed one after the other, all variants in turn within a round (A B C A B C
// ...); a figure is the median of the rounds. GFLOP/s count the products that cannot be done without: n^2 D
// multiply-adds for each, half of them with the causal mask; softmax 2 and 5, GFSA 3 and 7 (2 k + 3). "of products": on
// the CPU, of the rate of oneDNN's primitives at the shapes of attention's own two products, [n, D] x [D, n] and [n, n]
// x [n, D], f32, a head a thread as attention has it, measured before the rows' rounds; on a GPU, of a square
// product's.
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "autograd/autograd.h"
#include "base/error.h"
#include "base/threads.h"
#include "ops/gemm.h"
#include "ops/gemm_onednn.h"

namespace gfsa {
namespace {

// What is measured.
struct Setting {
  DType dtype = DType::f32;
  bool causal = true;
  Device device = {};
  int64_t head_size = 64;
  int64_t heads() const { return is_cpu() ? 12 : std::max<int64_t>(1, 2048 / head_size); }
  int64_t least_rows() const { return is_cpu() ? 1024 : 16384; }
  bool is_cpu() const { return device.type == DeviceType::cpu; }
};
constexpr int kRounds = 7, kFewRounds = 3;  // few: of more than 4,096 rows

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Tensor random_numbers(const Shape& shape) {
  static std::vector<float> numbers;
  static RandomSequence random(RandomKey(1, "benchmark"));
  const auto count = static_cast<size_t>(shape.numel());
  while (numbers.size() < count) numbers.push_back(static_cast<float>(random.normal()));
  return Tensor::from<float>(shape, {numbers.begin(), numbers.begin() + shape.numel()});
}

// GFLOP/s of one square product: f32 on the CPU, the setting's type on a GPU.
template <class Product>
double square_rate(const Setting& setting, const Product& product) {
  const int64_t edge = setting.is_cpu() ? 1024 : 8192;
  const DType type = setting.is_cpu() ? DType::f32 : setting.dtype;
  const Tensor a = random_numbers({edge, edge}).to(type).to(setting.device), b = a.clone(), c = a.clone();
  const Gemm g{.a_type = type, .c_type = type, .m = edge, .n = edge, .k = edge, .lda = edge, .ldb = edge, .ldc = edge};
  std::vector<double> times;
  for (int round = 0; round < 3 * kRounds; ++round) {
    const double start = seconds();
    product(g, a.raw(), b.raw(), c.raw());
    backend(setting.device).synchronize();
    times.push_back(seconds() - start);
  }
  return 2e-9 * static_cast<double>(edge * edge * edge) / median(times);
}

// GFLOP/s of oneDNN's scores and sums of values, all heads, a head a thread.
double library_rate(const Setting& setting, int64_t batch, int64_t n) {
  const int64_t size = setting.head_size;
  const Tensor rows = random_numbers({n, size});
  const Gemm scores{.transpose_b = true, .m = n, .n = n, .k = size, .lda = size, .ldb = size, .ldc = n};
  const Gemm sums{.m = n, .n = size, .k = n, .lda = n, .ldb = size, .ldc = size};
  std::vector<double> times;
  for (int round = 0; round <= kFewRounds; ++round) {
    const double start = seconds();
    parallel_for(batch * setting.heads(), 1, [&](int64_t begin, int64_t end) {
      thread_local std::vector<float> matrix, result;
      matrix.resize(static_cast<size_t>(n * n));
      result.resize(static_cast<size_t>(n * size));
      for (int64_t head = begin; head < end; ++head) {
        gemm_onednn(scores, true, rows.data<float>(), rows.data<float>(), matrix.data(), nullptr);
        gemm_onednn(sums, true, matrix.data(), rows.data<float>(), result.data(), nullptr);
      }
    });
    if (round > 0) times.push_back(seconds() - start);
  }
  return 4e-9 * static_cast<double>(batch * setting.heads() * n * n * size) / median(times);
}

struct Variant {
  std::string name;
  bool filtered;
  AttentionForm form;
  std::string form_name;
  std::vector<double> forward = {}, backward = {};
};

void run(Variant& v, const Setting& setting, int64_t batch, int64_t rows) {
  const int64_t heads = setting.heads(), width = heads * setting.head_size;
  const auto there = [&](const Tensor& x) { return x.to(setting.dtype).to(setting.device); };
  AttentionInputs in;
  in.qkv = there(random_numbers({batch, rows, 3 * width}));
  require_grad(in.qkv);
  if (v.filtered) {
    std::vector<float> table;
    for (int64_t h = 0; h < heads; ++h) table.insert(table.end(), {0, 0, 0.9f, 0.3f});
    in.coefficients = Tensor::from<float>({heads, 4}, table).to(setting.device);
    require_grad(in.coefficients);
  }
  AttentionOptions options;
  options.heads = heads;
  options.causal = setting.causal;
  options.form = v.form;
  const Tensor dout = there(random_numbers({batch, rows, width}));
  DeviceBackend& device = backend(setting.device);
  device.synchronize();
  const double start = seconds();
  const Tensor out = attention(in, options);
  device.synchronize();
  const double middle = seconds();
  backward(out, dout);
  device.synchronize();
  v.backward.push_back(seconds() - middle);
  v.forward.push_back(middle - start);
}

}  // namespace
}  // namespace gfsa

int main(int argc, char** argv) {
  using namespace gfsa;
  Setting setting;
  std::vector<int64_t> sizes;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "bf16" || argument == "f32") {
      setting.dtype = argument == "bf16" ? DType::bf16 : DType::f32;
    } else if (argument == "causal" || argument == "full") {
      setting.causal = argument == "causal";
    } else if (argument == "cpu" || argument == "cuda") {
      setting.device = parse_device(argument);
    } else if (argument.starts_with("head=")) {
      setting.head_size = std::max(1L, std::strtol(argument.c_str() + 5, nullptr, 10));
    } else {
      sizes.push_back(std::max(1L, std::strtol(argv[i], nullptr, 10)));
    }
  }
  if (const std::string reason = why_not(setting.device); !reason.empty()) {
    fmt::print(stderr, "{}: {}\n", setting.device.text(), reason);
    return kExitBadInput;
  }
  if (sizes.empty()) {
    sizes = setting.is_cpu() ? std::vector<int64_t>{256, 512, 1024, 2048, 4096, 8192}
                             : std::vector<int64_t>{1024, 2048, 4096, 8192, 16384};
  }
  const double ours = square_rate(setting, [&](const Gemm& g, auto... x) { gemm(setting.device, g, x...); });
  fmt::print("{}, {}, heads of {}; square product: ours {:.0f} GFLOP/s", backend(setting.device).description(),
             name_of(setting.dtype), setting.head_size, ours);
  if (setting.is_cpu()) {
    const double library = square_rate(setting, [](const Gemm& g, auto... x) { gemm_onednn(g, false, x..., nullptr); });
    fmt::print(", oneDNN's {:.0f}", library);
  }
  fmt::print(
      "\n\n| rows | attention | form | forward ms | GFLOP/s | of softmax | of products | backward ms | GFLOP/s ");
  fmt::print("| of softmax | of products |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
  for (const int64_t rows : sizes) {
    const int64_t batch = std::max<int64_t>(1, setting.least_rows() / rows);
    std::vector<Variant> variants;
    for (const auto& [name, filtered] : {std::pair{"softmax", false}, std::pair{"gfsa", true}}) {
      const bool sweeps = setting.is_cpu() || setting.head_size <= 64;
      if (setting.causal && sweeps) variants.push_back({name, filtered, AttentionForm::one_sweep, "one_sweep"});
      variants.push_back({name, filtered, AttentionForm::two_pass, "two_pass"});
      if (!setting.causal && rows <= 1024) {
        variants.push_back({name, filtered, AttentionForm::explicit_form, "explicit"});
      }
    }
    const double products = setting.is_cpu() ? library_rate(setting, batch, rows) : ours;
    const int rounds = rows > 4096 && setting.is_cpu() ? kFewRounds : kRounds;
    for (int round = 0; round <= rounds; ++round) {
      for (Variant& v : variants) {
        run(v, setting, batch, rows);
        if (round == 0) v.forward.clear(), v.backward.clear();  // kernels and memory are made in it
      }
    }
    const double base[] = {median(variants[0].forward), median(variants[0].backward)};
    for (const Variant& v : variants) {
      const double unit = (setting.causal ? 1e-9 : 2e-9) *
                          static_cast<double>(batch * setting.heads() * rows * rows * setting.head_size);
      const double forward = median(v.forward), backward = median(v.backward);
      const double there = (v.filtered ? 3 : 2) * unit / forward, back = (v.filtered ? 7 : 5) * unit / backward;
      fmt::print("| {} | {} | {} | {:.2f} | {:.0f} | {:.2f} | {:.2f} | {:.2f} | {:.0f} | {:.2f} | {:.2f} |\n", rows,
                 v.name, v.form_name, 1e3 * forward, there, forward / base[0], there / products, 1e3 * backward, back,
                 backward / base[1], back / products);
    }
    std::fflush(stdout);
  }
  return 0;
}
