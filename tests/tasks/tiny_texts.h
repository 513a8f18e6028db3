// tiny_texts.h -- tables and running text that small models learn from in a second.
#pragma once

#include <string>

#include "base/env.h"
#include "core/philox.h"

namespace gfsa::tasks {

// Texts of 2 to 14 words; the class is whether "good" or "bad" occurs, the score how often any of the two does.
inline std::string tiny_table(int rows, uint64_t seed, bool scores = false) {
  static const char* kWords[] = {"the", "film", "was", "a", "rather", "long", "story", "of", "two", "friends"};
  std::string out = scores ? "text\tscore\n" : "text\tlabel\n";
  for (int i = 0; i < rows; ++i) {
    RandomSequence rng(RandomKey(seed, "tiny_table"), static_cast<uint32_t>(i));
    const bool good = rng.below(2) == 1;
    const uint64_t words = 2 + rng.below(13), times = 1 + rng.below(2);
    std::string text;
    for (uint64_t w = 0; w < words; ++w) {
      const bool telling = w == words / 2 || (times == 2 && w == 0);
      text += (w > 0 ? " " : "") + std::string(telling ? (good ? "good" : "bad") : kWords[rng.below(10)]);
    }
    out += text + '\t' + (scores ? std::to_string(good ? times : 0) : good ? "pos" : "neg") + '\n';
  }
  return out;
}

// Sentences with a strict grammar: what comes next is mostly certain.
inline std::string tiny_corpus(int lines, uint64_t seed) {
  static const char *kWho[] = {"the cat", "a dog", "my friend", "one bird"},
                    *kDoes[] = {"sees", "likes", "follows", "calls"};
  std::string out;
  for (int i = 0; i < lines; ++i) {
    RandomSequence rng(RandomKey(seed, "tiny_corpus"), static_cast<uint32_t>(i));
    const char* who = kWho[rng.below(4)];
    const char* does = kDoes[rng.below(4)];
    out += std::string(who) + " " + does + " " + kWho[rng.below(4)] + " .\n";
  }
  return out;
}

inline void write_tiny_texts(const std::string& folder) {
  Env& env = Env::real();
  env.create_directories(folder);
  env.write(folder + "/train.tsv", tiny_table(120, 1));
  env.write(folder + "/val.tsv", tiny_table(70, 2));
  env.write(folder + "/train_scores.tsv", tiny_table(120, 1, true));
  env.write(folder + "/val_scores.tsv", tiny_table(70, 2, true));
  env.write(folder + "/test.tsv", "text\na good film\na bad film\n");
  env.write(folder + "/train.txt", tiny_corpus(200, 1));
  env.write(folder + "/valid.txt", tiny_corpus(40, 2));
  env.write(folder + "/test.txt", tiny_corpus(20, 3));
}

inline const std::string kTinyClassifier = R"(
task: text_classification
model: {name: bert, width: 32, heads: 2, depth: 2, mlp_width: 64, positions: 32, dropout: 0}
attention: {variant: gfsa, K: 3, wK_init: 0.2}
tokenizer: {kind: wordpiece, vocabulary: 200}
data: {source: table, path: DATA, labels: [neg, pos], max_length: 24, workers: 0}
optimizer: {name: adamw, lr: 2e-3}
train: {epochs: 6, batch_size: 16}
threads: 1
)";

inline const std::string kTinyGpt = R"(
task: language_modelling
model: {name: gpt2, width: 32, heads: 2, depth: 2, positions: 64, dropout: 0.1}
attention: {variant: gfsa, K: 3}
tokenizer: {kind: byte_bpe, vocabulary: 300}
data: {path: DATA, block: 32, workers: 1}
optimizer: {name: adamw, lr: 3e-3}
train: {epochs: 3, batch_size: 4, accumulate: 2, log_every: 1, ema: {decay: 0.9}}
threads: 1
)";

inline std::string with_data(std::string config, const std::string& folder) {
  return config.replace(config.find("DATA"), 4, folder);
}

}  // namespace gfsa::tasks
