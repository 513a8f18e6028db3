// The maps that copies of boxes go by, made by the driver: the library of it is looked up as the runtime does, for this
// program runs where there is none.
#include <cuda.h>
#include <cuda_runtime.h>

#include <cstring>

#include "base/error.h"
#include "core/cuda/launch.h"
#include "core/cuda/warpgroup_nvcc.h"

namespace gfsa::cuda {
namespace {

decltype(&cuTensorMapEncodeTiled) encoder() {
  static const auto found = [] {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult result{};
    constexpr unsigned kSince = 12000;
    const cudaError_t status =
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &entry, kSince, cudaEnableDefault, &result);
    if (status != cudaSuccess || result != cudaDriverEntryPointSuccess) {
      cudaGetLastError();
      fail("cuda: the driver has no cuTensorMapEncodeTiled ({}); update it to CUDA 12 or later",
           cudaGetErrorString(status));
    }
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(entry);
  }();
  return found;
}

}  // namespace

TensorMap tensor_map(const BoxedTensor& tensor) {
  constexpr cuuint32_t kRank = 5;
  cuuint64_t sizes[kRank], bytes[kRank - 1];
  const cuuint32_t box[kRank] = {kBoxColumns, static_cast<cuuint32_t>(tensor.box_rows), 1, 1, 1};
  const cuuint32_t every[kRank] = {1, 1, 1, 1, 1};
  for (size_t i = 0; i < kRank; ++i) sizes[i] = static_cast<cuuint64_t>(tensor.sizes[i]);
  for (size_t i = 0; i + 1 < kRank; ++i) bytes[i] = static_cast<cuuint64_t>(tensor.steps[i + 1]) * sizeof(bfloat16);
  CUtensorMap map;
  const CUresult status = encoder()(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, kRank, const_cast<bfloat16*>(tensor.data),
                                    sizes, bytes, box, every, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                    CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status != CUDA_SUCCESS) {
    fail("cuda: a tensor map of {} x {} x {} x {} x {} elements, steps {}, {}, {}, {} bytes, was refused ({})",
         sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], bytes[0], bytes[1], bytes[2], bytes[3],
         static_cast<int>(status));
  }
  TensorMap out;
  static_assert(sizeof(out.bytes) == sizeof(map));
  std::memcpy(out.bytes, &map, sizeof(map));
  return out;
}

}  // namespace gfsa::cuda
