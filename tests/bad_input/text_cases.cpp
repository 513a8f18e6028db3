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

// Trains a classifier on a task of GLUE, of which one file is there.
std::function<void(const std::string&)> glue(const std::string& task, const std::string& file,
                                             const std::string& content, const std::string& below = "") {
  return [=](const std::string& folder) {
    write(folder + "/" + file, content);
    train(folder,
          "task: text_classification\n"
          "model: {name: bert, width: 8, heads: 2, depth: 1, positions: 16}\n"
          "data: {source: glue, task: " +
              task + ", path: DIR" + below +
              ", max_length: 8}\n"
              "train: {steps: 1, batch_size: 2}\n");
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
       "model.vocabulary: is 3, expected at least 28, the size of the tokenizer (or leave it out)"},
      {"GLUE's CoLA with a heading", glue("cola", "train.tsv", "sentence\tlabel\nA film.\t1\n"),
       "DIR/train.tsv:1: has 2 cells, expected 4: source, label, star, sentence"},
      {"a folder without the dev set",
       glue("rte", "train.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n"),
       "data.path: DIR has no dev.tsv, which the split 'val' of GLUE's rte is in"},
      {"a label of another GLUE task",
       glue("rte", "train.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tneutral\n"),
       "DIR/train.tsv:2: column 'label' is 'neutral', expected entailment or not_entailment"},
      {"GLUE's files in no folder", glue("rte", "x/train.tsv", "", "/none"),
       "data.path: DIR/none is no folder, expected that of GLUE's rte"},
      {"a GLUE task that is none", glue("sst-2", "train.tsv", ""),
       "DIR/c.yaml:3:28: data.task: 'sst-2' is unknown, expected cola, sst2, mrpc, qqp, stsb, mnli, qnli, rte or wnli; "
       "did "
       "you mean 'sst2'?"},
      {"a decoder for classes", table(kGood, {"model.name=gpt2"}),
       "DIR/c.yaml:2:8: model: 'gpt2' has no classification head"},
      {"a metric of numbers for classes", table(kGood, {"metric=pearson"}),
       "command line: metric: is of numbers; here it can be accuracy, f1, macro_f1 or matthews"},
      {"a pretrained folder that is none", table(kGood, {"model.pretrained=DIR/none"}),
       "model.pretrained: DIR/none has no config.json, expected a folder with config.json, model.safetensors and a "
       "tokenizer's files"},
      {"a pretrained folder without config", table(kGood, {"model.pretrained=DIR"}),
       "model.pretrained: DIR has no config.json, expected a folder with config.json, model.safetensors and a "
       "tokenizer's files"},
      {"a corpus that is not there", corpus(kText, {"data.path=DIR/none"}),
       "data.path: DIR/none does not exist, expected a folder or a text file"},
      {"a split's file that is not there", corpus(kText, {"data.val_file=vaild.txt"}),
       "data.val_file: DIR has no vaild.txt (also not as .gz) for the split 'val'; did you mean 'valid.txt'?"},
      {"running text in Latin-1", corpus(kText + "caf\xE9\n"),
       "DIR/train.txt:3:4: byte 0xE9 is not UTF-8 here; convert the file, for example with iconv -f latin1 -t utf8"},
      {"a corpus with a byte 0", corpus(kText + std::string("a\0b\n", 4)),
       "DIR/train.txt:3:2: a byte 0, expected text"},
      {"a corpus of a few tokens", corpus("abc\n"),
       "the training text: has 4 tokens, which do not fill a block of 8 and the token after it; lower data.block"},
      {"an empty corpus", corpus(""), "there is no text to train a tokenizer on"},
      {"a block without positions", corpus(kText, {"data.block=32"}),
       "data.block: is 32, but the model has positions for 16 tokens (model.positions)"},
      {"one file without a line to cut at", corpus(kText, {"data.path=DIR/train.txt", "data.val_share=0.05"}),
       "data: DIR/train.txt has no line's end in its last 2 bytes to cut the validation split off at; raise "
       "data.val_share"},
      {"a stride beyond the block", corpus(kText, {"data.stride=9"}),
       "command line: data.stride: must not be larger than block: tokens would be left out"},
      {"a shift of grouped lines", corpus(kText, {"data.shift=true", "data.concatenation=per_1000_lines"}),
       "command line: data.shift: needs concatenation: stream"},
      {"an encoder for running text", corpus(kText, {"model.name=bert"}),
       "DIR/c.yaml:2:8: model: 'bert' has no causal head"},
      {"a vocabulary without a mask",
       [](const std::string& folder) {
         write(folder + "/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nthe\n");
         corpus(kText,
                {"task=masked_language_modelling", "model.name=bert", "tokenizer={path: DIR/vocab.txt}"})(folder);
       },
       "tokenizer: has no 'mask' token, which masked language modelling needs"},
  };
}

}  // namespace gfsa::bad_input_test
