// source.h -- what the samples of every domain have in common. A domain adds get(i) with its own type of sample.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gfsa::data {

// Immutable and thread safe.
class Source {
 public:
  virtual ~Source() = default;
  virtual int64_t size() const = 0;
  // For messages: where sample i stands.
  virtual std::string sample_name(int64_t index) const = 0;
  // One line that changes when the data do: kind, size, a hash. Written to environment.json.
  virtual std::string fingerprint() const = 0;
};

// Names under which a split may be stored, in the order of preference: "val" stands for val, validation or test; every
// other name for itself.
std::vector<std::string> split_candidates(const std::string& split);

// Collects a fingerprint: XXH3, 64 bits.
class Fingerprint {
 public:
  Fingerprint();
  ~Fingerprint();
  Fingerprint(const Fingerprint&) = delete;
  Fingerprint& operator=(const Fingerprint&) = delete;
  void add(const void* data, size_t bytes);
  void add(const std::string& text);  // with its length
  void add(int64_t number) { add(&number, sizeof number); }
  std::string hex() const;

 private:
  void* state_;
};

}  // namespace gfsa::data
