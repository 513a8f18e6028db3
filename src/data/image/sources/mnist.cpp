#include "data/image/sources/mnist.h"

#include <algorithm>
#include <utility>

#include "base/env.h"
#include "data/image/sources/memory_images.h"
#include "formats/idx.h"

namespace gfsa::data {
namespace {

class MnistImages final : public MemoryImages {
 public:
  MnistImages(const std::string& name, const std::string& where, PlanarImages images, bool flip_keeps_class)
      : MemoryImages(name, where, std::move(images)), flip_keeps_class_(flip_keeps_class) {}
  bool flip_keeps_class() const override { return flip_keeps_class_; }

 private:
  bool flip_keeps_class_;
};

constexpr int64_t kMaxEdge = 65535;

IdxArray read_bytes(const std::string& path, size_t rank, const char* shape) {
  Env& env = Env::real();
  const std::string file = env.exists(path) ? path : path + ".gz";
  if (!env.exists(file)) {
    bad_input("data.path: neither {} nor {} exists; scripts/download.sh fetches MNIST", path, file);
  }
  IdxArray array = read_idx(file);
  if (array.dtype != "U8" || array.shape.size() != rank) {
    bad_input("{}: holds {} of rank {}, expected U8 of shape {}", file, array.dtype, array.shape.size(), shape);
  }
  return array;
}

}  // namespace

void MnistConfig::describe(config::Schema& s) {
  s.field("path", path)
      .path()
      .required()
      .doc("Folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and the t10k files, .gz or not.");
}

std::unique_ptr<ImageSource> MnistConfig::open(const std::string& split) const {
  if (split != "train" && split != "val" && split != "test") {
    bad_input("data: MNIST has no split '{}', expected train, val or test", split);
  }
  const std::string stem = path + (split == "train" ? "/train" : "/t10k");
  const IdxArray pictures = read_bytes(stem + "-images-idx3-ubyte", 3, "[N, rows, columns]");
  const IdxArray labels = read_bytes(stem + "-labels-idx1-ubyte", 1, "[N]");
  if (pictures.shape[0] != labels.shape[0] || pictures.shape[0] == 0) {
    bad_input("{}-*: {} pictures and {} labels, expected equally many, at least one", stem, pictures.shape[0],
              labels.shape[0]);
  }
  if (pictures.shape[1] < 1 || pictures.shape[2] < 1 || pictures.shape[1] > kMaxEdge || pictures.shape[2] > kMaxEdge) {
    bad_input("{}-*: pictures of {} x {} pixels, expected 1 to {} both ways", stem, pictures.shape[2],
              pictures.shape[1], kMaxEdge);
  }
  PlanarImages images{.count = pictures.shape[0],
                      .channels = 1,
                      .height = static_cast<int>(pictures.shape[1]),
                      .width = static_cast<int>(pictures.shape[2])};
  images.bytes.assign(pictures.bytes.begin(), pictures.bytes.end());
  for (char label : labels.bytes) images.labels.push_back(static_cast<unsigned char>(label));
  const int64_t classes = std::max<int64_t>(10, *std::max_element(images.labels.begin(), images.labels.end()) + 1);
  for (int64_t c = 0; c < classes; ++c) images.classes.push_back(std::to_string(c));
  return std::make_unique<MnistImages>(name_, stem, std::move(images), flip_keeps_class_);
}

void register_mnist(config::Registry<ImageSourceConfig>& registry) {
  registry.add<MnistConfig>("mnist", "MNIST and its look-alikes of characters (KMNIST, EMNIST): IDX files.");
  registry.add<FashionMnistConfig>("fashion_mnist", "Fashion-MNIST: MNIST's files, but pictures may be flipped.");
}

}  // namespace gfsa::data
