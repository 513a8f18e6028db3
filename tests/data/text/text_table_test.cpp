#include "data/text/text_table.h"

#include <gmock/gmock.h>

#include "base/error.h"
#include "data/text/text_file.h"

namespace gfsa::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string refused(std::string_view text, const TableFormat& format, const std::vector<std::string>& wanted) {
  try {
    parse_table(text, "t", format, wanted);
  } catch (const Error& e) {
    return e.exit_code() == kExitBadInput ? e.message() : "not bad input: " + e.message();
  }
  return "";
}

TEST(TextTable, TsvTakesQuotesAsTheyAre) {
  const auto t = parse_table("a\tb\r\n\"x\t1\ny\"\"\t2\n", "t", {"tsv"}, {"b", "a"});
  ASSERT_EQ(t.rows.size(), 2u);
  EXPECT_THAT(t.rows[0].cells, ElementsAre("1", "\"x"));
  EXPECT_THAT(t.rows[1].cells, ElementsAre("2", "y\"\""));
  EXPECT_EQ(t.rows[1].line, 3);
}

TEST(TextTable, NamesOfAFileWithoutHeading) {
  const auto t = parse_table("gj04\t1\t\tThe book.\n", "t", {"tsv", {"source", "label", "star", "sentence"}},
                             {"sentence", "label"});
  EXPECT_THAT(t.rows.at(0).cells, ElementsAre("The book.", "1"));
}

TEST(TextTable, CsvFollowsRfc4180) {
  const auto t =
      parse_table("text,label\n\"a, \"\"b\"\"\nc\",1\nplain \"quote\",0\n\n", "t", {"csv"}, {"text", "label"});
  ASSERT_EQ(t.rows.size(), 2u);
  EXPECT_THAT(t.rows[0].cells, ElementsAre("a, \"b\"\nc", "1"));
  EXPECT_EQ(t.rows[0].line, 2);
  EXPECT_THAT(t.rows[1].cells, ElementsAre("plain \"quote\"", "0"));
  EXPECT_EQ(t.rows[1].line, 4);
}

TEST(TextTable, JsonLines) {
  const auto t =
      parse_table("{\"x\": \"a\\u00e9\", \"y\": 3}\n\n{\"y\": true, \"x\": 0.5}\n", "t", {"jsonl"}, {"x", "y"});
  EXPECT_THAT(t.rows.at(0).cells, ElementsAre("a\xC3\xA9", "3"));
  EXPECT_THAT(t.rows.at(1).cells, ElementsAre("0.5", "1"));
}

TEST(TextTable, ShortRowsAreLeftOutOnlyWhereThatIsAsked) {
  TableFormat format{"tsv"};
  format.skip_short_rows = true;
  const auto t = parse_table("a\tb\n1\n2\t3\n", "t", format, {"a"});
  EXPECT_EQ(t.rows.size(), 1u);
  EXPECT_EQ(t.skipped, 1);
  EXPECT_EQ(refused("a\tb\n1\t2\t3\n", format, {"a"}), "t:2: has 3 cells, expected 2: a, b");
}

TEST(TextTable, RefusesWithThePlace) {
  EXPECT_EQ(refused("", {"tsv"}, {"a"}), "t: is empty, expected a line with the names of the columns");
  EXPECT_EQ(refused("sentence\tlabel\n", {"tsv"}, {"sentense"}),
            "t:1: has no column 'sentense', but sentence, label; did you mean 'sentence'?");
  EXPECT_EQ(refused("a\tb\n1\t2\n3\n", {"tsv"}, {"a"}),
            "t:3: has 1 cells, expected 2: a, b; cells are separated by tabs (data.format: csv: by commas)");
  EXPECT_EQ(refused("a\tb\n\n1\t2\n", {"tsv"}, {"a"}), "t:2: an empty line, expected 2 cells");
  EXPECT_EQ(refused("a,b\n\"x\n", {"csv"}, {"a"}), "t:2: a quoted cell begins here and does not end");
  EXPECT_EQ(refused("a,b\n\"x\"y,1\n", {"csv"}, {"a"}),
            "t:2:4: 'y' behind a closing quote, expected a comma or the line's end");
  EXPECT_EQ(refused("{\"a\": 1}\n{\"a\": }\n", {"jsonl"}, {"a"}),
            "t:2:7: no JSON from here on, expected one object a line");
  EXPECT_EQ(refused("[1]\n", {"jsonl"}, {"a"}), "t:1: is array, expected a JSON object");
  EXPECT_EQ(refused("{\"a\": [1]}\n", {"jsonl"}, {"a"}), "t:1: 'a' is array, expected text or a number");
  EXPECT_EQ(refused("{\"x\": 1}\n", {"jsonl"}, {"label"}), "t:1: has no column 'label', but x");
  EXPECT_THAT(refused("a\nx\xFFy\n", {"tsv"}, {"a"}), HasSubstr("t:2:2: byte 0xFF is not UTF-8 here"));
  EXPECT_THAT(refused("a\nx\xC3\n", {"tsv"}, {"a"}), HasSubstr("t:2:2: byte 0xC3 is not UTF-8 here"));
  EXPECT_EQ(refused(std::string_view("a\nx\0\n", 5), {"tsv"}, {"a"}), "t:2:2: a byte 0, expected text");
  EXPECT_EQ(refused("a\n" + std::string(kLongestLine + 1, 'x'), {"tsv"}, {"a"}),
            "t:2: a line of 1.0 MiB, expected at most 1.0 MiB; is this a text file?");
}

TEST(LineReader, KnowsAllLineEnds) {
  LineReader lines("a\r\n\nb");
  TextLine line;
  std::vector<std::string> all;
  while (lines.next(line)) all.emplace_back(line.text);
  EXPECT_THAT(all, ElementsAre("a", "", "b"));
  EXPECT_EQ(line.number, 3);
}

}  // namespace
}  // namespace gfsa::data
