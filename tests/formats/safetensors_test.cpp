#include "formats/safetensors.h"

#include <cstring>

#include "formats/format_files.h"
#include "formats/safetensors_layout.h"

namespace gfsa {
namespace {

using test::bad_input_of;
using test::golden;

std::string file_of(const std::string& header, size_t data_bytes) {
  const uint64_t n = header.size();
  std::string out(reinterpret_cast<const char*>(&n), sizeof n);
  return out + header + std::string(data_bytes, 'd');
}

void parse(const std::string& content) { SafetensorsFile::parse(content, "f"); }
std::string error_of(const std::string& header, size_t data_bytes) {
  return bad_input_of([&] { parse(file_of(header, data_bytes)); });
}

template <class T>
std::vector<T> values_of(const TensorBytes& tensor) {
  std::vector<T> values(tensor.bytes / sizeof(T));
  std::memcpy(values.data(), tensor.data, tensor.bytes);
  return values;
}

template <class T>
TensorBytes bytes_of(const std::string& dtype, const std::vector<int64_t>& shape, const std::vector<T>& values) {
  return {dtype, shape, reinterpret_cast<const std::byte*>(values.data()), values.size() * sizeof(T)};
}

TEST(Safetensors, ReadsTheReferenceImplementationsFiles) {
  const auto file = SafetensorsFile::open(test::golden_path("safetensors/all_dtypes.safetensors"));
  EXPECT_EQ(file.names().size(), 13u);
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"note", "line\nbreak \xC3\xBC"}}));
  EXPECT_EQ(values_of<double>(file.at("f64")), (std::vector<double>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of<float>(file.at("f32")), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of<uint16_t>(file.at("f16")), (std::vector<uint16_t>{0, 0x3C00, 0x4000, 0x4200, 0x4400, 0x4500}));
  EXPECT_EQ(values_of<uint16_t>(file.at("bf16")), (std::vector<uint16_t>{0, 0x3F80, 0x4000, 0x4040, 0x4080, 0x40A0}));
  EXPECT_EQ(values_of<int64_t>(file.at("i64")), (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of<int32_t>(file.at("i32")), (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of<int16_t>(file.at("i16")), (std::vector<int16_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of<int8_t>(file.at("i8")), (std::vector<int8_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of<uint8_t>(file.at("u8")), (std::vector<uint8_t>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values_of<uint8_t>(file.at("bool")), (std::vector<uint8_t>{1, 0, 1}));
  EXPECT_EQ(file.at("bf16").dtype, "BF16");
  EXPECT_EQ(file.at("bf16").shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.at("scalar").shape, std::vector<int64_t>{});
  EXPECT_EQ(values_of<float>(file.at("scalar")), std::vector<float>{1.5f});
  EXPECT_EQ(file.at("empty").shape, (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(file.at("empty").bytes, 0u);
  EXPECT_EQ(values_of<uint8_t>(file.at("quote\"and\\slash \xC3\xA9")), std::vector<uint8_t>{7});
  EXPECT_TRUE(SafetensorsFile::open(test::golden_path("safetensors/no_tensors.safetensors")).names().empty());
}

TEST(Safetensors, WritesWhatItReads) {
  const std::vector<uint8_t> small{1, 2, 3};
  const std::vector<float> floats{0.5f, -1, 2, 3e9f};
  const std::vector<int64_t> longs{-7, INT64_MAX};
  const std::vector<uint16_t> halves{1, 2, 3};
  const std::map<std::string, std::string> metadata{{"step", "12"}, {"quote", "\"\n\\"}};
  const std::string path = test::test_path("w.safetensors");
  write_safetensors(Env::real(), path,
                    {{"z.small", bytes_of("U8", {3}, small)},
                     {"a", bytes_of("F32", {2, 2}, floats)},
                     {"long", bytes_of("I64", {2, 1}, longs)},
                     {"half", bytes_of("F16", {3}, halves)},
                     {"none", {"F64", {3, 0}, nullptr, 0}},
                     {"scalar", {"F32", {}, reinterpret_cast<const std::byte*>(floats.data() + 1), 4}}},
                    metadata);
  const auto file = SafetensorsFile::open(path);
  EXPECT_EQ(file.names(), (std::vector<std::string>{"z.small", "a", "long", "half", "none", "scalar"}));
  EXPECT_EQ(file.metadata(), metadata);
  EXPECT_EQ(values_of<uint8_t>(file.at("z.small")), small);
  EXPECT_EQ(values_of<float>(file.at("a")), floats);
  EXPECT_EQ(values_of<int64_t>(file.at("long")), longs);
  EXPECT_EQ(values_of<uint16_t>(file.at("half")), halves);
  EXPECT_EQ(values_of<float>(file.at("scalar")), std::vector<float>{-1});
  EXPECT_EQ(file.at("none").shape, (std::vector<int64_t>{3, 0}));
  for (const std::string& name : file.names()) {
    const auto address = reinterpret_cast<uintptr_t>(file.at(name).data);
    EXPECT_EQ(address % safetensors_element_bytes(file.at(name).dtype), 0u) << name;
  }
  const std::string content = Env::real().read(path);
  uint64_t header = 0;
  std::memcpy(&header, content.data(), sizeof header);
  EXPECT_EQ(header % 8, 0u);

  const auto moved = [](SafetensorsFile f) { return f; }(SafetensorsFile::parse(content, "memory"));
  EXPECT_EQ(values_of<float>(moved.at("a")), floats);
  EXPECT_TRUE(moved.contains("half"));
  EXPECT_FALSE(moved.contains("halv"));
  EXPECT_EQ(bad_input_of([&] { moved.at("smal"); }).rfind("memory: no tensor 'smal' among 6", 0), 0u);
}

TEST(Safetensors, HeadersOfAnyLengthArePadded) {
  const std::vector<uint8_t> byte{7};
  const std::string path = test::test_path("padded.safetensors");
  for (size_t length = 1; length <= 8; ++length) {
    write_safetensors(Env::real(), path, {{std::string(length, 'x'), bytes_of("U8", {1}, byte)}});
    uint64_t header = 0;
    std::memcpy(&header, Env::real().read(path).data(), sizeof header);
    EXPECT_EQ(header % 8, 0u) << length;
  }
}

TEST(Safetensors, RefusesMalformedFilesByName) {
  struct Case {
    std::string header;
    size_t data_bytes;
    std::string message;
  };
  const auto tensor = [](const std::string& name, const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  };
  const Case table[] = {
      {"", 0, "f: not a safetensors file: the header does not start with '{'"},
      {" {}", 0, "f: not a safetensors file: the header does not start with '{'"},
      {"{\"a\":", 0, "f: the header is not valid JSON at its byte 6"},
      {"{} x", 0, "f: the header is not valid JSON at its byte 4"},
      {"{\"\xFF\":{}}", 0, "f: the header is not valid JSON at its byte 3"},
      {"{\"a\":3}", 0, "f: tensor 'a': is 3, expected an object"},
      {"{\"a\":[]}", 0, "f: tensor 'a': is an array, expected an object"},
      {"{\"a\":{}}", 0, "f: tensor 'a': 'dtype' is missing"},
      {R"({"a":{"dtype":"F32","shape":[]}})", 0, "f: tensor 'a': 'data_offsets' is missing"},
      {R"({"a":{"dtype":1}})", 0, "f: tensor 'a': 'dtype' is 1, expected a string"},
      {R"({"a":{"dtype":[0,4]}})", 0, "f: tensor 'a': 'dtype' is an array, expected a string"},
      {R"({"a":{"dtype":"F32","data_offsets":[[0,4]]}})", 0,
       "f: tensor 'a': 'data_offsets' holds an array, expected whole numbers from 0"},
      {R"({"a":{"dtype":"F32","shape":"x"}})", 0, "f: tensor 'a': 'shape' is the string \"x\", expected an array"},
      {R"({"a":{"dtype":"F32","shape":[-1]}})", 0, "f: tensor 'a': 'shape' holds -1, expected whole numbers from 0"},
      {R"({"a":{"dtype":"F32","shape":[1.5]}})", 0, "f: tensor 'a': 'shape' holds 1.5, expected whole numbers from 0"},
      {R"({"a":{"dtype":"F32","shape":[[1]]}})", 0,
       "f: tensor 'a': 'shape' holds an array, expected whole numbers from 0"},
      {R"({"a":{"dtype":"F32","strides":[1]}})", 0,
       "f: tensor 'a': unknown key 'strides', expected dtype, shape and data_offsets"},
      {R"({"a":{"dtype":"F32","dtype":"F32"}})", 0, "f: tensor 'a': key 'dtype' is there twice"},
      {"{" + tensor("a", "F32", "[1]", "[0]") + "}", 4,
       "f: tensor 'a': data_offsets are [0], expected [begin, end] with begin <= end"},
      {"{" + tensor("a", "F32", "[1]", "[4,0]") + "}", 4,
       "f: tensor 'a': data_offsets are [4, 0], expected [begin, end] with begin <= end"},
      {"{" + tensor("a", "F31", "[1]", "[0,4]") + "}", 4,
       "f: tensor 'a': dtype 'F31' is not known, expected F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL"},
      {"{" + tensor("a", "F32", "[2]", "[0,8]") + "}", 4,
       "f: tensor 'a': ends at byte 8 of the data, but the file has 4: truncated?"},
      {"{" + tensor("a", "F32", "[2,3]", "[0,20]") + "}", 20,
       "f: tensor 'a': F32 of shape [2, 3] takes 24 bytes, but data_offsets [0, 20] hold 20"},
      {"{" + tensor("a", "F32", "[4294967296,4294967296]", "[0,4]") + "}", 4,
       "f: tensor 'a': shape [4294967296, 4294967296] is too large"},
      {"{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("a", "F32", "[1]", "[4,8]") + "}", 8,
       "f: tensor 'a' is in the header twice"},
      {"{" + tensor("a", "F32", "[2]", "[0,8]") + "," + tensor("b", "F32", "[1]", "[4,8]") + "}", 8,
       "f: tensor 'b': begins at byte 4, inside of tensor 'a', which ends at 8"},
      {"{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("b", "F32", "[1]", "[8,12]") + "}", 12,
       "f: tensor 'b': begins at byte 8, but the data before it ends at 4: a hole"},
      {"{" + tensor("a", "F32", "[1]", "[4,8]") + "}", 8,
       "f: tensor 'a': begins at byte 4, but the data before it ends at 0: a hole"},
      {"{" + tensor("a", "F32", "[1]", "[0,4]") + "}", 6, "f: 2 bytes follow the last tensor, expected none"},
      {"{}", 1, "f: 1 bytes follow the last tensor, expected none"},
      {R"({"__metadata__":{"a":1}})", 0, "f: __metadata__: 'a' is 1, expected a string"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", 0, "f: __metadata__: key 'a' is there twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", 0, "f: tensor '__metadata__' is in the header twice"},
  };
  for (const Case& c : table) EXPECT_EQ(error_of(c.header, c.data_bytes), c.message) << c.header;
  EXPECT_EQ(error_of("{" + tensor("a", "F32", "[1]", "[0,4]") + "}  ", 4), "");

  EXPECT_EQ(bad_input_of([] { parse("abc"); }), "f: has 3 bytes, expected a safetensors file (at least 8)");
  EXPECT_EQ(bad_input_of([] { parse(std::string("\x10\0\0\0\0\0\0\0{}", 10)); }),
            "f: truncated: header of 16 bytes in a file of 10");
  EXPECT_EQ(bad_input_of([] { parse(std::string(8, '\xFF') + "{}"); }),
            "f: not a safetensors file: header of 18446744073709551615 bytes, expected at most 100000000");
  EXPECT_EQ(bad_input_of([] { SafetensorsFile::open("/no/such.safetensors"); }),
            "/no/such.safetensors: cannot be read: No such file or directory");
  EXPECT_EQ(bad_input_of([] { SafetensorsFile::open("/"); }), "/: is a folder, expected a file");
}

TEST(Safetensors, AHeaderMustFitIntoItsFile) {
  const uint64_t header = 10;
  EXPECT_EQ(safetensors_header_bytes(&header, 8 + header, "f"), header);
  for (uint64_t size = 8; size < 8 + header; ++size) {
    EXPECT_EQ(bad_input_of([&] { safetensors_header_bytes(&header, size, "f"); }),
              fmt::format("f: truncated: header of 10 bytes in a file of {}", size));
  }
}

TEST(Safetensors, SurvivesDeepNesting) {
  std::string header = "{\"a\":";
  header += std::string(1'000'000, '[');
  EXPECT_EQ(error_of(header, 0), "f: tensor 'a': is an array, expected an object");
}

TEST(Safetensors, RefusesEveryTruncation) {
  test::expect_truncations_refused(golden("safetensors/all_dtypes.safetensors"), parse);
  test::expect_truncations_refused(
      golden("safetensors/all_dtypes.safetensors"),
      [](const std::string& content) { SafetensorsFile::open(test::write_test_file("t.safetensors", content)); }, 101);
}

TEST(Safetensors, SurvivesDamage) {
  EXPECT_GT(test::try_damaged(golden("safetensors/all_dtypes.safetensors"), 500, parse), 100);
}

TEST(Safetensors, RefusesToWriteNonsense) {
  const std::vector<float> two{1, 2};
  const std::string path = test::test_path("n.safetensors");
  const auto error_writing = [&](const std::vector<NamedTensorBytes>& tensors) -> std::string {
    try {
      write_safetensors(Env::real(), path, tensors);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_code(), kExitFailed);
      return error.message().substr(path.size());
    }
    return "";
  };
  const TensorBytes good = bytes_of("F32", {2}, two);
  EXPECT_EQ(error_writing({{"a", good}, {"a", good}}), ": two tensors named 'a'");
  EXPECT_EQ(error_writing({{"", good}}), ": '' cannot be a tensor's name");
  EXPECT_EQ(error_writing({{"__metadata__", good}}), ": '__metadata__' cannot be a tensor's name");
  EXPECT_EQ(error_writing({{"a", bytes_of("F32", {3}, two)}}), ": tensor 'a': 8 bytes given for F32 of shape [3]");
  EXPECT_EQ(error_writing({{"a", bytes_of("F23", {2}, two)}}),
            ": tensor 'a': dtype 'F23' is not one of F64, F32, F16, BF16, I64, I32, I16, I8, U8 or BOOL");
  EXPECT_FALSE(Env::real().exists(path));
}

}  // namespace
}  // namespace gfsa
