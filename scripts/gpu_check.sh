#!/usr/bin/env bash
# All that is to be shown on a machine with a GPU: tests on it, compute-sanitizer, training steps with time and memory.
#
#   scripts/gpu_check.sh                      every part
#   scripts/gpu_check.sh build tests          only these; the others find the build of before
#   scripts/gpu_check.sh --list               the parts
#
# Builds in build-gpu/ for the GPU that is there. Ends with a table for docs/gpu-status.md; what each part said is in
# build-gpu/check/PART.log. Exit code 1 if a part failed, 2 without a GPU or toolkit.
# shellcheck disable=SC2317  # parts are called by their names
set -euo pipefail
cd "$(dirname "$0")/.."

# PART: what it is
parts='
build       everything, for this GPU alone
tests       every test program that has cases for a GPU
memcheck    compute-sanitizer on a sample of them: accesses
racecheck   the same: races in shared memory
initcheck   the same: reads of what nobody wrote
synccheck   the same: barriers
steps       200 training steps of DeiT-S in bf16, softmax and GFSA
'
usage() { sed -n '2,10s/^# \{0,1\}//p' "$0"; }
list() { awk 'NF { name = $1; $1 = ""; sub(/^ +/, ""); printf "  %-10s %s\n", name, $0 }' <<<"$parts"; }

wanted=() steps=200 folder=build-gpu
while [ $# -gt 0 ]; do
  case $1 in
    --steps) steps=${2:?--steps needs a number}; shift 2 ;;
    --list) list; exit 0 ;;
    -h | --help) usage; list; exit 0 ;;
    -*) echo "unknown argument '$1'" >&2; usage >&2; exit 2 ;;
    *)
      awk -v part="$1" '$1 == part { found = 1 } END { exit !found }' <<<"$parts" ||
        { echo "there is no part '$1', expected one of" >&2; list >&2; exit 2; }
      wanted+=("$1"); shift ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || mapfile -t wanted < <(awk 'NF { print $1 }' <<<"$parts")

nvidia-smi -L >/dev/null 2>&1 || { echo "there is no GPU: nvidia-smi finds none" >&2; exit 2; }
nvcc=$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)
[ -x "$nvcc" ] || { echo "there is no nvcc: install the CUDA toolkit, 13.0 or later" >&2; exit 2; }
device=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader | head -1)
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
[ "$capability" != 90 ] || capability=90a

# Suites with cases for every device, and a sample that compute-sanitizer can take the time for.
suites='
core        Cuda*
ops         *
attention   *
optim       *
train       *Device*:*Finite*:OtherDevice*
e2e         Devices*:DevicePrograms*
'
sample='core:Cuda* ops:LayerNorm*:Softmax*:Linear*:Dropout*:Sum* attention:*OnDevices*00:*OnDevices*01 optim:*evice*'

export OMP_WAIT_POLICY=passive
run_build() {
  scripts/install_dependencies.sh
  cmake -S . -B "$folder" -G Ninja -DGFSA_CUDA=ON -DGFSA_EMULATED=OFF "-DCMAKE_CUDA_ARCHITECTURES=$capability-real" \
    ${CCACHE:+-DCMAKE_CXX_COMPILER_LAUNCHER=ccache} &&
    cmake --build "$folder"
}
run_tests() {
  local name filter failed=0
  while read -r name filter; do
    [ -n "$name" ] || continue
    "$folder/tests/test_$name" "--gtest_filter=$filter" --gtest_brief=1 || failed=1
  done <<<"$suites"
  return "$failed"
}
run_sanitizer() { # TOOL
  local sanitizer entry failed=0
  sanitizer=$(command -v compute-sanitizer || echo "$(dirname "$nvcc")/compute-sanitizer")
  [ -x "$sanitizer" ] || { echo "there is no compute-sanitizer beside nvcc"; return 1; }
  for entry in $sample; do
    "$sanitizer" --tool "$1" --error-exitcode 9 "$folder/tests/test_${entry%%:*}" "--gtest_filter=${entry#*:}" \
      --gtest_brief=1 || failed=1
  done
  return "$failed"
}
run_steps() {
  local attention
  for attention in softmax '{variant: gfsa, K: 4, wK_init: 0.1}'; do
    "$folder/gfsa-train" --config configs/benchmark/deit_s.yaml --benchmark "$steps" device=cuda precision=bf16 \
      "attention=$attention" || return 1
  done
  nvidia-smi --query-gpu=memory.total,memory.used,clocks.sm,power.draw --format=csv
}
mkdir -p "$folder/check"
table=() failed=0
for part in "${wanted[@]}"; do
  case $part in
    memcheck | racecheck | initcheck | synccheck) command=(run_sanitizer "$part") ;;
    *) command=("run_$part") ;;
  esac
  log=$folder/check/$part.log result=passed begin=$SECONDS
  echo "$part"
  if ! "${command[@]}" >"$log" 2>&1; then
    result=FAILED failed=1
    tail -40 "$log"
  fi
  figures=$(grep -oE '"step_ms": \{[^}]*\}|"peak[a-z_]*": [0-9.]+|\[  PASSED  \] [0-9]+ tests?' "$log" | tr '\n' ' ' | cut -c1-300 || true)
  table+=("| $part | $result | $((SECONDS - begin)) s | $figures |")
done
printf '\n%s, commit %s: %s, driver %s, %s\n\n| part | result | time | figures |\n|---|---|---|---|\n' "$(date -u +%F)" \
  "$(git rev-parse --short HEAD)" "$device" "$driver" "$("$nvcc" --version | grep -oE 'V[0-9.]+' | tail -1)"
printf '%s\n' "${table[@]}"
exit "$failed"
