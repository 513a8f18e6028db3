// XXH3 against its published values; whole or in pieces.
#include "formats/checksum.h"

#include <gtest/gtest.h>
#include <malloc.h>

namespace gfsa {
namespace {

TEST(Checksum, GivesWhatXxhsumPrints) {
  EXPECT_EQ(checksum64(""), "2d06800538d394c2");
  EXPECT_EQ(checksum128(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(checksum64("abc"), "78af5f94892f3950");
  EXPECT_EQ(checksum128("abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(Checksum, PiecesGiveTheSameAsTheWhole) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 7 + i / 256);
  for (const size_t length : {0u, 1u, 16u, 17u, 240u, 241u, 1024u, 5000u}) {
    for (const size_t piece : {1u, 3u, 64u, 1000u}) {
      Checksum pieces;
      for (size_t i = 0; i < length; i += piece) pieces.update(text.substr(i, std::min(piece, length - i)));
      EXPECT_EQ(pieces.text64(), checksum64(text.substr(0, length))) << length << " " << piece;
      EXPECT_EQ(pieces.text128(), checksum128(text.substr(0, length))) << length << " " << piece;
    }
  }
}

TEST(Checksum, GivesItsMemoryBack) {
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 1000; ++i) Checksum().update("abc");
  EXPECT_LT(mallinfo2().uordblks, before + 100000);
}

}  // namespace
}  // namespace gfsa
