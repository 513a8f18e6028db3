// Batches of texts with labels, the order by length, and blocks of language models.
#include <gmock/gmock.h>

#include <numeric>
#include <set>

#include "data/text/language_blocks.h"
#include "data/text/length_order.h"
#include "data/text/masked_blocks.h"
#include "data/text/text_dataset.h"
#include "data/text/word_tokenizer.h"
#include "support/temporary_folder.h"

namespace gfsa::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const WordTokenizer kWords({"a", "b", "c", "d", "e", "\n"});  // 5 .. 10

std::shared_ptr<const TextSource> pairs() {
  MemoryTexts::Options options;
  options.path = "t";
  options.pairs = true;
  options.class_names = {"no", "yes"};
  return std::make_shared<MemoryTexts>(
      options, std::vector<TextSample>{{"a b c", "d", 1}, {"e", "e", 0}, {"a a a a a a a a", "b b", 1}},
      std::vector<int64_t>{2, 3, 4});
}

Batch batch_of(BatchMaker& maker, const std::vector<int64_t>& indices, int64_t epoch = 0) {
  std::vector<SampleRef> refs;
  for (const int64_t i : indices) refs.push_back({i, 0, static_cast<uint64_t>(i)});
  Batch batch;
  batch.size = static_cast<int64_t>(refs.size());
  batch.epoch = epoch;
  maker.allocate(batch, refs);
  for (int64_t i = 0; i < batch.size; ++i) maker.fill(batch, i, refs[static_cast<size_t>(i)]);
  maker.finish(batch);
  return batch;
}

std::vector<int64_t> values(const Batch& batch, const std::string& name) { return batch.at(name).to_vector<int64_t>(); }

TEST(TextDataset, PadsToTheLongestOfTheBatch) {
  TextDataset set(pairs(), kWords, {.max_length = 8});
  const Batch batch = batch_of(set, {1, 0});
  EXPECT_EQ(batch.at("ids").shape(), (Shape{2, 7}));
  EXPECT_THAT(values(batch, "ids"), ElementsAre(2, 9, 3, 9, 3, 0, 0, 2, 5, 6, 7, 3, 8, 3));
  EXPECT_THAT(values(batch, "segments"), ElementsAre(0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_THAT(values(batch, "lengths"), ElementsAre(5, 7));
  EXPECT_THAT(values(batch, "labels"), ElementsAre(0, 1));
  EXPECT_THAT(values(batch, "sample_ids"), ElementsAre(1, 0));
  EXPECT_EQ(set.largest_sample(), 2);  // cut to 8, still the longest
  EXPECT_EQ(set.texts().length(2), 8);
}

TEST(TextDataset, PacksSideBySide) {
  TextDataset set(pairs(), kWords, {.max_length = 8, .packed = true});
  const Batch batch = batch_of(set, {1, 0});
  EXPECT_THAT(values(batch, "ids"), ElementsAre(2, 9, 3, 9, 3, 2, 5, 6, 7, 3, 8, 3));
  EXPECT_THAT(values(batch, "segments"), ElementsAre(0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_THAT(values(batch, "positions"), ElementsAre(0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6));
  EXPECT_THAT(values(batch, "offsets"), ElementsAre(0, 5, 12));
  EXPECT_FALSE(batch.has("lengths"));
}

TEST(TextDataset, ScoresAreNumbers) {
  MemoryTexts::Options options;
  TextSample sample{"a", ""};
  sample.score = 2.5;
  TextDataset set(std::make_shared<MemoryTexts>(options, std::vector<TextSample>{sample}, std::vector<int64_t>{1}),
                  kWords, {});
  const Batch batch = batch_of(set, {0});
  EXPECT_EQ(batch.at("labels").to_vector<float>(), std::vector<float>{2.5f});
  EXPECT_FALSE(batch.has("segments"));
}

TEST(LengthOrder, IsAPermutationInBatchesOfAlikeLengths) {
  std::vector<int64_t> lengths(1003);
  for (size_t i = 0; i < lengths.size(); ++i) lengths[i] = static_cast<int64_t>(i * 7919 % 131);
  const LengthOrder order(lengths, 8, 3);
  const EpochPlan plan = order.plan(2);
  EXPECT_EQ(plan.batches(), 126);
  EXPECT_EQ(order.batches(0), 126);
  std::set<int64_t> seen;
  std::set<uint64_t> positions;
  int64_t widest = 0, small = 0;
  for (int64_t b = 0; b < plan.batches(); ++b) {
    int64_t least = 1000, most = 0;
    for (const auto& ref : plan.batch(b)) {
      seen.insert(ref.index);
      positions.insert(ref.position);
      least = std::min(least, lengths[static_cast<size_t>(ref.index)]);
      most = std::max(most, lengths[static_cast<size_t>(ref.index)]);
    }
    widest = std::max(widest, most - least);
    small += plan.batch(b).size() < 8;
  }
  EXPECT_EQ(seen.size(), 1003u);
  EXPECT_EQ(positions.size(), 1003u);
  EXPECT_LE(widest, 15);  // of 131
  EXPECT_EQ(small, 1);
  const auto same = [&](const EpochPlan& other) {
    return std::equal(plan.samples.begin(), plan.samples.end(), other.samples.begin());
  };
  EXPECT_TRUE(same(LengthOrder(lengths, 8, 3).plan(2)));
  EXPECT_FALSE(same(order.plan(1)));
  EXPECT_FALSE(same(LengthOrder(lengths, 8, 4).plan(2)));
}

std::shared_ptr<const TokenStream> stream(const std::string& text, const StreamOptions& options = {}) {
  return TokenStream::make(Env::real(), text, "t", kWords, options);
}

TEST(TokenStream, LineEndsAsAsked) {
  const std::string text = " a b \n\nc\n";
  EXPECT_THAT(stream(text)->ids(), ElementsAre(5, 6, 10, 10, 7, 10));
  EXPECT_THAT(stream(text, {.lines = "strip"})->ids(), ElementsAre(5, 6, 7));
  EXPECT_THAT(stream(text, {.lines = "token"})->ids(), ElementsAre(3, 5, 6, 3, 3, 7, 3));
  EXPECT_THAT(stream(text, {.lines = "keep", .per_1000_lines = true})->ids(), ElementsAre(5, 6, 10, 7, 10));
  EXPECT_EQ(stream(text)->words(), 6);  // a b c and three line ends
  EXPECT_EQ(stream(text)->bytes(), 9);
  EXPECT_NE(stream(text)->fingerprint(), stream(text, {.lines = "strip"})->fingerprint());
}

TEST(TokenStream, GroupsOfAThousandLines) {
  std::string text;
  for (int i = 0; i < 2500; ++i) text += "a b\n";
  const auto s = stream(text, {.lines = "strip", .per_1000_lines = true});
  EXPECT_THAT(s->groups(), ElementsAre(0, 2000, 4000, 5000));
  LanguageBlocks blocks(s, "t", {.block = 300, .grouped = true});
  EXPECT_EQ(blocks.size(), 6 + 6 + 3);
  const Batch batch = batch_of(blocks, {6});
  EXPECT_EQ(values(batch, "ids")[0], 5);
  EXPECT_EQ(values(batch, "labels")[298], 6);
  EXPECT_EQ(values(batch, "labels")[299], -100);  // the next block's first token is not predicted
}

TEST(TokenStream, PiecesChangeNothing) {
  std::string text;
  for (int i = 0; i < 40000; ++i) text += i % 7 == 0 ? "a\n" : i % 11 == 0 ? " \n b\n" : "c d\n";
  EXPECT_EQ(stream(text)->ids().size(), kWords.encode(text, {.special_tokens = false, .max_length = {}}).ids.size());
}

TEST(TokenStream, IsMappedFromItsCacheAndMadeAnewIfThatIsDamaged) {
  const test::TemporaryFolder folder;
  const StreamOptions options{.lines = "keep", .per_1000_lines = false, .cache = folder / "cache"};
  const auto made = stream("a b c\n", options);
  EXPECT_THAT(made->file(), HasSubstr(folder / "cache/tokens-"));
  const auto again = stream("a b c\n", options);
  EXPECT_TRUE(std::equal(made->ids().begin(), made->ids().end(), again->ids().begin()));
  std::string bytes = Env::real().read(made->file());
  bytes.back() ^= 1;
  Env::real().write(made->file(), bytes);
  EXPECT_THAT(stream("a b c\n", options)->ids(), ElementsAre(5, 6, 7, 10));
  EXPECT_NE(stream("a b d\n", options)->file(), made->file());
}

TEST(TokenStream, RefusesWhatIsNoText) {
  try {
    stream("a\nb\xFF\n");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.message(), HasSubstr("t:2:2: byte 0xFF is not UTF-8"));
  }
}

std::string letters(int64_t n) {
  std::string text;
  for (int64_t i = 0; i < n; ++i) text += std::string(1, static_cast<char>('a' + i % 5)) + " ";
  return text;
}

TEST(LanguageBlocks, PredictTheNextToken) {
  LanguageBlocks blocks(stream(letters(10)), "t", {.block = 4});
  EXPECT_EQ(blocks.size(), 2);
  const Batch batch = batch_of(blocks, {1});
  EXPECT_THAT(values(batch, "ids"), ElementsAre(9, 5, 6, 7));
  EXPECT_THAT(values(batch, "labels"), ElementsAre(5, 6, 7, 8));
}

TEST(LanguageBlocks, ShiftDependsOnTheEpochAlone) {
  LanguageBlocks blocks(stream(letters(100)), "t", {.block = 8, .shift = true, .seed = 1});
  std::set<int64_t> begins;
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    const auto ids = values(batch_of(blocks, {blocks.size() - 1}, epoch), "ids");
    EXPECT_EQ(ids, values(batch_of(blocks, {blocks.size() - 1}, epoch), "ids"));
    begins.insert(ids[0]);
  }
  EXPECT_GT(begins.size(), 2u);
}

// Every token but the first counts exactly once, whatever the stride.
TEST(LanguageBlocks, EvaluationCountsEachTokenOnce) {
  for (const int64_t tokens : {2, 7, 8, 9, 10, 31}) {
    for (const int64_t stride : {0, 1, 3, 8}) {
      LanguageBlocks blocks(stream(letters(tokens)), "t", {.block = 8, .stride = stride, .training = false});
      std::vector<int64_t> predicted;
      for (int64_t i = 0; i < blocks.size(); ++i) {
        const Batch batch = batch_of(blocks, {i});
        for (const int64_t label : values(batch, "labels")) {
          if (label != LanguageBlocks::kIgnored) predicted.push_back(label);
        }
      }
      std::vector<int64_t> expected;
      for (int64_t i = 1; i < tokens; ++i) expected.push_back(5 + i % 5);
      EXPECT_EQ(predicted, expected) << tokens << " tokens, stride " << stride;
    }
  }
}

TEST(LanguageBlocks, RefusesTextsThatAreTooShort) {
  try {
    LanguageBlocks(stream(letters(8)), "t", {.block = 8});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.message(), "t: has 8 tokens, which do not fill a block of 8 and the token after it; lower data.block");
  }
}

TEST(MaskedBlocks, HideAsManyTokensOfEachBlock) {
  const MaskOptions options{.block = 102, .share = 0.15, .first = 2, .last = 3, .mask = 4, .vocabulary = 11, .seed = 7};
  MaskedBlocks blocks(stream(letters(1030)), "t", options);
  EXPECT_EQ(blocks.size(), 10);
  std::vector<int64_t> indices(10);
  std::iota(indices.begin(), indices.end(), 0);
  int64_t masked = 0, kept = 0, all = 0;
  for (int64_t epoch = 0; epoch < 50; ++epoch) {
    const Batch batch = batch_of(blocks, indices, epoch);
    const auto ids = values(batch, "ids"), rows = values(batch, "rows"), labels = values(batch, "labels");
    ASSERT_EQ(rows.size(), 150u);
    ASSERT_TRUE(std::is_sorted(rows.begin(), rows.end()));
    ASSERT_TRUE(std::adjacent_find(rows.begin(), rows.end()) == rows.end());
    std::set<int64_t> hidden(rows.begin(), rows.end());
    for (int64_t i = 0; i < 1020; ++i) {
      const int64_t place = i % 102, truth = 5 + (i / 102 * 100 + place - 1) % 5;
      if (place == 0) {
        ASSERT_EQ(ids[static_cast<size_t>(i)], 2);
      }
      if (place == 101) {
        ASSERT_EQ(ids[static_cast<size_t>(i)], 3);
      }
      if (place > 0 && place < 101 && !hidden.contains(i)) {
        ASSERT_EQ(ids[static_cast<size_t>(i)], truth);
      }
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      const int64_t id = ids[static_cast<size_t>(rows[r])];
      ASSERT_EQ(labels[r], 5 + (rows[r] / 102 * 100 + rows[r] % 102 - 1) % 5);
      all += 1;
      masked += id == 4;
      kept += id == labels[r];
    }
  }
  const auto share = [&](int64_t n) { return static_cast<double>(n) / static_cast<double>(all); };
  EXPECT_NEAR(share(masked), 0.8 + 0.1 / 11, 0.02);
  EXPECT_NEAR(share(kept), 0.1 + 0.1 / 11, 0.02);
  EXPECT_EQ(values(batch_of(blocks, {3}, 4), "rows"), values(batch_of(blocks, {3}, 4), "rows"));
  EXPECT_NE(values(batch_of(blocks, {3}, 4), "rows"), values(batch_of(blocks, {3}, 5), "rows"));
}

}  // namespace
}  // namespace gfsa::data
