// What scripts/golden/tokenizers.py and scripts/peers/tokenizers_benchmark.py run to compare with Hugging Face's
// tokenizers. Texts come as records: u32 bytes, text. Numbers are little-endian.
//
//   tokenizers_driver encode TOKENIZER TEXTS OUT [MAX_LENGTH] [pair]
//   tokenizers_driver serve TOKENIZER TEXTS     a pass over all texts for each line on stdin; prints its seconds
//   tokenizers_driver train KIND SIZE MIN_FREQUENCY LOWERCASE TEXTS OUT.json
//   tokenizers_driver json TOKENIZER OUT.json
//   tokenizers_driver unassigned                code points that ICU does not know
#include <unicode/uchar.h>

#include <cstring>
#include <iostream>

#include "base/env.h"
#include "base/error.h"
#include "tokenizers/tokenizer.h"
#include "tokenizers/train.h"

namespace {

using namespace gfsa;
using namespace gfsa::tokenizers;

std::vector<std::string> read_texts(const std::string& path) {
  const std::string bytes = Env::real().read(path);
  std::vector<std::string> texts;
  for (size_t at = 0; at + 4 <= bytes.size();) {
    uint32_t size;
    std::memcpy(&size, bytes.data() + at, 4);
    texts.push_back(bytes.substr(at + 4, size));
    at += 4 + size;
  }
  return texts;
}

void put(std::string& out, int64_t number) {
  const auto small = static_cast<int32_t>(number);
  out.append(reinterpret_cast<const char*>(&small), 4);
}

void put(std::string& out, const std::string& text) {
  put(out, static_cast<int64_t>(text.size()));
  out += text;
}

void encode(const std::vector<std::string>& arguments) {
  const auto tokenizer = read_tokenizer(arguments[0]);
  const auto texts = read_texts(arguments[1]);
  EncodeOptions options;
  if (arguments.size() > 3 && std::stoll(arguments[3]) >= 0) options.max_length = std::stoll(arguments[3]);
  const bool pair = arguments.size() > 4;
  std::string out;
  for (size_t i = 0; i < texts.size(); i += pair ? 2 : 1) {
    const Encoding e =
        pair ? tokenizer->encode_pair(texts[i], texts[i + 1], options) : tokenizer->encode(texts[i], options);
    put(out, static_cast<int64_t>(e.ids.size()));
    for (size_t k = 0; k < e.ids.size(); ++k) {
      put(out, e.ids[k]);
      put(out, e.types[k]);
      put(out, e.offsets[k].first);
      put(out, e.offsets[k].second);
      put(out, e.special[k]);
    }
    put(out, tokenizer->decode(e.ids, true));
    put(out, tokenizer->decode(e.ids, false));
  }
  Env::real().write(arguments[2], out);
}

void serve(const std::vector<std::string>& arguments) {
  const auto tokenizer = read_tokenizer(arguments[0]);
  const auto texts = read_texts(arguments[1]);
  std::cout << "ready" << std::endl;
  for (std::string line; std::getline(std::cin, line);) {
    size_t tokens = 0;
    const double start = monotonic_seconds();
    for (const auto& text : texts) tokens += tokenizer->encode(text).ids.size();
    std::cout << monotonic_seconds() - start << " " << tokens << std::endl;
  }
}

void train(const std::vector<std::string>& arguments) {
  TrainOptions options;
  options.kind = arguments[0];
  options.vocabulary = std::stoll(arguments[1]);
  options.min_frequency = std::stoll(arguments[2]);
  options.lowercase = arguments[3] == "1";
  const auto texts = read_texts(arguments[4]);
  const double start = monotonic_seconds();
  const auto tokenizer = train_tokenizer(
      [&](const std::function<void(std::string_view)>& see) {
        for (const auto& text : texts) see(text);
      },
      options);
  std::cout << monotonic_seconds() - start << std::endl;
  Env::real().write(arguments[5], tokenizer->to_json());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string command = arguments.empty() ? "" : arguments[0];
  const std::vector<std::string> rest(arguments.begin() + !arguments.empty(), arguments.end());
  try {
    if (command == "encode" && rest.size() >= 3) {
      encode(rest);
    } else if (command == "serve" && rest.size() == 2) {
      serve(rest);
    } else if (command == "train" && rest.size() == 6) {
      train(rest);
    } else if (command == "json" && rest.size() == 2) {
      Env::real().write(rest[1], read_tokenizer(rest[0])->to_json());
    } else if (command == "unassigned") {
      for (UChar32 c = 0; c < 0x110000; ++c) {
        if (u_charType(c) == U_UNASSIGNED) std::cout << c << "\n";
      }
    } else {
      std::cerr << "scripts/peers/tokenizers_driver.cpp says what to give\n";
      return kExitBadInput;
    }
  } catch (const Error& error) {
    std::cerr << error.message() << "\n";
    return error.exit_code();
  }
  return 0;
}
