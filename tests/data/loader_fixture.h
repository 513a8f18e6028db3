// loader_fixture.h -- a BatchMaker without a domain: every value is a function of sample, epoch and position.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/philox.h"
#include "data/loader/loader.h"

namespace gfsa::data {

class NumberMaker : public BatchMaker {
 public:
  explicit NumberMaker(int64_t size) : size_(size) {}

  int64_t size() const override { return size_; }
  std::string sample_name(int64_t index) const override { return "number-" + std::to_string(index); }
  void allocate(Batch& batch, std::span<const SampleRef> samples) override {
    EXPECT_EQ(batch.size, static_cast<int64_t>(samples.size()));
    batch.set("index", Tensor::full({batch.size}, -1, DType::i64));
    batch.set("noise", Tensor::full({batch.size, 3}, -1, DType::f32));
    batch.scratch = std::make_shared<int>(7);
  }
  void fill(Batch& batch, int64_t slot, const SampleRef& sample) override {
    ++fills;
    if (slow) std::this_thread::sleep_for(std::chrono::microseconds(37 * (sample.index % 11)));
    if (broken.count(sample.index)) bad_input("cannot read {}", sample_name(sample.index));
    if (sample.index == bug) fail("a bug");
    batch.at("index").data<int64_t>()[slot] = sample.index;
    RandomSequence rng(RandomKey(5, "noise", static_cast<uint64_t>(batch.epoch)),
                       static_cast<uint32_t>(sample.position));
    for (int i = 0; i < 3; ++i) batch.at("noise").data<float>()[3 * slot + i] = static_cast<float>(rng.uniform());
  }
  void finish(Batch& batch) override {
    EXPECT_TRUE(batch.scratch);
    ++finishes;
    double sum = 0;
    for (float x : batch.at("noise").to_vector<float>()) sum += x;
    batch.set("sum", Tensor::full({}, sum, DType::f64));
  }

  std::set<int64_t> broken;
  int64_t bug = -1;
  bool slow = false;
  std::atomic<int> fills{0}, finishes{0};

 private:
  int64_t size_;
};

struct Seen {
  int64_t epoch, index;
  std::vector<int64_t> samples;
  std::vector<float> noise;
  double sum;
  bool operator==(const Seen&) const = default;
};

inline Seen seen(const Batch& batch) {
  EXPECT_FALSE(batch.scratch);
  return {batch.epoch, batch.index, batch.at("index").to_vector<int64_t>(), batch.at("noise").to_vector<float>(),
          batch.at("sum").item()};
}

inline std::vector<Seen> read_all(Loader& loader) {
  std::vector<Seen> out;
  while (auto batch = loader.next()) out.push_back(seen(*batch));
  return out;
}

inline LoaderConfig loader_config(int workers, int prefetch = 2, const std::string& on_error = "fail") {
  LoaderConfig c;
  c.workers = workers, c.prefetch = prefetch, c.on_error = on_error;
  return c;
}

inline std::string error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& e) {
    return e.message();
  }
  return "no error";
}

}  // namespace gfsa::data
