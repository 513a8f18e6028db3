// bad_input.h -- the table of broken inputs: what a user may hand in, the one message that comes back, exit code 2,
// nothing left behind. Each file of this folder holds the cases of one kind of input; bad_input_test.cpp runs them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gfsa::bad_input_test {

struct Case {
  std::string name;
  // Hands the input to the code that a user reaches; `folder` is the case's own. Throws Error.
  std::function<void(const std::string& folder)> use;
  // All of the message; DIR stands for the folder, HASH for a checksum.
  std::string message;
};
using Cases = std::vector<Case>;

Cases yaml_file_cases();
Cases yaml_syntax_cases();
Cases value_cases();
Cases model_cases();
Cases picture_cases();
Cases archive_cases();
Cases safetensors_cases();
Cases weight_cases();
Cases data_set_cases();
Cases checkpoint_cases();
Cases text_cases();

// Like Case, but the input must work.
struct GoodCase {
  std::string name;
  std::function<void(const std::string& folder)> use;
};
std::vector<GoodCase> good_picture_cases();

// The configuration that the YAML cases start from: trains one step in milliseconds. Its sections stand one a line.
extern const char* const kBase;
// kBase after `lines`, which push it down.
std::string before_base(const std::string& lines);
// kBase with the line of `section` replaced: line numbers stay.
std::string base_with(const std::string& section, const std::string& line);

// What gfsa-train does with a YAML file, in this process: load, check, build, train. The run directory is
// folder/run. "DIR" in text and overrides stands for the folder.
void train(const std::string& folder, const std::string& yaml, const std::vector<std::string>& overrides = {});
// The same, as Case::use.
std::function<void(const std::string&)> yaml(std::string text, std::vector<std::string> overrides = {});

// Writes below the folder, making folders.
void write(const std::string& path, std::string_view content);
// A file of tests/golden.
std::string golden(const std::string& name);

// Parts of files.
std::string big_endian(uint32_t value);
std::string safetensors(const std::string& header, const std::string& data);
// A tar member: header and data in whole blocks. size: what the header says, if it lies.
std::string tar_member(const std::string& name, const std::string& content, char type = '0',
                       const std::string& link = "", int64_t size = -1);
std::string tar_end();
// A PNG file's header chunk with other sizes, depth and colour type (-1: as they are), checksum right.
std::string png_with_header(std::string png, uint32_t width, uint32_t height, int depth = -1, int color = -1);
// A JPEG file's frame header with other sizes and number of components (-1: as it is).
std::string jpeg_with_frame(std::string jpeg, int width, int height, int components = -1);
std::string gzip(const std::string& content);

}  // namespace gfsa::bad_input_test
