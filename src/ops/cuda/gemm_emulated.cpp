// Matrix products of the emulated device: on the CPU, when the stream comes to it.
#include <type_traits>
#include <vector>

#include "core/cuda/emulated/queue.h"
#include "ops/gemm.h"

namespace gfsa {
namespace {

using emulator::global_memory;

// Rows of device memory, dense on the host. Elements between the rows are not touched.
std::vector<char> rows_from_device(const char* what, const void* from, int64_t rows, int64_t columns, int64_t step,
                                   DType type) {
  const auto size = static_cast<int64_t>(size_of(type));
  std::vector<char> dense(static_cast<size_t>(rows * columns * size));
  for (int64_t r = 0; r < rows; ++r) {
    const char* row = static_cast<const char*>(from) + r * step * size;
    global_memory().require_written(what, row, static_cast<size_t>(columns * size));
    global_memory().read(dense.data() + r * columns * size, row, static_cast<size_t>(columns * size));
  }
  return dense;
}

void product(Gemm g, const char* a, const char* b, char* c, const void* bias) {
  const int64_t lda = g.lda, ldb = g.ldb, ldc = g.ldc, size = static_cast<int64_t>(size_of(g.c_type));
  const auto dense_a =
      rows_from_device("gemm, A", a, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, lda, g.a_type);
  const auto dense_b =
      rows_from_device("gemm, B", b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, ldb, g.a_type);
  std::vector<char> dense_c(static_cast<size_t>(g.m * g.n * size)), dense_bias;
  if (g.accumulate) dense_c = rows_from_device("gemm, C", c, g.m, g.n, ldc, g.c_type);
  if (g.bias) dense_bias = rows_from_device("gemm, bias", bias, 1, g.n, g.n, DType::f32);
  g.lda = g.ldb = g.ldc = 0;
  gemm(g, dense_a.data(), dense_b.data(), dense_c.data(), g.bias ? dense_bias.data() : nullptr);
  for (int64_t r = 0; r < g.m; ++r) {
    global_memory().write(c + r * ldc * size, dense_c.data() + r * g.n * size, static_cast<size_t>(g.n * size));
  }
}

}  // namespace

template <DeviceType D>
void GemmKernels<D>::run(Device /*device*/, const Gemm& g, const void* a, const void* b, void* c, const void* bias,
                         const GemmBatch& batch) {
  emulator::enqueue_host_work([=] {
    const auto size_a = static_cast<int64_t>(size_of(g.a_type)), size_c = static_cast<int64_t>(size_of(g.c_type));
    for (int64_t i = 0; i < batch.count; ++i) {
      product(g, static_cast<const char*>(a) + i * batch.step_a * size_a,
              static_cast<const char*>(b) + i * batch.step_b * size_a,
              static_cast<char*>(c) + i * batch.step_c * size_c, bias);
    }
  });
}
template struct GemmKernels<DeviceType::emulated>;

}  // namespace gfsa
