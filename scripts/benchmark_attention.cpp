// benchmark_attention.cpp -- attention alone: forms against each other and against this machine's rate of matrix
// products. Built when asked for; prints one Markdown table.
//
//   cmake --build build --target benchmark_attention
//   build/tests/benchmark_attention [f32|bf16] [causal|full] [rows ...]
//
// causal (the default): one_sweep and two_pass; full, every row sees every key: two_pass and, up to 1,024 rows, explicit.
// 12 heads of 64 numbers, batches of at least 1,024 rows, random numbers. Forward and backward are timed one after the
// other, all variants in turn within a round (A B C A B C ...); a figure is the median of the rounds. GFLOP/s count the
// products that cannot be done without: n^2 D multiply-adds for each, half of them with the causal mask; softmax 2 and
// 5, GFSA 3 and 7 (2 k + 3).
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "attention/attention.h"
#include "autograd/autograd.h"
#include "ops/gemm.h"

namespace gfsa {
namespace {

constexpr int64_t kHeads = 12, kHeadSize = 64, kLeastRows = 1024, kProduct = 1024;
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

// GFLOP/s of one square product.
double product_rate() {
  const Tensor a = random_numbers({kProduct, kProduct}), b = random_numbers({kProduct, kProduct}), c = a.clone();
  std::vector<double> times;
  for (int round = 0; round < 3 * kRounds; ++round) {
    const double start = seconds();
    gemm({.m = kProduct, .n = kProduct, .k = kProduct}, a.data<float>(), b.data<float>(), c.data<float>());
    times.push_back(seconds() - start);
  }
  return 2e-9 * kProduct * kProduct * kProduct / median(times);
}

struct Variant {
  std::string name;
  bool filtered;
  AttentionForm form;
  std::string form_name;
  std::vector<double> forward = {}, backward = {};
};

void run(Variant& v, bool causal, int64_t batch, int64_t rows, DType dtype) {
  AttentionInputs in;
  in.qkv = random_numbers({batch, rows, 3 * kHeads * kHeadSize}).to(dtype);
  require_grad(in.qkv);
  if (v.filtered) {
    std::vector<float> table;
    for (int64_t h = 0; h < kHeads; ++h) table.insert(table.end(), {0, 0, 0.9f, 0.3f});
    in.coefficients = Tensor::from<float>({kHeads, 4}, table);
    require_grad(in.coefficients);
  }
  AttentionOptions options;
  options.heads = kHeads;
  options.causal = causal;
  options.form = v.form;
  const Tensor dout = random_numbers({batch, rows, kHeads * kHeadSize}).to(dtype);
  const double start = seconds();
  const Tensor out = attention(in, options);
  const double middle = seconds();
  backward(out, dout);
  v.backward.push_back(seconds() - middle);
  v.forward.push_back(middle - start);
}

}  // namespace
}  // namespace gfsa

int main(int argc, char** argv) {
  using namespace gfsa;
  DType dtype = DType::f32;
  bool causal = true;
  std::vector<int64_t> sizes;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "bf16" || argument == "f32") {
      dtype = argument == "bf16" ? DType::bf16 : DType::f32;
    } else if (argument == "causal" || argument == "full") {
      causal = argument == "causal";
    } else {
      sizes.push_back(std::max(1L, std::strtol(argv[i], nullptr, 10)));
    }
  }
  if (sizes.empty()) sizes = {256, 512, 1024, 2048, 4096, 8192};
  const double rate = product_rate();
  fmt::print("f32 product of {0} x {0} x {0}: {1:.0f} GFLOP/s\n\n", kProduct, rate);
  fmt::print("| rows | attention | form | forward ms | GFLOP/s | of softmax | backward ms | GFLOP/s | of softmax |\n");
  fmt::print("|---|---|---|---|---|---|---|---|---|\n");
  for (const int64_t rows : sizes) {
    const int64_t batch = std::max<int64_t>(1, kLeastRows / rows);
    std::vector<Variant> variants;
    for (const auto& [name, filtered] : {std::pair{"softmax", false}, std::pair{"gfsa", true}}) {
      if (causal) variants.push_back({name, filtered, AttentionForm::one_sweep, "one_sweep"});
      variants.push_back({name, filtered, AttentionForm::two_pass, "two_pass"});
      if (!causal && rows <= kLeastRows) {
        variants.push_back({name, filtered, AttentionForm::explicit_form, "explicit"});
      }
    }
    const int rounds = rows > 4096 ? kFewRounds : kRounds;
    for (int round = 0; round <= rounds; ++round) {
      for (Variant& v : variants) {
        run(v, causal, batch, rows, dtype);
        if (round == 0) v.forward.clear(), v.backward.clear();  // kernels and memory are made in it
      }
    }
    const double base[] = {median(variants[0].forward), median(variants[0].backward)};
    for (const Variant& v : variants) {
      const double unit = (causal ? 1e-9 : 2e-9) * static_cast<double>(batch * kHeads * rows * rows * kHeadSize);
      const double forward = median(v.forward), backward = median(v.backward);
      fmt::print("| {} | {} | {} | {:.1f} | {:.0f} | {:.2f} | {:.1f} | {:.0f} | {:.2f} |\n", rows, v.name, v.form_name,
                 1e3 * forward, (v.filtered ? 3 : 2) * unit / forward, forward / base[0], 1e3 * backward,
                 (v.filtered ? 7 : 5) * unit / backward, backward / base[1]);
    }
    std::fflush(stdout);
  }
  return 0;
}
