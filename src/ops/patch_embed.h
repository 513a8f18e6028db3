// patch_embed.h -- an image as a sequence: the convolution of kernel and stride P that starts a ViT (Dosovitskiy et al.
// 2020, arXiv:2010.11929; timm's PatchEmbed), as one matrix product over the unfolded patches.
//
//   images [B, Cin, H, W] f64, f32 or bf16, H and W multiples of P; weight [D, Cin, P, P], bias [D] or undefined: f32
//   (f64 for f64) y [B, N, D], N = (H / P) (W / P), patches row by row; in `out`, by default the dtype of images
// The product runs in `out` (bf16: on bf16 copies of patches and weight, sums in f32).
// Saved: images and weight; backward unfolds again (one more trip over the images instead of a second copy of the
// batch). Gradients of images only where wanted. Repeatable bit for bit with the same number of threads. Errors:
// shapes, a size that is no multiple of P; dtypes other than these.
#pragma once

#include <optional>

#include "core/tensor.h"

namespace gfsa {

Tensor patch_embed(const Tensor& images, const Tensor& weight, const Tensor& bias, std::optional<DType> out = {});

struct PatchGeometry {
  int64_t batch, channels, patch, rows, columns, width;  // rows and columns of patches; width = D
  constexpr int64_t patches() const { return batch * rows * columns; }
  constexpr int64_t values() const { return channels * patch * patch; }  // of a patch
};

// What ops/patch_embed.cpp needs of a device. Contiguous tensors; patches [B N, Cin P P], each in the order of the
// weight.
template <DeviceType D>
struct PatchKernels {
  static void unfold(const Tensor& images, const PatchGeometry& g, const Tensor& patches);
  static void fold(const Tensor& patches, const PatchGeometry& g, const Tensor& images, bool accumulate);
};

}  // namespace gfsa
