#include "ops/patch_embed.h"

#include "autograd/autograd.h"
#include "base/threads.h"
#include "core/cpu/simd.h"
#include "core/dispatch.h"
#include "core/expect.h"
#include "core/on_device.h"
#include "core/profile.h"
#include "ops/gemm.h"
#include "ops/linear.h"

namespace gfsa {
namespace {

// f(image row, patch matrix) for each run of P values that lie together in both: offsets of its first value. An image
// row of patches [b, row] is one unit of work.
template <class F>
void for_each_run(const PatchGeometry& g, const F& f) {
  const int64_t per_unit = g.columns * g.values();
  parallel_for(g.batch * g.rows, std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, per_unit)),
               [&](int64_t begin, int64_t end) {
                 simd::run([&] {
                   for (int64_t unit = begin; unit < end; ++unit) {
                     const int64_t b = unit / g.rows, row = unit % g.rows;
                     for (int64_t c = 0; c < g.channels; ++c) {
                       for (int64_t i = 0; i < g.patch; ++i) {
                         const int64_t line =
                             ((b * g.channels + c) * g.rows * g.patch + row * g.patch + i) * g.columns * g.patch;
                         const int64_t first = unit * per_unit + (c * g.patch + i) * g.patch;
                         for (int64_t column = 0; column < g.columns; ++column)
                           f(line + column * g.patch, first + column * g.values());
                       }
                     }
                   }
                 });
               });
}

}  // namespace

template <>
void PatchKernels<DeviceType::cpu>::unfold(const Tensor& images, const PatchGeometry& g, const Tensor& patches) {
  dispatch_floating_pair("patch_embed", images.dtype(), patches.dtype(), [&](auto from, auto to) {
    using In = decltype(from);
    using Out = decltype(to);
    const In* x = images.data<In>();
    Out* y = patches.data<Out>();
    for_each_run(g, [x, y, p = g.patch](int64_t image, int64_t patch) {
#pragma omp simd
      for (int64_t j = 0; j < p; ++j) y[patch + j] = Out(static_cast<acc_t<In>>(x[image + j]));
    });
  });
}

template <>
void PatchKernels<DeviceType::cpu>::fold(const Tensor& patches, const PatchGeometry& g, const Tensor& images,
                                         bool accumulate) {
  dispatch_floating_pair("patch_embed", patches.dtype(), images.dtype(), [&](auto from, auto to) {
    using In = decltype(from);
    using Out = decltype(to);
    using A = acc_t<In>;
    const In* x = patches.data<In>();
    Out* y = images.data<Out>();
    for_each_run(g, [x, y, p = g.patch, accumulate](int64_t image, int64_t patch) {
      for (int64_t j = 0; j < p; ++j) {
        const A before = accumulate ? static_cast<A>(y[image + j]) : A(0);
        y[image + j] = Out(before + static_cast<A>(x[patch + j]));
      }
    });
  });
}

namespace {

Tensor unfold(const Tensor& images, const PatchGeometry& g, DType dtype) {
  const Tensor patches = Tensor::empty({g.patches(), g.values()}, dtype, images.device());
  on_device("patch_embed", images, [&](auto d) { PatchKernels<d>::unfold(images, g, patches); });
  return patches;
}

}  // namespace

Tensor patch_embed(const Tensor& images, const Tensor& weight, const Tensor& bias, std::optional<DType> out) {
  const OpRange range("patch_embed");
  Expect e("patch_embed");
  e.shape("images", images, "B Cin H W").floating("images", images);
  e.shape("weight", weight, "D Cin P P").optional("bias", bias, "D");
  const DType acc = accumulator_of(images.dtype()), dtype = out.value_or(images.dtype());
  e.dtype("weight", weight, {acc}).same_device("weight", weight, images);
  if (bias.defined()) e.dtype("bias", bias, {acc}).same_device("bias", bias, images);
  const int64_t patch = e["P"];
  e.that(patch > 0 && e["H"] % patch == 0 && e["W"] % patch == 0,
         "images {}: height and width are no multiples of the patch size {}", images.shape().text(), patch);
  e.that(accumulator_of(dtype) == acc, "cannot go from {} images to {}", name_of(images.dtype()), name_of(dtype));
  const PatchGeometry g{e["B"], e["Cin"], patch, e["H"] / patch, e["W"] / patch, e["D"]};

  const Tensor x = images.detach().contiguous(), w = weight.detach().contiguous().to(dtype);
  const Tensor b = bias.defined() ? bias.detach().contiguous() : Tensor();
  const Tensor y = Tensor::empty({g.batch, g.rows * g.columns, g.width}, dtype, x.device());
  const Gemm product{.a_type = dtype,
                     .c_type = dtype,
                     .transpose_b = true,
                     .m = g.patches(),
                     .n = g.width,
                     .k = g.values(),
                     .bias = b.defined()};
  gemm(x.device(), product, unfold(x, g, dtype).raw(), w.raw(), y.raw(), b.defined() ? b.raw() : nullptr);

  return record("patch_embed", y, {images, weight, bias}, [x, w, g, acc](const Tensor& dy, GradOut& grads) {
    const Tensor dyc = dy.contiguous();
    const DType type = dy.dtype();
    if (grads.wants(1)) {
      const auto [dw, accumulate] = grads.target(1);
      const Gemm to_weight{.a_type = type,
                           .c_type = acc,
                           .transpose_a = true,
                           .m = g.width,
                           .n = g.values(),
                           .k = g.patches(),
                           .accumulate = accumulate};
      gemm(x.device(), to_weight, dyc.raw(), unfold(x, g, type).raw(), dw.raw());
    }
    if (grads.wants(2)) {
      const auto [db, accumulate] = grads.target(2);
      column_sums(dyc, db, accumulate);
    }
    if (grads.wants(0)) {
      const Tensor dpatches = Tensor::empty({g.patches(), g.values()}, acc, x.device());
      const Gemm to_patches{.a_type = type, .c_type = acc, .m = g.patches(), .n = g.values(), .k = g.width};
      gemm(x.device(), to_patches, dyc.raw(), w.raw(), dpatches.raw());
      const auto [dx, accumulate] = grads.target(0);
      on_device("patch_embed", dpatches,
                [&, &to = dx, add = accumulate](auto d) { PatchKernels<d>::fold(dpatches, g, to, add); });
    }
  });
}

}  // namespace gfsa
