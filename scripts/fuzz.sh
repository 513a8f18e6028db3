#!/usr/bin/env bash
# Feeds the readers of untrusted files mutated bytes, under ASan and UBSan (libFuzzer; see tests/fuzz/targets.h).
#
#   scripts/fuzz.sh                        every target, one minute each
#   scripts/fuzz.sh --minutes 10           ten minutes each
#   scripts/fuzz.sh config archive         only these
#
# Targets: config safetensors idx cifar archive image checkpoint table tokenizers. Builds in build-fuzz/ with clang++;
# what the fuzzer learns stays in build-fuzz/corpus/, inputs that break a reader in build-fuzz/findings/ (put a mended one
# into tests/fuzz/corpus/<target>/). The last line says how many targets were clean; exit code 0 if all were.
set -euo pipefail
cd "$(dirname "$0")/.."

all="config safetensors idx cifar archive image checkpoint table tokenizers"
minutes=1 targets=()
usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }
while [ $# -gt 0 ]; do
  case $1 in
    --minutes) minutes=${2:?--minutes needs a number}; shift 2
      [[ $minutes =~ ^[1-9][0-9]*$ ]] || { echo "--minutes takes a whole number from 1, not '$minutes'" >&2; exit 2; } ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "unknown argument '$1'" >&2; usage >&2; exit 2 ;;
    *)
      [[ " $all " == *" $1 "* ]] || { echo "there is no target '$1', expected $all" >&2; exit 2; }
      targets+=("$1"); shift ;;
  esac
done
[ ${#targets[@]} -gt 0 ] || read -ra targets <<<"$all"

export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true
scripts/install_dependencies.sh --fuzz
folder=build-fuzz
cmake -S . -B $folder -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_COMPILER_LAUNCHER=ccache \
  -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="-O1 -g1" -DGFSA_FUZZ=ON -DGFSA_CUDA=OFF -DGFSA_EMULATED=OFF \
  -DGFSA_SANITIZE=fuzzer-no-link,address,undefined >$folder.log 2>&1 || { cat $folder.log; exit 1; }
rm $folder.log
cmake --build $folder -- "${targets[@]/#/fuzz_}"

export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
clean=0
for target in "${targets[@]}"; do
  learned=$folder/corpus/$target findings=$folder/findings/$target
  mkdir -p "$learned" "$findings"
  echo "$target: $minutes min"
  # 64 KiB: room for every structure, small enough to be fast. 2 GiB of memory and 20 s an input are findings.
  if $folder/tests/fuzz_"$target" "$learned" tests/fuzz/corpus/"$target" -max_total_time=$((minutes * 60)) \
    -max_len=65536 -rss_limit_mb=2048 -timeout=20 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$findings/" >"$folder/$target.log" 2>&1; then
    clean=$((clean + 1))
    grep -E 'stat::(number_of_executed_units|peak_rss_mb)' "$folder/$target.log"
  else
    echo "finding: see $folder/$target.log and $findings/"
    grep -E 'ERROR|runtime error|finding:|SUMMARY' "$folder/$target.log" | head -5 || true
  fi
done
echo "$clean of ${#targets[@]} targets clean"
[ "$clean" -eq ${#targets[@]} ]
