#!/usr/bin/env bash
# What writing checkpoints costs a run: gfsa-train with a checkpoint every N steps and without any, in turn, on the same
# seed, so that slow moments of the machine meet both.
#
#   scripts/benchmark_checkpoints.sh [--build DIR] [--every N] [--steps N] [--rounds N] [--config FILE]
#
# Prints what each run took and, of all rounds, the median of the ratio with : without. Needs an idle machine.
set -euo pipefail
cd "$(dirname "$0")/.."

build=build every=20 steps=100 rounds=5 config=configs/benchmark/vit_small32.yaml
while [ $# -gt 0 ]; do
  case $1 in
    --build) build=${2:?}; shift 2 ;;
    --every) every=${2:?}; shift 2 ;;
    --steps) steps=${2:?}; shift 2 ;;
    --rounds) rounds=${2:?}; shift 2 ;;
    --config) config=${2:?}; shift 2 ;;
    -h | --help) sed -n '2,8s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "unknown argument '$1'" >&2; exit 2 ;;
  esac
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# "wall CPU" seconds of a run of $2 steps with override $1. What does not grow with the steps (start, data, the last
# evaluation and checkpoint) is measured by a run of one step and taken off.
seconds() {
  local run="$folder/run" TIMEFORMAT='%R %U %S'
  rm -rf "$run"
  { time GFSA_LOG=error "$build/gfsa-train" --config "$config" "run_dir=$run" "train.steps=$2" "$1" \
    checkpoint.every_epochs=0 checkpoint.keep_best=false eval.every_epochs=0 >&2; } 2>&1 | awk '{ print $1, $2 + $3 }'
}

start=$(seconds checkpoint.every_steps=null 1)
echo "start, one step and the end: $start (seconds of wall, CPU)"
ratios=()
for round in $(seq "$rounds"); do
  # The order alternates.
  if [ $((round % 2)) -eq 1 ]; then
    without=$(seconds checkpoint.every_steps=null "$steps")
    with=$(seconds "checkpoint.every_steps=$every" "$steps")
  else
    with=$(seconds "checkpoint.every_steps=$every" "$steps")
    without=$(seconds checkpoint.every_steps=null "$steps")
  fi
  ratio=$(echo "$start $with $without" | awk '{ printf "%.4f %.4f", ($3 - $1) / ($5 - $1), ($4 - $2) / ($6 - $2) }')
  ratios+=("$ratio")
  echo "round $round: $with with a checkpoint every $every of $steps steps, $without without: ratio $ratio"
done
median() { printf '%s\n' "${ratios[@]}" | awk -v c="$1" '{ print $c }' | sort -n | sed -n "$(((rounds + 1) / 2))p"; }
echo "median ratio: $(median 1) of wall time, $(median 2) of CPU time"
