#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/strings.h"
#include "fuzz/targets.h"

namespace gfsa::fuzz {

void finding(const std::string& what) {
  std::fprintf(stderr, "finding: %s\n", what.c_str());
  std::abort();
}

bool accepts(const std::function<void()>& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    if (error.exit_code() != kExitBadInput) finding("exit code 1: " + error.message());
    if (error.message().empty()) finding("an error without a message");
    if (!is_valid_utf8(error.message())) finding("a message that is not UTF-8: " + error.message());
    return false;
  } catch (const std::exception& error) {
    finding(std::string("not an Error: ") + error.what());
  }
}

}  // namespace gfsa::fuzz
