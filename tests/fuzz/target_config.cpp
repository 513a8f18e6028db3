#include "config/example_config.h"
#include "config/printer.h"
#include "fuzz/targets.h"

namespace gfsa::fuzz {
namespace {

// A file system without files: `defaults:` finds nothing.
class NoFiles : public Env {
 public:
  std::unique_ptr<WritableFile> create(const std::string& path) override { fail("{}: written", path); }
  std::unique_ptr<ReadableFile> open(const std::string& path) override { bad_input("{}: no such file", path); }
  std::string read(const std::string& path, uint64_t) override { bad_input("{}: no such file", path); }
  void append(const std::string& path, std::string_view) override { fail("{}: written", path); }
  bool exists(const std::string&) override { return false; }
  bool is_directory(const std::string&) override { return false; }
  void create_directories(const std::string& path) override { fail("{}: made", path); }
  std::vector<std::string> list(const std::string& path) override { bad_input("{}: no such folder", path); }
  void remove_all(const std::string& path) override { fail("{}: removed", path); }
  void rename(const std::string& from, const std::string&) override { fail("{}: renamed", from); }
  uint64_t free_bytes(const std::string&) override { return 0; }
};

}  // namespace

void config(std::string_view bytes) {
  const size_t mark = bytes.find('\x1E');
  std::vector<std::string> overrides;
  if (mark != std::string_view::npos) overrides.emplace_back(bytes.substr(mark + 1));
  const std::string text(bytes.substr(0, mark));
  NoFiles env;
  gfsa::config::example::RootConfig root, again;
  if (!accepts([&] { gfsa::config::load_text(root, text, "c.yaml", overrides, env); })) return;
  const std::string printed = gfsa::config::print_config(root);
  if (!accepts([&] { gfsa::config::load_text(again, printed, "c.yaml", {}, env); })) finding("printed: " + printed);
  if (gfsa::config::print_config(again) != printed) finding("printed otherwise: " + printed);
}

}  // namespace gfsa::fuzz
