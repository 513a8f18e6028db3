// Patches of images and back, V values a thread. Both kernels write in order of memory.
#include "ops/patch_embed.h"

#include "core/dispatch.h"
#include "ops/cuda/rows.h"

namespace gfsa::GFSA_DEVICE_NAMESPACE {
namespace {

constexpr int kThreads = 256;

template <int V, class In, class Out>
struct Unfold {
  static constexpr const char* kName = "unfold";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const In> images, Global<Out> patches, PatchGeometry g) const {
    const int64_t i = global_x() * V;
    if (i >= g.patches() * g.values()) return;
    const int64_t run = i / g.patch, x = i - run * g.patch;
    const int64_t plane = run / g.patch, y = run - plane * g.patch;  // [b, row, column, channel]
    const int64_t place = plane / g.channels, channel = plane - place * g.channels;
    const int64_t line = place / g.columns, column = place - line * g.columns;
    const int64_t b = line / g.rows, row = line - b * g.rows;
    const int64_t image_line = ((b * g.channels + channel) * g.rows + row) * g.patch + y;
    store_floats<V, Out>(patches, i, load_floats<V, In>(images, (image_line * g.columns + column) * g.patch + x));
  }
};

template <int V, class Out>
struct Fold {
  static constexpr const char* kName = "fold";
  static constexpr int kMaxThreads = kThreads;
  GFSA_DEVICE void operator()(Global<const float> patches, Global<Out> images, PatchGeometry g, bool accumulate) const {
    const int64_t i = global_x() * V;
    if (i >= g.patches() * g.values()) return;
    const int64_t run = i / g.patch, x = i - run * g.patch;
    const int64_t image_line = run / g.columns, column = run - image_line * g.columns;
    const int64_t line = image_line / g.patch, y = image_line - line * g.patch;  // [b, channel, row]
    const int64_t plane = line / g.rows, row = line - plane * g.rows;
    const int64_t b = plane / g.channels, channel = plane - b * g.channels;
    const int64_t place = (b * g.rows + row) * g.columns + column;
    Floats<V> v = load_floats<V, float>(patches, ((place * g.channels + channel) * g.patch + y) * g.patch + x);
    if (accumulate) {
      const Floats<V> before = load_floats<V, Out>(images, i);
      for (int k = 0; k < V; ++k) v[k] += before[k];
    }
    store_floats<V, Out>(images, i, v);
  }
};

// values: of a thread; they divide a patch's row.
Launch how(const PatchGeometry& g, int values, const Tensor& images) {
  return one_thread_each("patch_embed", g.patches() * g.values() / values, kThreads, {&images.shape()});
}

}  // namespace
}  // namespace gfsa::GFSA_DEVICE_NAMESPACE

namespace gfsa {
using namespace GFSA_DEVICE_NAMESPACE;

template <DeviceType D>
void PatchKernels<D>::unfold(const Tensor& images, const PatchGeometry& g, const Tensor& patches) {
  if (patches.numel() == 0) return;
  dispatch_gpu("patch_embed", images.dtype(), [&](auto in) {
    dispatch_gpu("patch_embed", patches.dtype(), [&](auto out) {
      using In = decltype(in);
      using Out = decltype(out);
      const In* from = images.data<In>();
      Out* to = patches.data<Out>();
      const auto start = [&](auto v) { launch(Unfold<v, In, Out>{}, how(g, v, images), from, to, g); };
      with_row_vectors(g.patch, start, from, static_cast<const Out*>(to));
    });
  });
}

template <DeviceType D>
void PatchKernels<D>::fold(const Tensor& patches, const PatchGeometry& g, const Tensor& images, bool accumulate) {
  if (patches.numel() == 0) return;
  dispatch_gpu("patch_embed", images.dtype(), [&](auto out) {
    using Out = decltype(out);
    const float* from = patches.data<float>();
    Out* to = images.data<Out>();
    const auto start = [&](auto v) { launch(Fold<v, Out>{}, how(g, v, images), from, to, g, accumulate); };
    with_row_vectors(g.patch, start, from, static_cast<const Out*>(to));
  });
}

template struct PatchKernels<GFSA_DEVICE_TYPE>;

}  // namespace gfsa
