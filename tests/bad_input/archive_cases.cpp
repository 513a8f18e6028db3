// Archives: as data.source image_archive reads them.
#include "bad_input/bad_input.h"
#include "data/image/sources/cifar.h"
#include "data/image/sources/image_archive.h"

namespace gfsa::bad_input_test {
namespace {

// Opens it as DIR/<name>, split train.
std::function<void(const std::string&)> archive(std::string bytes, std::string name = "set.tar",
                                                int64_t archive_mb = 1) {
  return [bytes = std::move(bytes), name = std::move(name), archive_mb](const std::string& folder) {
    write(folder + "/" + name, bytes);
    data::ImageArchiveConfig config;
    config.path = folder + "/" + name;
    config.archive_mb = archive_mb;
    config.open("train");
  };
}

std::string picture() { return golden("images/rgb.png"); }
std::string good() { return tar_member("train/a/1.png", picture()) + tar_member("train/b/2.png", picture()); }

// good(), then a member of this name.
std::string with_member(const std::string& name, char type = '0', const std::string& link = "") {
  return good() + tar_member(name, type == '0' ? picture() : "", type, link) + tar_end();
}

}  // namespace

Cases archive_cases() {
  return {
      {"no such archive",
       [](auto& d) {
         data::ImageArchiveConfig config;
         config.path = d + "/set.tar";
         config.open("train");
       },
       "data.path: 'DIR/set.tar' does not exist"},
      {"an archive that is a folder",
       [](auto& d) {
         data::ImageArchiveConfig config;
         config.path = d;
         config.open("train");
       },
       "data.path: 'DIR' is a folder, expected a .tar or .tar.gz; data.source 'image_folder' reads folders"},
      {"an archive of zero bytes", archive(""),
       "DIR/set.tar: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"an archive of text", archive("hello, this is no archive"),
       "DIR/set.tar: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"an archive that is a picture", archive(picture()),
       "DIR/set.tar: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"a ZIP", archive(std::string("PK\3\4\x14\0\0\0\0\0", 10) + std::string(600, 'x')),
       "DIR/set.tar: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"empty tar", archive(tar_end()), "DIR/set.tar: has no pictures, expected train/<class>/*.jpg, .jpeg or .png"},
      {"no end", archive(good()), "DIR/set.tar: truncated: no end-of-archive marker after entry 'train/b/2.png'"},
      {"cut in a header", archive(good().substr(0, 300)),
       "DIR/set.tar: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"cut in a member", archive(good().substr(0, 1500)), "DIR/set.tar: entry 'train/a/1.png': Truncated tar archive"},
      {"a wrong header checksum", archive(good().replace(0, 1, "T") + tar_end()),
       "DIR/set.tar: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"gzip cut in the middle", archive(gzip(good() + tar_end()).substr(0, 900), "set.tar.gz"),
       "DIR/set.tar.gz: truncated gzip data"},
      {"gzip header alone", archive("\x1F\x8B\x08", "set.tar.gz"), "DIR/set.tar.gz: truncated gzip data"},
      {"gzip with a wrong checksum",
       archive(
           [] {
             std::string bytes = gzip(good() + tar_end());
             bytes[bytes.size() - 6] ^= 1;
             return bytes;
           }(),
           "set.tar.gz"),
       "DIR/set.tar.gz: corrupt gzip data: incorrect data check"},
      {"gzip with something behind", archive(gzip(good() + tar_end()) + "behind", "set.tar.gz"),
       "DIR/set.tar.gz: corrupt gzip data: bytes after the end"},
      {"gzip of text", archive(gzip("hello"), "set.tar.gz"),
       "DIR/set.tar.gz: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"gzip in gzip", archive(gzip(gzip(good() + tar_end())), "set.tar.gz"),
       "DIR/set.tar.gz: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"a name that climbs", archive(with_member("train/../../evil.png")),
       "DIR/set.tar: entry 'train/../../evil.png': expected a relative name without '..'"},
      {"a name that climbs at once", archive(with_member("../evil.png")),
       "DIR/set.tar: entry '../evil.png': expected a relative name without '..'"},
      {"a name that ends in ..", archive(with_member("train/a/..")),
       "DIR/set.tar: entry 'train/a/..': expected a relative name without '..'"},
      {"an absolute name", archive(with_member("/etc/evil.png")),
       "DIR/set.tar: entry '/etc/evil.png': expected a relative name without '..'"},
      {"an absolute name behind a dot", archive(with_member(".//etc/evil.png")),
       "DIR/set.tar: entry './/etc/evil.png': expected a relative name without '..'"},
      {"a folder that climbs", archive(with_member("../evil", '5')),
       "DIR/set.tar: entry '../evil': expected a relative name without '..'"},
      {"a name without letters", archive(with_member("")),
       "DIR/set.tar: entry '': expected a relative name without '..'"},
      {"a name twice", archive(with_member("train/a/1.png")),
       "DIR/set.tar: entry 'train/a/1.png': the name is there twice"},
      {"a name twice, once with a dot", archive(with_member("./train/a/1.png")),
       "DIR/set.tar: entry 'train/a/1.png': the name is there twice"},
      {"a symbolic link", archive(with_member("train/a/3.png", '2', "/etc/passwd")),
       "DIR/set.tar: entry 'train/a/3.png': is a symbolic link, expected plain files"},
      {"a hard link", archive(with_member("train/a/3.png", '1', "train/a/1.png")),
       "DIR/set.tar: entry 'train/a/3.png': is a hard link to 'train/a/1.png', expected plain files"},
      {"a device", archive(with_member("train/a/3.png", '3')),
       "DIR/set.tar: entry 'train/a/3.png': is a device, expected plain files"},
      {"a pipe", archive(with_member("train/a/3.png", '6')),
       "DIR/set.tar: entry 'train/a/3.png': is a pipe or socket, expected plain files"},
      {"a member of 8 GiB less one",
       archive(good() + tar_member("train/c/3.png", "x", '0', "", 077777777777) + tar_end()),
       "DIR/set.tar: its pictures take more than data.archive_mb = 1 MiB of memory; raise it, or unpack the archive "
       "and use data.source 'image_folder'"},
      {"a member of 8 GiB that fits the limit",
       archive(good() + tar_member("train/c/3.png", "x", '0', "", 077777777777) + tar_end(), "set.tar", 1 << 20),
       "DIR/set.tar: entry 'train/c/3.png': Truncated tar archive"},
      {"more than archive_mb", archive(good() + tar_member("train/c/3.png", std::string(1 << 20, 'x')) + tar_end()),
       "DIR/set.tar: its pictures take more than data.archive_mb = 1 MiB of memory; raise it, or unpack the archive "
       "and use data.source 'image_folder'"},
      {"a bomb of gzip",
       archive(gzip(tar_member("train/c/3.png", std::string(8 << 20, '\0')) + tar_end()), "set.tar.gz"),
       "DIR/set.tar.gz: its pictures take more than data.archive_mb = 1 MiB of memory; raise it, or unpack the archive "
       "and use data.source 'image_folder'"},
      {"an archive without pictures", archive(tar_member("train/a/1.txt", "x") + tar_end()),
       "DIR/set.tar: has no pictures, expected train/<class>/*.jpg, .jpeg or .png"},
      {"pictures of another split", archive(tar_member("trian/a/1.png", picture()) + tar_end()),
       "DIR/set.tar: has no pictures in train/<class>/; it has pictures in: trian"},
      {"pictures without a class", archive(tar_member("train/1.png", picture()) + tar_end()),
       "DIR/set.tar: train: no pictures, expected <class>/*.jpg, .jpeg or .png"},
      {"lrzip, which a program would unpack", archive("LRZI" + std::string(600, '\0'), "set.tar.lrz"),
       "DIR/set.tar.lrz: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"lzop, which a program would unpack",
       archive("\x89LZO\x00\x0D\x0A\x1A\x0A" + std::string(600, 'x'), "set.tar.lzo"),
       "DIR/set.tar.lzo: not a tar archive, expected .tar, .tar.gz, .tar.bz2, .tar.xz or .tar.zst"},
      {"CIFAR's archive without its files",
       [](auto& d) {
         write(d + "/cifar.tar.gz", gzip(tar_member("a/b.bin", "x") + tar_end()));
         data::Cifar10Config config;
         config.path = d + "/cifar.tar.gz";
         config.open("train");
       },
       "DIR/cifar.tar.gz: has no data_batch_1.bin, expected the binary version of CIFAR"},
      {"CIFAR's archive with a huge file",
       [](auto& d) {
         write(d + "/cifar.tar", tar_member("a/data_batch_1.bin", "x", '0', "", 077777777777) + tar_end());
         data::Cifar10Config config;
         config.path = d + "/cifar.tar";
         config.open("train");
       },
       "DIR/cifar.tar: entry 'a/data_batch_1.bin': the files to keep in memory are more than 1.0 GiB"},
      {"a damaged picture",
       [](auto& d) {
         write(d + "/set.tar", tar_member("train/a/1.png", picture().substr(0, 99)) + tar_end());
         data::ImageArchiveConfig config;
         config.path = d + "/set.tar";
         config.open("train")->get(0);
       },
       "DIR/set.tar: train/a/1.png: truncated PNG: the data ends before the picture does"},
  };
}

}  // namespace gfsa::bad_input_test
