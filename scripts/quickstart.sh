#!/usr/bin/env bash
# Installs what is missing, builds the two programs, trains a small ViT with GFSA on pictures that the program makes
# itself, and evaluates it.
#
#   scripts/quickstart.sh [--fresh] [--run-dir DIR] [key.path=value ...]
#
# A run that was interrupted goes on; one that is finished is only evaluated. --fresh removes it first.
set -euo pipefail
cd "$(dirname "$0")/.."

run_dir=runs/vit_gfsa fresh=false overrides=()
usage() { sed -n '2,7s/^# \{0,1\}//p' "$0"; }
while [ $# -gt 0 ]; do
  case $1 in
    --fresh) fresh=true; shift ;;
    --run-dir) run_dir=${2:?--run-dir needs a folder}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *=*) overrides+=("$1"); shift ;;
    *) echo "unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
done

say() { printf '\n== %s\n' "$*"; }
started=$SECONDS

# ccache: the same sources in another clone are the same work.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true
say "packages"
scripts/install_dependencies.sh

say "building gfsa-train and gfsa-eval in build/"
if [ ! -f build/build.ninja ]; then
  cmake -S . -B build -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DGFSA_TESTS=OFF >/dev/null
fi
NINJA_STATUS="[%f/%t %es] " cmake --build build -- gfsa-train gfsa-eval

if $fresh; then rm -rf "$run_dir"; fi
if [ -f "$run_dir/summary.md" ] && grep -qE 'steps[^0-9]*([0-9]+) of \1([^0-9]|$)' "$run_dir/summary.md"; then
  say "$run_dir holds a finished run: evaluating it (--fresh trains anew)"
elif [ -f "$run_dir/config.yaml" ]; then
  say "going on with the run in $run_dir"
  build/gfsa-train --resume "$run_dir"
else
  say "training configs/vit_gfsa.yaml into $run_dir"
  build/gfsa-train --config vit_gfsa.yaml "run_dir=$run_dir" "${overrides[@]}"
fi

say "evaluating"
build/gfsa-eval "$run_dir"

say "done in $(((SECONDS - started + 59) / 60)) min"
cat <<TEXT
  $run_dir/summary.md      what was trained and how well
  $run_dir/curves.png      loss, accuracy, learning rate, the filter's wK by layer and head
  $run_dir/metrics.jsonl   the same as numbers; TensorBoard: tensorboard --logdir $run_dir
  $run_dir/checkpoints/    weights as safetensors, under timm's names
TEXT
