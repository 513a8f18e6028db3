#!/usr/bin/env bash
# Compares the memory estimate with what short runs take: for every configuration in configs/ (or those named) a run of
# two steps, an evaluation and a checkpoint at its own batch size; ImageNet is replaced by generated pictures.
#
#   scripts/memory_check.sh                       all configurations, with build/gfsa-train
#   scripts/memory_check.sh image/cifar10_vit_gfsa.yaml ...
#   BUILD=DIR scripts/memory_check.sh             another build folder
#   STEPS=1 scripts/memory_check.sh               fewer steps
#
# Prints estimate, measured and ratio of the tensors' and the process's peak; exit code 1 if an estimate of a peak is off
# by more than 5%. A configuration that cannot fit here must be refused, and is listed as such.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${BUILD:-build} steps=${STEPS:-2}
case ${1:-} in
  -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
esac
train=$PWD/$build/gfsa-train
[[ $build == /* ]] && train=$build/gfsa-train
[ -x "$train" ] || { echo "there is no $train: build first, or name the folder with BUILD=" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Two classes with pictures; model.classes makes the head for 1,000.
imagenet() {
  [ -d "$folder/imagenet" ] && return
  python3 - "$folder/imagenet" <<'PYTHON'
import pathlib, struct, sys, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

def png(width, height, seed):
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        rows += bytes((x * (c + 1) + y * 3 + seed * 17) & 255 for x in range(width) for c in range(3))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(rows), 1)) + chunk(b"IEND", b"")

root = pathlib.Path(sys.argv[1])
for split, count in (("train", 300), ("val", 64)):
    pictures = [png(500, 375, seed) for seed in range(4)]
    for i in range(count):
        folder = root / split / f"class{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:04}.png").write_bytes(pictures[i % 4])
PYTHON
}

cifar() {
  [ -d "$folder/cifar10" ] && return
  mkdir -p "$folder/cifar10"
  python3 - "$folder/cifar10" <<'PYTHON'
import pathlib, sys
root = pathlib.Path(sys.argv[1])
for name in [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]:
    picture = bytes((i * 37) & 255 for i in range(3072))
    (root / name).write_bytes(b"".join(bytes([i % 10]) + picture for i in range(10000)))
(root / "batches.meta.txt").write_text("\n".join("airplane automobile bird cat deer dog frog horse ship truck".split()) + "\n")
PYTHON
}

mebibytes() { grep -m1 "peak memory of $2" "$1/summary.md" | grep -oE '[0-9.]+ MiB' | sed -n "$3s/ MiB//p"; }

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  while IFS= read -r name; do names+=("$name"); done < <(cd configs && find . -name '*.yaml' | sed 's|^\./||' | sort)
fi
printf '%-36s %10s %10s %7s   %10s %10s %7s\n' 'MiB at the peak' tensors measured ratio process measured ratio
status=0
for name in "${names[@]}"; do
  run=$folder/run overrides=(train.epochs=null "train.steps=$steps" "run_dir=$folder/run")
  rm -rf "$run"
  source=$("$train" --config "configs/$name" --print-config | awk '/^data:/ { data = 1 } data && /source:/ { print $2; data = 0 }')
  case $source in
    image_folder) imagenet; overrides+=("data.path=$folder/imagenet" model.classes=1000) ;;
    cifar10) cifar; overrides+=("data.path=$folder/cifar10" data.val_limit=1000) ;;
  esac
  code=0
  "$train" --config "configs/$name" "${overrides[@]}" >"$folder/out" 2>"$folder/log" || code=$?
  if [ $code -eq 2 ] && grep -q '^memory: ' "$folder/log"; then
    printf '%-36s %s\n' "$name" "refused: $(grep -m1 '^memory: ' "$folder/log" | sed 's/^memory: //')"
    continue
  elif [ $code -ne 0 ]; then
    printf '%-36s failed:\n' "$name"
    tail -3 "$folder/log"
    status=1
    continue
  fi
  figures=()
  for what in tensors "the process"; do figures+=("$(mebibytes "$run" "$what" 2)" "$(mebibytes "$run" "$what" 1)"); done
  awk -v n="$name" -v a="${figures[0]}" -v b="${figures[1]}" -v c="${figures[2]}" -v d="${figures[3]}" 'BEGIN {
    printf "%-36s %10.1f %10.1f %7.3f   %10.1f %10.1f %7.3f\n", n, a, b, a / b, c, d, c / d
    exit (a / b < 0.95 || a / b > 1.05 || c / d < 0.95 || c / d > 1.05) }' || status=1
done
exit $status
