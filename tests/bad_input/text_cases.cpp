// Tables and running text, and what their configuration may get wrong. Broken tokenizers' files are tokenizer_cases'.
#include "bad_input/bad_input.h"
#include "data/text/text_file.h"

namespace gfsa::bad_input_test {
namespace {

const std::string kGood = "text\tlabel\na good film\tpos\na bad film\tneg\n";

// Trains a classifier on DIR/train.tsv and DIR/val.tsv.
std::function<void(const std::string&)> table(const std::string& content, std::vector<std::string> overrides = {},
                                              const std::string& name = "train.tsv") {
  return [content, overrides, name](const std::string& folder) {
    write(folder + "/train.tsv", kGood);
    write(folder + "/val.tsv", kGood);
    write(folder + "/" + name, content);
    train(folder,
          "task: text_classification\n"
          "model: {name: bert, width: 8, heads: 2, depth: 1, positions: 16}\n"
          "tokenizer: {vocabulary: 64, min_frequency: 1}\n"
          "data: {source: table, path: DIR, labels: [neg, pos], max_length: 8, workers: 0}\n"
          "train: {steps: 1, batch_size: 2}\n"
          "threads: 1\n",
          overrides);
  };
}

// Trains a language model on DIR/train.txt and DIR/valid.txt.
std::function<void(const std::string&)> corpus(const std::string& content, std::vector<std::string> overrides = {}) {
  return [content, overrides](const std::string& folder) {
    write(folder + "/train.txt", content);
    write(folder + "/valid.txt", "the cat sees the dog .\n");
    train(folder,
          "task: language_modelling\n"
          "model: {name: gpt2, width: 8, heads: 2, depth: 1, positions: 16}\n"
          "tokenizer: {kind: character, min_frequency: 1}\n"
          "data: {path: DIR, block: 8, workers: 0}\n"
          "train: {steps: 1, batch_size: 2}\n"
          "threads: 1\n",
          overrides);
  };
}

const std::string kText = "the cat sees the dog .\nthe dog sees the cat .\n";

}  // namespace

Cases text_cases() {
  return {
      {"a table without heading", table("a good film\tpos\n"),
       "DIR/train.tsv:1: has no column 'text', but a good film, pos"},
      {"an empty table", table(""), "DIR/train.tsv: is empty, expected a line with the names of the columns"},
      {"a table with a heading alone", table("text\tlabel\n"),
       "DIR/train.tsv: holds no rows, expected at least one text"},
      {"a row that ends early", table(kGood + "a film\n"),
       "DIR/train.tsv:4: has 1 cells, expected 2: text, label; cells are separated by tabs (data.format: csv: by "
       "commas)"},
      {"a row with a tab in its text", table(kGood + "a\tfilm\tpos\n"),
       "DIR/train.tsv:4: has 3 cells, expected 2: text, label"},
      {"an empty line in a table", table("text\tlabel\n\na film\tpos\n"),
       "DIR/train.tsv:2: an empty line, expected 2 cells"},
      {"a label that is none", table(kGood + "a film\tpositive\n"),
       "DIR/train.tsv:4: column 'label' is 'positive', expected neg or pos"},
      {"a score that is none", table("text\tlabel\na film\tmany\n", {"data.labels=[]", "data.regression=true"}),
       "DIR/train.tsv:2: column 'label' is 'many', expected a number"},
      {"an infinite score", table("text\tlabel\na film\tinf\n", {"data.labels=[]", "data.regression=true"}),
       "DIR/train.tsv:2: column 'label' is 'inf', expected a number"},
      {"Latin-1 in a table", table("text\tlabel\ncaf\xE9\tpos\n"),
       "DIR/train.tsv:2:4: byte 0xE9 is not UTF-8 here; convert the file, for example with iconv -f latin1 -t utf8"},
      {"UTF-16 as a table", table(std::string("\xFF\xFEt\0e\0", 6)), "DIR/train.tsv:1:4: a byte 0, expected text"},
      {"a line of more than 1 MiB", table("text\tlabel\n" + std::string(data::kLongestLine, 'x') + "\tpos\n"),
       "DIR/train.tsv:2: a line of 1.0 MiB, expected at most 1.0 MiB; is this a text file?"},
      {"a quote that does not end", table("text,label\n\"a film,pos\n", {"data.train_file=t.csv"}, "t.csv"),
       "DIR/t.csv:2: a quoted cell begins here and does not end"},
      {"text behind a quote", table("text,label\n\"a\" film,pos\n", {"data.train_file=t.csv"}, "t.csv"),
       "DIR/t.csv:2:4: ' ' behind a closing quote, expected a comma or the line's end"},
      {"JSON lines that are no JSON",
       table("{\"text\": \"a\", \"label\": \"pos\"}\n{\"text\n", {"data.train_file=t.jsonl"}, "t.jsonl"),
       "DIR/t.jsonl:2:7: no JSON from here on, expected one object a line"},
      {"JSON lines without the label", table("{\"text\": \"a\"}\n", {"data.train_file=t.jsonl"}, "t.jsonl"),
       "DIR/t.jsonl:1: has no column 'label', but text"},
      {"a table of unknown kind", table(kGood, {"data.train_file=t.dat"}, "t.dat"),
       "data.format: DIR/t.dat does not tell by its name whether it is tsv, csv or jsonl; say which"},
      {"a cut gzip table", table(gzip(kGood).substr(0, 30), {"data.train_file=t.tsv.gz"}, "t.tsv.gz"),
       "DIR/t.tsv.gz: truncated gzip data"},
      {"a table that is not there", table(kGood, {"data.train_file=trian"}),
       "data: there is no DIR/trian (nor with .tsv, .csv, .jsonl or these and .gz)"},
      {"classes that are not listed", table(kGood, {"data.labels=[]"}),
       "data.labels: must list the classes (or set data.regression); in DIR/train.tsv column 'label' has: neg, pos"},
      {"texts without positions", table(kGood, {"data.max_length=17"}),
       "data.max_length: is 17, but the model has positions for 16 tokens (model.positions)"},
      {"a vocabulary that is too small", table(kGood, {"model.vocabulary=3"}),
       "model.vocabulary: is 3, expected at least 30, the size of the tokenizer (or leave it out)"},
      {"a folder that holds no GLUE task",
       table(kGood, {"data={source: glue, task: cola, path: DIR}", "data.labels=[]"}), "?"},
      {"GLUE's files in no folder", table(kGood, {"data={source: glue, task: rte, path: DIR/none}"}), "?"},
      {"a GLUE task that is none", table(kGood, {"data={source: glue, task: sst-2, path: DIR}"}), "?"},
      {"a decoder for classes", table(kGood, {"model.name=gpt2"}), "?"},
      {"a metric of numbers for classes", table(kGood, {"metric=pearson"}), "?"},
      {"a pretrained folder that is none", table(kGood, {"model.pretrained=DIR/none"}),
       "model.pretrained: DIR/none is no folder, expected one with config.json, model.safetensors and a tokenizer"},
      {"a pretrained folder without config", table(kGood, {"model.pretrained=DIR"}), "?"},
      {"a corpus that is not there", corpus(kText, {"data.path=DIR/none"}),
       "data.path: DIR/none does not exist, expected a folder or a text file"},
      {"a split's file that is not there", corpus(kText, {"data.val_file=vaild.txt"}), "?"},
      {"running text in Latin-1", corpus(kText + "caf\xE9\n"),
       "DIR/train.txt:3:4: byte 0xE9 is not UTF-8 here; convert the file, for example with iconv -f latin1 -t utf8"},
      {"a corpus with a byte 0", corpus(kText + std::string("a\0b\n", 4)),
       "DIR/train.txt:3:2: a byte 0, expected text"},
      {"a corpus of a few tokens", corpus("abc\n"),
       "the training text: has 4 tokens, which do not fill a block of 8 and the token after it; lower data.block"},
      {"an empty corpus", corpus(""), "?"},
      {"a block without positions", corpus(kText, {"data.block=32"}),
       "data.block: is 32, but the model has positions for 16 tokens (model.positions)"},
      {"one file without a line to cut at", corpus(kText, {"data.path=DIR/train.txt", "data.val_share=0.01"}), "?"},
      {"a stride beyond the block", corpus(kText, {"data.stride=9"}), "?"},
      {"a shift of grouped lines", corpus(kText, {"data.shift=true", "data.concatenation=per_1000_lines"}), "?"},
      {"an encoder for running text", corpus(kText, {"model.name=bert"}), "?"},
      {"characters without a mask", corpus(kText, {"task=masked_language_modelling", "model.name=bert"}), "?"},
  };
}

}  // namespace gfsa::bad_input_test
