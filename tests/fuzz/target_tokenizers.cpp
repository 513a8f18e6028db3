#include "base/error.h"
#include "fuzz/targets.h"
#include "tokenizers/tokenizer.h"

#include <map>

namespace gfsa::fuzz {
namespace {

// Files that exist only here, and only to be read.
class MemoryFiles : public Env {
 public:
  explicit MemoryFiles(std::map<std::string, std::string> files) : files_(std::move(files)) {}
  std::string read(const std::string& path, uint64_t) override {
    const auto found = files_.find(path);
    if (found == files_.end()) bad_input("{}: does not exist", path);
    return found->second;
  }
  bool exists(const std::string& path) override { return path == "f" || files_.contains(path); }
  bool is_directory(const std::string& path) override { return path == "f"; }
  std::unique_ptr<WritableFile> create(const std::string&) override { finding("a reader writes"); }
  std::unique_ptr<ReadableFile> open(const std::string&) override { finding("a reader opens a file"); }
  void append(const std::string&, std::string_view) override { finding("a reader writes"); }
  void create_directories(const std::string&) override { finding("a reader writes"); }
  std::vector<std::string> list(const std::string&) override { finding("a reader lists a folder"); }
  void remove_all(const std::string&) override { finding("a reader removes"); }
  void rename(const std::string&, const std::string&) override { finding("a reader renames"); }
  uint64_t free_bytes(const std::string&) override { return 0; }

 private:
  std::map<std::string, std::string> files_;
};

constexpr std::string_view kVocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nb\n##b\n!\n";

// By the first byte.
std::map<std::string, std::string> files_of(std::string_view bytes) {
  const char which = bytes[0];
  const std::string_view rest = bytes.substr(1);
  const size_t cut = std::min(rest.find('\x1e'), rest.size());
  const std::string first(rest.substr(0, cut)), second(rest.substr(std::min(cut + 1, rest.size())));
  switch (which) {
    case 'v':
      return {{"f/vocab.txt", std::string(rest)}};
    case 'm':
      return {{"f/vocab.json", first}, {"f/merges.txt", second}};
    case 's':
      return {{"f/spiece.model", std::string(rest)}};
    case 'c':
      return {{"f/vocab.txt", std::string(kVocabulary)},
              {"f/tokenizer_config.json", first},
              {"f/special_tokens_map.json", second.empty() ? "{}" : second}};
    default:
      return {{"f/tokenizer.json", std::string(rest)}};
  }
}

}  // namespace

void tokenizers(std::string_view bytes) {
  using namespace gfsa::tokenizers;
  if (bytes.empty()) return;
  MemoryFiles files(files_of(bytes));
  std::shared_ptr<const Tokenizer> tokenizer;
  if (!accepts([&] { tokenizer = read_tokenizer("f", files); })) return;
  const std::string json = tokenizer->to_json();
  MemoryFiles again({{"f/tokenizer.json", json}});
  if (!accepts([&] {
        if (read_tokenizer("f", again)->to_json() != json) finding("another tokenizer from its own tokenizer.json");
      })) {
    finding("its own tokenizer.json is refused");
  }
  for (const std::string text : {"", "a ab!\n  AB", "[MASK]b<mask>", "e\u0301\u0323\u00e9 \u4e2d\uac01",
                                 "\U0001F469\u200D\U0001F467 \u3000x\u2581"}) {
    accepts([&] {
      for (const bool pair : {false, true}) {
        EncodeOptions options;
        options.max_length = 12;
        const Encoding e = pair ? tokenizer->encode_pair(text, "ba", options) : tokenizer->encode(text, options);
        if (e.ids.size() > 12 || e.offsets.size() != e.ids.size() || e.types.size() != e.ids.size()) finding("sizes");
        for (size_t i = 0; i < e.ids.size(); ++i) {
          if (e.ids[i] < 0 || e.ids[i] >= tokenizer->size()) finding("an id that does not exist");
          const auto [begin, end] = e.offsets[i];
          if (begin < 0 || end < begin || static_cast<size_t>(end) > std::max<size_t>(text.size(), 2))
            finding("offsets");
        }
        tokenizer->decode(e.ids, pair);
      }
    });
  }
}

}  // namespace gfsa::fuzz
