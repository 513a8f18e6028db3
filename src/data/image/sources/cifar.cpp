#include "data/image/sources/cifar.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/env.h"
#include "base/strings.h"
#include "data/image/sources/memory_images.h"
#include "formats/archive.h"

namespace gfsa::data {
namespace {

constexpr uint64_t kMaxBytes = 1 << 30;  // of one file, and of all that an archive holds

// The named files' bytes by name, from a folder, the archive's folder below it, or the archive.
std::map<std::string, std::string> read_files(const std::string& path, const std::string& folder,
                                              const std::vector<std::string>& names) {
  Env& env = Env::real();
  std::map<std::string, std::string> out;
  if (!env.exists(path)) bad_input("data.path: '{}' does not exist; scripts/download.sh fetches CIFAR", path);
  if (env.is_directory(path)) {
    const std::string root = env.is_directory(path + "/" + folder) ? path + "/" + folder : path;
    for (const auto& name : names) {
      if (!env.exists(root + "/" + name)) {
        bad_input("data.path: '{}' has no {}, expected {} (the binary version of CIFAR)", root, name, one_of(names));
      }
      out[name] = env.read(root + "/" + name, kMaxBytes);
    }
    return out;
  }
  const auto base = [](std::string_view member) { return std::string(member.substr(member.rfind('/') + 1)); };
  const auto wanted = [&](std::string_view member) {
    return std::find(names.begin(), names.end(), base(member)) != names.end();
  };
  ArchiveIndex archive = read_archive(path, wanted, kMaxBytes);
  for (auto& member : archive.members) out[base(member.name)] = std::move(member.bytes);
  for (const auto& name : names) {
    if (out.count(name) == 0) bad_input("{}: has no {}, expected the binary version of CIFAR", path, name);
  }
  return out;
}

}  // namespace

void CifarConfig::describe(config::Schema& s) {
  s.field("path", path)
      .path()
      .required()
      .doc("The binary version's folder, the folder that holds it, or its .tar.gz.")
      .source("https://www.cs.toronto.edu/~kriz/cifar.html");
}

std::unique_ptr<ImageSource> CifarConfig::open(const std::string& split) const {
  if (split != "train" && split != "val" && split != "test") {
    bad_input("data: CIFAR has no split '{}', expected train, val or test", split);
  }
  const bool is_10 = kind_ == CifarKind::kCifar10;
  const auto data_files = cifar_files(kind_, split == "train");
  const auto names_file = cifar_names_file(kind_);
  auto wanted = data_files;
  wanted.push_back(names_file);
  const auto files = read_files(path, is_10 ? "cifar-10-batches-bin" : "cifar-100-binary", wanted);

  PlanarImages images{.channels = 3, .height = 32, .width = 32};
  images.classes = parse_cifar_names(files.at(names_file), kind_, path + ": " + names_file);
  for (const auto& name : data_files) {
    const auto records = parse_cifar_binary(files.at(name), kind_, path + ": " + name);
    images.count += records.size();
    images.bytes.insert(images.bytes.end(), records.images.begin(), records.images.end());
    images.labels.insert(images.labels.end(), records.labels.begin(), records.labels.end());
  }
  return std::make_unique<MemoryImages>(is_10 ? "cifar10" : "cifar100", path, std::move(images));
}

void register_cifar(config::Registry<ImageSourceConfig>& registry) {
  registry.add<Cifar10Config>("cifar10", "CIFAR-10, the binary version.");
  registry.add<Cifar100Config>("cifar100", "CIFAR-100 with fine labels, the binary version.");
}

}  // namespace gfsa::data
