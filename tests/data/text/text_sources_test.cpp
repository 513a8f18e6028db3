#include <gmock/gmock.h>

#include "base/env.h"
#include "base/error.h"
#include "data/text/sources/glue.h"
#include "data/text/sources/user_table.h"
#include "support/gzip.h"
#include "support/temporary_folder.h"

namespace gfsa::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class Call>
std::string refused(const Call& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.exit_code() == kExitBadInput ? e.message() : "not bad input: " + e.message();
  }
  return "";
}

class TextSources : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) { Env::real().write(folder_ / name, text); }
  std::unique_ptr<TextSource> glue(const std::string& task, const std::string& split) {
    GlueConfig config;
    config.task = task;
    config.path = folder_.path();
    return config.open(split);
  }
  test::TemporaryFolder folder_;
};

TEST_F(TextSources, CoLAHasNoHeadingButItsTestSetHas) {
  write("train.tsv", "gj04\t1\t\tOur friends won't buy this.\ngj04\t0\t*\t\"Them\" buy it.\n");
  write("test.tsv", "index\tsentence\n0\tBill whistled.\n");
  const auto train = glue("cola", "train");
  ASSERT_EQ(train->size(), 2);
  EXPECT_EQ(train->get(1).text, "\"Them\" buy it.");
  EXPECT_EQ(train->get(1).label, 0);
  EXPECT_FALSE(train->has_pairs());
  EXPECT_THAT(train->class_names(), ElementsAre("unacceptable", "acceptable"));
  const auto test = glue("cola", "test");
  EXPECT_FALSE(test->is_labelled());
  EXPECT_EQ(test->get(0).id, "0");
  EXPECT_NE(train->fingerprint(), glue("cola", "test")->fingerprint());
}

TEST_F(TextSources, MrpcBeginsWithAByteOrderMarkAndStsbHasScores) {
  write("dev.tsv", "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t2\t3\tHe said .\t\" He said .\n");
  const auto mrpc = glue("mrpc", "val");
  EXPECT_EQ(mrpc->get(0).pair, "\" He said .");
  EXPECT_EQ(mrpc->get(0).label, 1);
  write("dev.tsv",
        "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
        "0\tg\tf\ty\t0\tn\tn\tA man.\tA woman.\t3.250\n");
  const auto stsb = glue("stsb", "dev");
  EXPECT_EQ(stsb->get(0).score, 3.25);
  EXPECT_TRUE(stsb->class_names().empty());
}

TEST_F(TextSources, MnliHasTwoDevSets) {
  const std::string heading = "index\tsentence1\tsentence2\tlabel1\tgold_label\n";
  write("dev_matched.tsv", heading + "0\ta\tb\tx\tneutral\n");
  write("dev_mismatched.tsv", heading + "0\ta\tb\tx\tcontradiction\n");
  EXPECT_EQ(glue("mnli", "val")->get(0).label, 1);
  EXPECT_EQ(glue("mnli", "val_mismatched")->get(0).label, 2);
  EXPECT_THAT(refused([&] { glue("mnli", "test"); }), HasSubstr("has no test_matched.tsv"));
  EXPECT_THAT(refused([&] { glue("rte", "val_mismatched"); }), HasSubstr("GLUE's rte has no split 'val_mismatched'"));
}

TEST_F(TextSources, QqpRowsThatEndEarlyAreLeftOut) {
  write("train.tsv", "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n1\t1\t2\tWhy?\n2\t1\t2\tWhy?\tHow?\t1\n");
  EXPECT_EQ(glue("qqp", "train")->size(), 1);
}

TEST_F(TextSources, PackedFilesAreRead) {
  write("train.tsv.gz", test::gzip("sentence\tlabel\nfine\t1\n", 6));
  EXPECT_EQ(glue("sst2", "train")->get(0).text, "fine");
}

TEST_F(TextSources, RefusesLabelsAndFilesWithTheirPlace) {
  write("train.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailed\n");
  EXPECT_THAT(refused([&] { glue("rte", "train"); }),
              HasSubstr("train.tsv:2: column 'label' is 'not_entailed', expected entailment or not_entailment; did you "
                        "mean 'not_entailment'?"));
  write("train.tsv", "index\tsentence1\tsentence2\tscore\n0\ta\tb\tlots\n");
  EXPECT_THAT(refused([&] { glue("stsb", "train"); }), HasSubstr(":2: column 'score' is 'lots', expected a number"));
  write("train.tsv", "sentence\tlabel\n");
  EXPECT_THAT(refused([&] { glue("sst2", "train"); }), HasSubstr("holds no rows"));
  EXPECT_THAT(refused([&] { glue("sst2", "dev"); }), HasSubstr("has no dev.tsv"));
}

TEST_F(TextSources, TablesOfTheUser) {
  write("train.csv", "review,stars\n\"good, really\",pos\nbad,neg\n");
  write("test.csv", "review\nfine\n");
  UserTableConfig config;
  config.path = folder_.path();
  config.text = "review";
  config.label = "stars";
  EXPECT_THAT(refused([&] { config.open("train"); }),
              testing::AllOf(HasSubstr("data.labels: must list the classes"), HasSubstr("has: neg, pos")));
  config.labels = {"neg", "pos"};
  const auto train = config.open("train");
  EXPECT_EQ(train->get(0).text, "good, really");
  EXPECT_EQ(train->get(0).label, 1);
  EXPECT_THAT(train->sample_name(1), HasSubstr("train.csv:3"));
  EXPECT_FALSE(config.open("test")->is_labelled());
  EXPECT_THAT(refused([&] { config.open("val"); }), HasSubstr("there is no "));
  EXPECT_EQ(limit_texts(config.open("train"), 1)->size(), 1);
}

}  // namespace
}  // namespace gfsa::data
