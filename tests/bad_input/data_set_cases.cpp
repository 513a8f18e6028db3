// Image folders, CIFAR's binary version, MNIST's IDX files.
#include <unistd.h>

#include "bad_input/bad_input.h"
#include "base/env.h"
#include "data/image/sources/cifar.h"
#include "data/image/sources/image_folder.h"
#include "data/image/sources/mnist.h"
#include "formats/idx.h"

namespace gfsa::bad_input_test {
namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

// Opens DIR with these files.
template <class Config>
std::function<void(const std::string&)> open(Files files, std::string split = "train", std::string below = "") {
  return [files = std::move(files), split = std::move(split), below = std::move(below)](const std::string& folder) {
    for (const auto& [name, content] : files) write(folder + "/" + name, content);
    Config config;
    config.path = folder + below;
    config.open(split);
  };
}

std::string cifar_names() {
  std::string out;
  for (int i = 0; i < 10; ++i) out += fmt::format("class{}\n", i);
  return out;
}
// Five batches of one record each, the second replaced.
Files cifar(const std::string& second, const std::string& names = cifar_names()) {
  Files files{{"batches.meta.txt", names}};
  for (int i = 1; i <= 5; ++i) {
    files.emplace_back(fmt::format("data_batch_{}.bin", i), i == 2 ? second : std::string(3073, '\1'));
  }
  return files;
}

const std::string kImagesMagic("\0\0\x08\x03", 4), kLabelsMagic("\0\0\x08\x01", 4);
std::string idx_images(uint32_t n, uint32_t rows, uint32_t columns) {
  return kImagesMagic + big_endian(n) + big_endian(rows) + big_endian(columns) + std::string(n * rows * columns, '\5');
}
std::string idx_labels(uint32_t n) { return kLabelsMagic + big_endian(n) + std::string(n, '\1'); }
Files mnist(const std::string& images, const std::string& labels = idx_labels(2)) {
  return {{"train-images-idx3-ubyte", images}, {"train-labels-idx1-ubyte", labels}};
}

}  // namespace

Cases data_set_cases() {
  const std::string png = golden("images/rgb.png");
  return {
      {"no such folder", open<data::ImageFolderConfig>({}, "train", "/nowhere"),
       "data.path: 'DIR/nowhere' does not exist"},
      {"a folder that is a file", open<data::ImageFolderConfig>({{"a.tar", "x"}}, "train", "/a.tar"),
       "data.path: 'DIR/a.tar' is a file, expected a folder; data.source 'image_archive' reads archives"},
      {"no such split", open<data::ImageFolderConfig>({{"trian/a/1.png", png}}),
       "data.path: 'DIR' has no folder train; it has trian. A split named '.' means 'DIR' itself"},
      {"a split without classes", open<data::ImageFolderConfig>({{"train/1.png", png}}),
       "DIR/train: no pictures, expected <class>/*.jpg, .jpeg or .png"},
      {"a split without pictures", open<data::ImageFolderConfig>({{"train/a/1.gif", "GIF"}}),
       "DIR/train: no pictures, expected <class>/*.jpg, .jpeg or .png"},
      {"a folder that holds itself",
       [](auto& d) {
         write(d + "/train/a/1.png", golden("images/rgb.png"));
         if (::symlink(".", (d + "/train/a/loop").c_str()) != 0) return;
         if (::symlink(".", (d + "/train/a/pool").c_str()) != 0) return;
         data::ImageFolderConfig config;
         config.path = d;
         config.open("train");
       },
       "DIR/train/a/pool/pool/pool/pool/pool/pool/pool/pool/pool/pool/pool/pool/pool/pool/pool/pool/pool: folders are "
       "nested deeper than 16 levels; does a link lead back?"},
      {"classes that differ",
       [png](auto& d) {
         write(d + "/train/a/1.png", png), write(d + "/train/b/1.png", png);
         write(d + "/val/a/1.png", png), write(d + "/val/c/1.png", png);
         train(d, base_with("data", "data: {source: image_folder, path: DIR, workers: 0}"));
       },
       "data: training has 2 classes, validation 2, and they differ: only in training: b; only in validation: c"},
      {"a split by no name", yaml(base_with("data", "data: {source: procedural, train_split: dev}")),
       "data: the procedural set has no split 'dev', expected train, val or test"},
      {"an evaluation split by no name", yaml(before_base("eval: {split: tset}\n")),
       "data: the procedural set has no split 'tset', expected train, val or test"},

      {"no CIFAR", open<data::Cifar10Config>({}, "train", "/nowhere"),
       "data.path: 'DIR/nowhere' does not exist; scripts/download.sh fetches CIFAR"},
      {"CIFAR's folder empty", open<data::Cifar10Config>({}),
       "data.path: 'DIR' has no data_batch_1.bin, expected data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, "
       "data_batch_4.bin, data_batch_5.bin or batches.meta.txt (the binary version of CIFAR)"},
      {"a split that CIFAR lacks", open<data::Cifar10Config>(cifar(""), "dev"),
       "data: CIFAR has no split 'dev', expected train, val or test"},
      {"a CIFAR batch of zero bytes", open<data::Cifar10Config>(cifar("")),
       "DIR: data_batch_2.bin: has 0 bytes, expected a whole number of CIFAR-10 records of 3073 bytes"},
      {"a CIFAR batch cut", open<data::Cifar10Config>(cifar(std::string(3072, '\0'))),
       "DIR: data_batch_2.bin: has 3072 bytes, expected a whole number of CIFAR-10 records of 3073 bytes: truncated, "
       "or another data set"},
      {"CIFAR-100 for CIFAR-10", open<data::Cifar10Config>(cifar(std::string(3074, '\0'))),
       "DIR: data_batch_2.bin: has 3074 bytes, expected a whole number of CIFAR-10 records of 3073 bytes: truncated, "
       "or another data set"},
      {"a CIFAR label of ten", open<data::Cifar10Config>(cifar(std::string(3073, '\1') + std::string(3073, '\n'))),
       "DIR: data_batch_2.bin: record 1: label 10 is not below 10"},
      {"nine CIFAR names", open<data::Cifar10Config>(cifar(std::string(3073, '\1'), "a\nb\nc\nd\ne\nf\ng\nh\ni\n")),
       "DIR: batches.meta.txt: holds 9 class names, expected 10"},
      {"CIFAR's Python version",
       open<data::Cifar10Config>({{"cifar-10-batches-py/data_batch_1", "x"}}, "train", "/cifar-10-batches-py"),
       "data.path: 'DIR/cifar-10-batches-py' has no data_batch_1.bin, expected data_batch_1.bin, data_batch_2.bin, "
       "data_batch_3.bin, data_batch_4.bin, data_batch_5.bin or batches.meta.txt (the binary version of CIFAR)"},
      {"CIFAR-100 with a coarse label of 20",
       open<data::Cifar100Config>({{"train.bin", std::string(3074, '\x14')},
                                   {"fine_label_names.txt",
                                    [] {
                                      std::string names;
                                      for (int i = 0; i < 100; ++i) names += fmt::format("n{}\n", i);
                                      return names;
                                    }()}}),
       "DIR: train.bin: record 0: coarse label 20 is not below 20"},

      {"no MNIST", open<data::MnistConfig>({}, "train", "/nowhere"),
       "data.path: neither DIR/nowhere/train-images-idx3-ubyte nor DIR/nowhere/train-images-idx3-ubyte.gz exists; "
       "scripts/download.sh fetches MNIST"},
      {"a split that MNIST lacks", open<data::MnistConfig>({}, "dev"),
       "data: MNIST has no split 'dev', expected train, val or test"},
      {"IDX of zero bytes", open<data::MnistConfig>(mnist("")),
       "DIR/train-images-idx3-ubyte: has 0 bytes, expected an IDX file (at least 4)"},
      {"IDX with another magic", open<data::MnistConfig>(mnist("\1\2\3\4 and more")),
       "DIR/train-images-idx3-ubyte: not an IDX file: magic 01 02 03 04, expected 00 00, a type of 08 to 0e, a rank "
       "from 01"},
      {"IDX of an unknown type", open<data::MnistConfig>(mnist(std::string("\0\0\x0A\3", 4) + "12345678")),
       "DIR/train-images-idx3-ubyte: not an IDX file: magic 00 00 0a 03, expected 00 00, a type of 08 to 0e, a rank "
       "from 01"},
      {"IDX of no rank", open<data::MnistConfig>(mnist(std::string("\0\0\x08\0", 4))),
       "DIR/train-images-idx3-ubyte: not an IDX file: magic 00 00 08 00, expected 00 00, a type of 08 to 0e, a rank "
       "from 01"},
      {"IDX cut in its header", open<data::MnistConfig>(mnist(kImagesMagic + big_endian(2))),
       "DIR/train-images-idx3-ubyte: truncated: 8 bytes, but the header takes 16"},
      {"IDX cut in its data", open<data::MnistConfig>(mnist(idx_images(2, 3, 3).substr(0, 30))),
       "DIR/train-images-idx3-ubyte: truncated: U8 of shape [2, 3, 3] takes 18 bytes, the file has 14"},
      {"IDX with bytes behind", open<data::MnistConfig>(mnist(idx_images(2, 3, 3) + "x")),
       "DIR/train-images-idx3-ubyte: trailing bytes: U8 of shape [2, 3, 3] takes 18 bytes, the file has 19"},
      {"IDX of 2^96 bytes",
       open<data::MnistConfig>(
           mnist(kImagesMagic + big_endian(UINT32_MAX) + big_endian(UINT32_MAX) + big_endian(UINT32_MAX))),
       "DIR/train-images-idx3-ubyte: U8 of shape [4294967295, 4294967295, 4294967295] is too large, expected at most "
       "8.0 GiB"},
      {"IDX of 2^64 pixels, no times",
       open<data::MnistConfig>(mnist(kImagesMagic + big_endian(0) + big_endian(UINT32_MAX) + big_endian(UINT32_MAX))),
       "DIR/train-images-idx3-ubyte: U8 of shape [0, 4294967295, 4294967295] is too large, expected at most 8.0 GiB"},
      {"IDX of rank 255", open<data::MnistConfig>(mnist(std::string("\0\0\x08\xFF", 4) + std::string(1020, '\xFF'))),
       "DIR/train-images-idx3-ubyte: U8 of rank 255 is too large, expected at most 8.0 GiB"},
      {"IDX of floats",
       open<data::MnistConfig>(mnist(std::string("\0\0\x0D\1", 4) + big_endian(1) + std::string(4, '\0'))),
       "DIR/train-images-idx3-ubyte: holds F32 of rank 1, expected U8 of shape [N, rows, columns]"},
      {"labels for images", open<data::MnistConfig>(mnist(idx_labels(2))),
       "DIR/train-images-idx3-ubyte: holds U8 of rank 1, expected U8 of shape [N, rows, columns]"},
      {"fewer labels than images", open<data::MnistConfig>(mnist(idx_images(3, 2, 2))),
       "DIR/train-*: 3 pictures and 2 labels, expected equally many, at least one"},
      {"no pictures", open<data::MnistConfig>(mnist(idx_images(0, 3, 3), idx_labels(0))),
       "DIR/train-*: 0 pictures and 0 labels, expected equally many, at least one"},
      {"pictures without pixels", open<data::MnistConfig>(mnist(idx_images(2, 0, 3))),
       "DIR/train-*: pictures of 3 x 0 pixels, expected 1 to 65535 both ways"},
      {"gzip of IDX cut",
       open<data::MnistConfig>({{"train-images-idx3-ubyte.gz", gzip(idx_images(2, 3, 3)).substr(0, 20)}}),
       "DIR/train-images-idx3-ubyte.gz: truncated gzip data"},
      {"gzip of IDX that never ends",
       open<data::MnistConfig>(
           {{"train-images-idx3-ubyte.gz", gzip(idx_images(2, 3, 3) + std::string(64 << 20, '\0'))}}),
       "DIR/train-images-idx3-ubyte.gz: trailing bytes: U8 of shape [2, 3, 3] takes 18 bytes, the file has more"},
      {"digits flipped",
       [](auto& d) {
         for (const auto& [name, content] : mnist(idx_images(2, 3, 3))) write(d + "/" + name, content);
         write(d + "/t10k-images-idx3-ubyte", idx_images(2, 3, 3));
         write(d + "/t10k-labels-idx1-ubyte", idx_labels(2));
         train(d, base_with("data", "data: {source: mnist, path: DIR, workers: 0}"), {"augment.flip=0.5"});
       },
       "augment.flip: is 0.5, but a mirror image changes the class in mnist 2 pictures of 1 x 3 x 3, 10 classes, "
       "content HASH; set augment.flip: 0 (Fashion-MNIST is data.source fashion_mnist)"},
  };
}

}  // namespace gfsa::bad_input_test
