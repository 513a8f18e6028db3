#!/usr/bin/env bash
# Format and lint.
#
#   scripts/lint.sh                      clang-format on everything, shellcheck, headers alone, clang-tidy on what differs
#                                        from origin/main (else on a fixed sample), within --budget seconds (default 240)
#   scripts/lint.sh --fix                formats in place, nothing else
#   scripts/lint.sh --tidy FILE...       clang-tidy on these files alone
#
# clang-tidy needs a configured build/ (scripts/test.sh makes it). Exit code 1 if anything is found.
set -euo pipefail
cd "$(dirname "$0")/.."

budget=240 files=()
usage() { sed -n '2,9s/^# \{0,1\}//p' "$0"; }
mode=all
while [ $# -gt 0 ]; do
  case $1 in
    --fix) mode=fix; shift ;;
    --tidy) mode=tidy; shift; files=("$@"); break ;;
    --budget) budget=${2:?--budget needs seconds}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
done

scripts/install_dependencies.sh --lint
found=0

mapfile -t sources < <(find src tests -name '*.h' -o -name '*.cpp' -o -name '*.cu' | sort)
if [ "$mode" = fix ]; then
  clang-format -i "${sources[@]}"
  exit 0
fi

format() {
  local wrong
  wrong=$(clang-format --dry-run "${sources[@]}" 2>&1 |
    grep -oE '^[^ :]+:[0-9]+:[0-9]+: (warning|error): code' | cut -d: -f1 | sort | uniq -c | sort -rn || true)
  [ -z "$wrong" ] && { echo "clang-format: clean"; return; }
  echo "clang-format: places in files that differ from .clang-format (scripts/lint.sh --fix mends them):"
  echo "$wrong"
  found=1
}

shell() {
  if shellcheck -x scripts/*.sh .ci/run; then echo "shellcheck: clean"; else found=1; fi
}

# A header with a source is its source's first include, which the meta tests check; the others are compiled here.
headers() {
  local alone=() header
  for header in $(find src -name '*.h' | sort); do
    # What only nvcc reads is read by nvcc; device.h stands for the emulated half.
    [ -f "${header%.h}.cpp" ] || [[ $header == *_nvcc.h ]] || alone+=("$header")
  done
  if printf '%s\n' "${alone[@]}" | xargs -P "$(nproc)" -I{} \
    g++ -std=c++20 -fopenmp -DGFSA_EMULATED -DGFSA_DEVICES -fsyntax-only -Wall -Wextra -Werror -I src -include {} -x c++ /dev/null; then
    echo "headers: ${#alone[@]} without a source compile by themselves"
  else
    found=1
  fi
}

# One file of each kind: kernels, templates, threads, parsing, a program.
sample=(src/apps/gfsa_train.cpp src/attention/filters/gfsa.cpp src/ops/layer_norm.cpp src/config/value.cpp
  src/data/loader/loader.cpp src/autograd/autograd.cpp src/core/tensor.cpp src/formats/safetensors.cpp
  src/optim/adam.cpp src/train/checkpoint/store.cpp src/models/vit.cpp src/params/parameters.cpp)

tidy() {
  if [ ! -f build/compile_commands.json ]; then
    echo "clang-tidy: no build/compile_commands.json; run scripts/test.sh first"
    found=1
    return
  fi
  # clang-tidy 14 has no omp.h of its own; GCC's stands where only GCC looks. -w: compiler warnings are GCC's business.
  local include
  include=$(dirname "$(g++ -print-file-name=include/omp.h)")
  local end=$((SECONDS + budget)) done_count=0 batch
  batch=$(nproc)
  while [ ${#files[@]} -gt 0 ] && [ "$SECONDS" -lt "$end" ]; do
    printf '%s\n' "${files[@]:0:batch}" | xargs -P "$batch" -I{} \
      clang-tidy -p build --quiet "--extra-arg=-idirafter$include" --extra-arg=-w {} 2>/dev/null || found=1
    done_count=$((done_count + (${#files[@]} < batch ? ${#files[@]} : batch)))
    files=("${files[@]:batch}")
  done
  echo "clang-tidy: $done_count files checked, ${#files[@]} left out for time"
}

if [ "$mode" = all ]; then
  format
  shell
  headers
  # clang-tidy 14 cannot read the emulated device: it has no std::source_location.
  mapfile -t files < <(git diff --name-only --diff-filter=d origin/main -- 'src/*.cpp' ':!src/core/cuda/emulated' 2>/dev/null || true)
  [ ${#files[@]} -gt 0 ] || files=("${sample[@]}")
fi
tidy
exit $found
