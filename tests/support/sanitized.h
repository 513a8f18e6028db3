// sanitized.h -- which sanitizer this program was built with, for tests of what a sanitizer changes.
#pragma once

namespace gfsa::test {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr const char* kSanitizer = "AddressSanitizer";
#elif defined(__SANITIZE_THREAD__)
inline constexpr const char* kSanitizer = "ThreadSanitizer";
#else
inline constexpr const char* kSanitizer = nullptr;
#endif

}  // namespace gfsa::test
