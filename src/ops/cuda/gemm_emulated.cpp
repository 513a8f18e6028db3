// Matrix products of the emulated device: on the CPU, when the stream comes to it.
#include <type_traits>
#include <vector>

#include "core/cuda/emulated/queue.h"
#include "ops/activation.h"
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

// Row-major [rows, columns] of `type` as floats, and back.
std::vector<float> widened(const std::vector<char>& dense, DType type) {
  std::vector<float> wide(dense.size() / size_of(type));
  for (size_t i = 0; i < wide.size(); ++i) {
    wide[i] = type == DType::f32 ? reinterpret_cast<const float*>(dense.data())[i]
                                 : static_cast<float>(reinterpret_cast<const bfloat16*>(dense.data())[i]);
  }
  return wide;
}
std::vector<char> narrowed(const std::vector<float>& wide, DType type) {
  std::vector<char> dense(wide.size() * size_of(type));
  for (size_t i = 0; i < wide.size(); ++i) {
    if (type == DType::f32) {
      reinterpret_cast<float*>(dense.data())[i] = wide[i];
    } else {
      reinterpret_cast<bfloat16*>(dense.data())[i] = bfloat16(wide[i]);
    }
  }
  return dense;
}

// sums[i] of op(X)[rows, columns] over its columns, or sums[j] over its rows. X as it stands, [rows, columns] or
// turned.
std::vector<char> sums_of(const std::vector<float>& x, int64_t rows, int64_t columns, bool turned, bool over_columns) {
  std::vector<float> sums(static_cast<size_t>(over_columns ? rows : columns));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      sums[static_cast<size_t>(over_columns ? i : j)] +=
          x[static_cast<size_t>(turned ? j * rows + i : i * columns + j)];
    }
  }
  return narrowed(sums, DType::f32);
}

void write(void* to, const std::vector<char>& dense) { global_memory().write(to, dense.data(), dense.size()); }

// From the product in f32 to what the epilogue makes of it.
std::vector<char> applied(const Gemm& g, const GemmEpilogue& e, std::vector<float> c) {
  constexpr auto kGelu = Activation::gelu_tanh;
  if (e.kind == GemmEpilogue::Kind::gelu_tanh) {
    if (e.z != nullptr) write(e.z, narrowed(c, g.c_type));
    for (float& x : c) x = activate<kGelu>(x);
  } else {
    const auto z = widened(rows_from_device("gemm, z", e.z, g.m, g.n, g.n, g.c_type), g.c_type);
    for (size_t i = 0; i < c.size(); ++i) c[i] *= activation_slope<kGelu>(z[i]);
    if (e.sums != nullptr) write(e.sums, sums_of(c, g.m, g.n, false, false));
  }
  return narrowed(c, g.c_type);
}

void product(Gemm g, const char* a, const char* b, char* c, const void* bias, const GemmEpilogue& e) {
  using Kind = GemmEpilogue::Kind;
  const int64_t lda = g.lda, ldb = g.ldb, ldc = g.ldc, size = static_cast<int64_t>(size_of(g.c_type));
  const auto dense_a =
      rows_from_device("gemm, A", a, g.transpose_a ? g.k : g.m, g.transpose_a ? g.m : g.k, lda, g.a_type);
  const auto dense_b =
      rows_from_device("gemm, B", b, g.transpose_b ? g.n : g.k, g.transpose_b ? g.k : g.n, ldb, g.a_type);
  std::vector<char> dense_c(static_cast<size_t>(g.m * g.n * size)), dense_bias;
  if (g.accumulate) dense_c = rows_from_device("gemm, C", c, g.m, g.n, ldc, g.c_type);
  if (g.bias) dense_bias = rows_from_device("gemm, bias", bias, 1, g.n, g.n, DType::f32);
  g.lda = g.ldb = g.ldc = 0;
  const void* const added = g.bias ? dense_bias.data() : nullptr;
  if (e.kind == Kind::gelu_tanh || e.kind == Kind::gelu_tanh_gradient) {
    std::vector<float> wide(static_cast<size_t>(g.m * g.n));
    Gemm in_f32 = g;
    in_f32.c_type = DType::f32;
    gemm(in_f32, dense_a.data(), dense_b.data(), wide.data(), added);
    dense_c = applied(g, e, std::move(wide));
  } else {
    gemm(g, dense_a.data(), dense_b.data(), dense_c.data(), added);
  }
  if (e.kind == Kind::sums_of_a) write(e.sums, sums_of(widened(dense_a, g.a_type), g.m, g.k, g.transpose_a, true));
  if (e.kind == Kind::sums_of_b) write(e.sums, sums_of(widened(dense_b, g.a_type), g.k, g.n, g.transpose_b, false));
  for (int64_t r = 0; r < g.m; ++r) {
    global_memory().write(c + r * ldc * size, dense_c.data() + r * g.n * size, static_cast<size_t>(g.n * size));
  }
}

}  // namespace

template <DeviceType D>
bool GemmKernels<D>::run(Device /*device*/, const Gemm& g, const void* a, const void* b, void* c, const void* bias,
                         const GemmBatch& batch, const GemmEpilogue& epilogue) {
  emulator::enqueue_host_work([=] {
    const auto size_a = static_cast<int64_t>(size_of(g.a_type)), size_c = static_cast<int64_t>(size_of(g.c_type));
    for (int64_t i = 0; i < batch.count; ++i) {
      product(g, static_cast<const char*>(a) + i * batch.step_a * size_a,
              static_cast<const char*>(b) + i * batch.step_b * size_a,
              static_cast<char*>(c) + i * batch.step_c * size_c, bias, epilogue);
    }
  });
  return true;
}
template struct GemmKernels<DeviceType::emulated>;

}  // namespace gfsa
