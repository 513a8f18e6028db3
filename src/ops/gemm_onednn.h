// gemm_onednn.h -- products on the CPU by oneDNN's primitives, which are made once a shape and kept.
#pragma once

#include "ops/gemm.h"

namespace gfsa {

// Whether oneDNN has instructions here that multiply faster in bf16 than others do in f32: matrix units, and dot
// products on AMD's processors. (Those of Intel's do no more a cycle than multiply-adds of f32.)
bool is_onednn_faster_in_bf16();

// As gemm(), f32 and, where oneDNN has them (AVX-512), bf16; activations are left out; m, n, k > 0 and leading
// dimensions filled in. alone: by the calling thread.
void gemm_onednn(const Gemm& problem, bool alone, const void* a, const void* b, void* c, const void* bias);

}  // namespace gfsa
