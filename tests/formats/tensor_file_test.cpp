// Tensors read through Env: converted, verified, each allocated once.
#include "formats/tensor_file.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "core/arena.h"
#include "formats/format_files.h"
#include "support/temporary_folder.h"

namespace gfsa {
namespace {

using test::bad_input_of;
using testing::HasSubstr;

constexpr int64_t kMany = 700'001;  // more than one piece of a read, in every dtype but the smallest

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

Tensor numbered(int64_t n, DType dtype) {
  Tensor t = Tensor::empty({n}, DType::f32);
  for (int64_t i = 0; i < n; ++i) t.data<float>()[i] = static_cast<float>(i % 1000) - 500;
  return t.to(dtype);
}

class TensorFileTest : public testing::Test {
 protected:
  test::TemporaryFolder folder_;
  Env& env_ = Env::real();
  std::string path_ = folder_ / "t.safetensors";
};

TEST_F(TensorFileTest, AnyTypeComesBackWithItsBits) {
  const NamedTensors tensors{{"a", numbered(kMany, DType::f32)},       {"b", numbered(kMany, DType::bf16)},
                             {"c", numbered(7, DType::f64)},           {"d", numbered(kMany, DType::i64)},
                             {"e", Tensor::zeros({0, 3}, DType::f32)}, {"f", Tensor::full({}, 3, DType::i32)}};
  const FileChecksums sums = write_tensors(env_, path_, tensors, {{"step", "3"}});
  for (const FileChecksums* expected : {static_cast<const FileChecksums*>(nullptr), &sums}) {
    const auto back = read_tensors(env_, path_, expected);
    ASSERT_EQ(back.size(), tensors.size());
    for (const auto& [name, tensor] : tensors) EXPECT_TRUE(same(back.at(name), tensor)) << name;
  }
}

TEST_F(TensorFileTest, WhatIsConvertedIsConvertedAcrossPieces) {
  std::vector<uint16_t> halves(kMany);
  std::vector<int8_t> bytes(2 * kMany);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(0x3c00 + i % 1024);  // 1 + m / 1024
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<int8_t>(i % 251 - 125);
  const auto raw = [](const auto& v) { return reinterpret_cast<const std::byte*>(v.data()); };
  const FileChecksums sums = write_safetensors(
      env_, path_,
      {{"h", {"F16", {kMany}, raw(halves), 2 * halves.size()}}, {"i", {"I8", {2 * kMany}, raw(bytes), bytes.size()}}});
  const auto back = read_tensors(env_, path_, &sums);
  const auto mapped = SafetensorsFile::open(path_);
  for (const char* name : {"h", "i"}) EXPECT_TRUE(same(back.at(name), to_tensor(mapped.at(name), name))) << name;
  EXPECT_EQ(back.at("h").data<float>()[kMany - 1], 1 + static_cast<float>((kMany - 1) % 1024) / 1024);
  EXPECT_EQ(back.at("i").data<int32_t>()[2 * kMany - 1], (2 * kMany - 1) % 251 - 125);
}

TEST(ToTensor, EveryHalfHasItsValue) {
  std::vector<uint16_t> halves(1 << 16);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  const Tensor t =
      to_tensor({"F16", {1 << 16}, reinterpret_cast<const std::byte*>(halves.data()), 2 * halves.size()}, "t");
  const float* got = t.data<float>();
  for (int i = 0; i < 1 << 16; ++i) {
    // IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 bits of fraction.
    const int exponent = i >> 10 & 31, fraction = i & 1023;
    const double size =
        exponent == 0 ? fraction * std::pow(2.0, -24) : (1 + fraction / 1024.0) * std::pow(2.0, exponent - 15);
    if (exponent == 31 && fraction != 0) {
      ASSERT_TRUE(std::isnan(got[i])) << i;
    } else {
      const double expected = exponent == 31 ? std::numeric_limits<double>::infinity() : size;
      ASSERT_EQ(got[i], i >> 15 ? -expected : expected) << i;
    }
    ASSERT_EQ(std::signbit(got[i]) || std::isnan(got[i]), i >> 15 == 1 || std::isnan(got[i])) << i;
  }
}

TEST(ToTensor, SmallIntegersAreWidened) {
  const std::vector<int16_t> shorts{-32768, -1, 0, 32767};
  const std::vector<int8_t> bytes{-128, 127, 5};
  const Tensor s = to_tensor({"I16", {2, 2}, reinterpret_cast<const std::byte*>(shorts.data()), 8}, "s");
  const Tensor b = to_tensor({"I8", {3}, reinterpret_cast<const std::byte*>(bytes.data()), 3}, "b");
  EXPECT_EQ(s.dtype(), DType::i32);
  EXPECT_EQ(s.to_vector<double>(), (std::vector<double>{-32768, -1, 0, 32767}));
  EXPECT_EQ(b.to_vector<double>(), (std::vector<double>{-128, 127, 5}));
}

TEST_F(TensorFileTest, ChecksumsAreThoseOfTheFile) {
  const FileChecksums sums = write_tensors(env_, path_, {{"w", numbered(kMany, DType::f32)}});
  const std::string content = env_.read(path_);
  EXPECT_EQ(sums.bytes, content.size());
  EXPECT_EQ(sums.xxh3_128, checksum128(content));
  EXPECT_EQ(sums.header_xxh3_64, checksum64(content.substr(0, sums.header_bytes)));
  ASSERT_EQ(sums.tensors_xxh3_64.size(), 1u);
  EXPECT_EQ(sums.tensors_xxh3_64[0], std::pair(std::string("w"), checksum64(content.substr(sums.header_bytes))));
}

TEST_F(TensorFileTest, MemoryIsTakenOnce) {
  const FileChecksums sums = write_tensors(env_, path_, {{"w", Tensor::zeros({1 << 21}, DType::f32)}});
  arena({}).reset_peak();
  const uint64_t before = arena({}).figures().current;
  const auto back = read_tensors(env_, path_, &sums);
  EXPECT_LE(arena({}).figures().peak - before, back.at("w").bytes() + 4096);
}

TEST_F(TensorFileTest, DamageIsNamed) {
  const FileChecksums sums =
      write_tensors(env_, path_, {{"first", numbered(1000, DType::f32)}, {"second", numbered(kMany, DType::f32)}});
  const std::string good = env_.read(path_);
  const auto with = [&](size_t byte, char change) {
    std::string bad = good;
    bad[byte] = static_cast<char>(bad[byte] ^ change);
    env_.write(path_, bad);
    return bad_input_of([&] { read_tensors(env_, path_, &sums); });
  };
  EXPECT_THAT(with(0, 1), HasSubstr(path_ + ": header: damaged: its length is "));
  EXPECT_THAT(with(7, 64), HasSubstr(path_ + ": header: damaged: its length is "));
  EXPECT_THAT(with(20, 1), HasSubstr(path_ + ": header: damaged: its checksum is "));
  EXPECT_THAT(with(sums.header_bytes, 1), HasSubstr(path_ + ": tensor 'first': damaged: its checksum is "));
  EXPECT_THAT(with(good.size() - 1, 64), HasSubstr(path_ + ": tensor 'second': damaged: its checksum is "));
  env_.write(path_, good.substr(0, good.size() - 1));
  EXPECT_THAT(bad_input_of([&] { read_tensors(env_, path_, &sums); }), HasSubstr("damaged: has "));
  env_.write(path_, good);
  FileChecksums other = sums;
  other.tensors_xxh3_64.pop_back();
  EXPECT_THAT(bad_input_of([&] { read_tensors(env_, path_, &other); }), HasSubstr("there is no checksum for it"));
  other = sums;
  other.xxh3_128[0] = other.xxh3_128[0] == '0' ? '1' : '0';
  EXPECT_THAT(bad_input_of([&] { read_tensors(env_, path_, &other); }), HasSubstr(path_ + ": damaged: its checksum"));
}

TEST_F(TensorFileTest, NothingIsGivenAwayBeforeItsChecksumFits) {
  const FileChecksums sums =
      write_tensors(env_, path_, {{"first", numbered(10, DType::f32)}, {"second", numbered(10, DType::f32)}});
  std::string bad = env_.read(path_);
  bad.back() = static_cast<char>(bad.back() ^ 1);
  env_.write(path_, bad);
  std::vector<std::string> taken;
  bad_input_of([&] {
    for_each_tensor(env_, path_, &sums, [&](const std::string& name, const Tensor&) { taken.push_back(name); });
  });
  EXPECT_EQ(taken, std::vector<std::string>{"first"});
}

}  // namespace
}  // namespace gfsa
