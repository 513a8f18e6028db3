// targets.h -- readers of untrusted bytes, one function each: it returns, or the reader is broken. Built as libFuzzer
// programs by scripts/fuzz.sh (fuzz_main.cpp); in the ordinary build corpus_test.cpp runs each over its corpus.
//
// Allowed is success, or an Error with exit code 2 and a message in UTF-8. Anything else is a finding: another
// exception, a crash, a sanitizer's report, a result that contradicts itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace gfsa::fuzz {

using Target = void (*)(std::string_view bytes);

// YAML; after a byte 0x1e an override. What loads must print and load again to the same.
void config(std::string_view bytes);
// A safetensors file: mapped, and streamed with its tensors.
void safetensors(std::string_view bytes);
void idx(std::string_view bytes);
// The first byte: which of CIFAR-10, CIFAR-100 and their files of names.
void cifar(std::string_view bytes);
// .tar, also packed.
void archive(std::string_view bytes);
// JPEG and PNG.
void image(std::string_view bytes);
// The first byte: state.json, manifest.json, a manifest whose checksum is made to fit.
void checkpoint(std::string_view bytes);
// The first byte: TSV, CSV or JSON lines, and how.
void table(std::string_view bytes);
// The first byte: v vocab.txt, m vocab.json and (behind 0x1e) merges.txt, s spiece.model, c tokenizer_config.json and
// special_tokens_map.json, else tokenizer.json. What reads must write a tokenizer.json that reads to the same, and cut
// texts.
void tokenizers(std::string_view bytes);

struct Named {
  const char* name;  // of the program fuzz_<name> and of the folder corpus/<name>
  Target run;
};
inline constexpr Named kTargets[] = {
    {"config", config}, {"safetensors", safetensors}, {"idx", idx},     {"cifar", cifar},          {"archive", archive},
    {"image", image},   {"checkpoint", checkpoint},   {"table", table}, {"tokenizers", tokenizers}};

// Runs `read`; whether it succeeded. Aborts on a finding.
bool accepts(const std::function<void()>& read);
// Aborts, saying what.
[[noreturn]] void finding(const std::string& what);

}  // namespace gfsa::fuzz
