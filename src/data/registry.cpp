#include "data/registry.h"

#include "data/image/sources/cifar.h"
#include "data/image/sources/image_archive.h"
#include "data/image/sources/image_folder.h"
#include "data/image/sources/mnist.h"
#include "data/image/sources/procedural.h"
#include "data/image/sources/safetensors_images.h"

namespace gfsa::data {

const config::Registry<ImageSourceConfig>& image_source_registry() {
  static const auto registry = [] {
    config::Registry<ImageSourceConfig> r("image source");
    r.add<ProceduralConfig>("procedural", "Generated 32 x 32 glyphs; nothing to download.");
    r.add<ImageFolderConfig>("image_folder", "<path>/<split>/<class>/*.jpg|png, ImageNet's layout.");
    r.add<ImageArchiveConfig>("image_archive", "The same inside a .tar or .tar.gz.");
    r.add<Cifar10Config>("cifar10", "CIFAR-10, the binary version.");
    r.add<Cifar100Config>("cifar100", "CIFAR-100 with fine labels, the binary version.");
    r.add<MnistConfig>("mnist", "MNIST and its look-alikes of characters (KMNIST, EMNIST): IDX files.");
    r.add<FashionMnistConfig>("fashion_mnist", "Fashion-MNIST: MNIST's files, but pictures may be flipped.");
    r.add<SafetensorsImagesConfig>("safetensors", "Tensors images and labels of a safetensors file.");
    return r;
  }();
  return registry;
}

}  // namespace gfsa::data
