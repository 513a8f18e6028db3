#!/usr/bin/env bash
# Everything that only a machine with a GPU can show: tests of every kernel there, compute-sanitizer, attention alone against
# a product, 200 training steps.
#
#   scripts/gpu_check.sh                          builds for this machine's GPU, runs every part
#   scripts/gpu_check.sh --quick                  only the tests
#   scripts/gpu_check.sh build                    only builds; then, in as many calls as one likes:
#   scripts/gpu_check.sh --no-build memcheck_ops steps_gfsa     only these parts, or groups of them
#   scripts/gpu_check.sh --list                   the parts and groups; needs no GPU
#   scripts/gpu_check.sh --table                  the table of what has run so far; needs no GPU
#   scripts/gpu_check.sh --arch 90a --pack F.tar.gz        on a machine with compiler and toolkit, GPU or none: the programs
#   scripts/gpu_check.sh --packed F.tar.gz [PART...]       on a machine with a GPU and without a compiler: runs those
#
#   --build DIR     folder of the programs (default: build-gpu)
#   --no-build      takes them as they are
#   --arch ARCH     80, 90a, 100, as CMake takes them (default: that of the first GPU, by nvidia-smi)
#   --steps N       training steps (default: 200)          --batch N   pictures a step (default: 8)
#   --limit S       seconds that a part may take (default: 560)
#   --peer PYTHON   a Python with torch for GPUs: PyTorch's times beside ours      --peer-script FILE   what it runs
#
# What each part said is in DIR/gpu/PART.log. The table at the end holds every part that has run in DIR, for
# docs/gpu-status.md. Exit code 0 if nothing failed, 1 if something did, 2 where there is no GPU, driver or toolkit.
set -euo pipefail
cd "$(dirname "$0")/.."

ops='Activation*:ColumnSums*:CrossEntropy*:Dropout*:Embedding*:GemmOnDevices*:LayerNorm*:PatchEmbed*:Reduce*:RmsNorm*:Softmax*'
tests="
core       test_core       Cuda*:Device*:Arena*:Tensor*
params     test_params     *
ops        test_ops        *
attention  test_attention  *
optim      test_optim      *
train      test_train      OtherDevice*:Device*:Machine*:NotFinite*:NonFinite*:FirstNotFinite*
estimate   test_tasks      MemoryEstimate*
e2e        test_e2e        Devices.*:DevicePrograms.*
"
# What compute-sanitizer, which slows kernels down, looks at.
sanitized="
core       test_core       Cuda*
ops        test_ops        $ops
attention  test_attention  AttentionDevices.*:*AttentionOnDevices.RandomCombinations/*_00:DevicesWarpgroups.Gfsa*
optim      test_optim      *OnDevice*
train      test_train      NotFiniteFlags*:DeviceFeed*:OtherDevice.TrainsAsTheCpuDoes
"
tools='memcheck racecheck initcheck synccheck'

names_of() { awk 'NF { print $1 }' <<<"$1"; }
field() { awk -v part="$2" -v n="$3" '$1 == part { print $n }' <<<"$1"; }
parts_of() { # a part or a group: its parts
  case $1 in
    tests) names_of "$tests" ;;
    sanitizer) for tool in $tools; do parts_of "$tool"; done ;;
    memcheck | racecheck | initcheck | synccheck) names_of "$sanitized" | sed "s/^/$1_/" ;;
    speed) printf 'speed_%s\n' full_64 full_128 causal_64 causal_128 ;;
    steps) printf 'steps_softmax\nsteps_gfsa\n' ;;
    peer) printf 'peer_softmax\npeer_sdpa\npeer_gfsa\npeer_gfsa_two_pass\n' ;;
    all) for group in tests speed steps peer sanitizer; do parts_of "$group"; done ;;
    *) parts_of all | grep -x -e "$1" || true ;;
  esac
}
usage() { sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//p}' "$0"; }
list() {
  for group in tests speed steps peer $tools; do printf '%-10s %s\n' "$group" "$(parts_of "$group" | tr '\n' ' ')"; done
  printf '%-10s %s\n' sanitizer "$tools" all "tests speed steps peer sanitizer"
}
stop() { echo "gpu_check: $*" >&2; exit 2; }

folder=build-gpu build=true quick=false arch='' steps=200 batch=8 limit=560 peer='' peer_script='' pack='' packed='' wanted=()
only_build=false only_table=false
while [ $# -gt 0 ]; do
  case $1 in
    --build | --arch | --steps | --batch | --limit | --peer | --peer-script | --pack | --packed)
      [ $# -gt 1 ] || stop "$1 needs a value"
      case $1 in
        --build) folder=$2 ;; --arch) arch=${2#sm_} ;; --steps) steps=$2 ;; --batch) batch=$2 ;; --limit) limit=$2 ;;
        --peer) peer=$2 ;; --peer-script) peer_script=$2 ;; --pack) pack=$2 ;; --packed) packed=$2 build=false ;;
      esac
      shift 2 ;;
    --no-build) build=false; shift ;;
    --quick) quick=true; shift ;;
    --list) list; exit 0 ;;
    --table) only_table=true; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) echo "unknown argument '$1'" >&2; usage >&2; exit 2 ;;
    build) only_build=true; shift ;;
    *)
      mapfile -t found < <(parts_of "$1")
      [ ${#found[@]} -gt 0 ] || { echo "there is no part '$1', expected build or one of" >&2; list >&2; exit 2; }
      wanted+=("${found[@]}"); shift ;;
  esac
done
for number in "$steps" "$batch" "$limit"; do [[ $number =~ ^[1-9][0-9]*$ ]] || stop "'$number' is not a count"; done
[ ${#wanted[@]} -gt 0 ] || mapfile -t wanted < <(if $quick; then parts_of tests; else parts_of all; fi)
[ -n "$peer_script" ] || for peer_script in ../shared/peers/pytorch_peer.py shared/peers/pytorch_peer.py; do
  [ ! -f "$peer_script" ] || break
done

table() {
  compgen -G "$folder/gpu/*.row" >/dev/null || stop "nothing has run yet in $folder/gpu"
  echo '| date | commit | device | driver | toolkit | part | result | figures |'
  echo '|---|---|---|---|---|---|---|---|'
  for part in $(parts_of all); do [ ! -f "$folder/gpu/$part.row" ] || cat "$folder/gpu/$part.row"; done
}
if $only_table; then table; exit 0; fi

# The toolkit, where there is one.
nvcc=${CUDACXX:-}
for candidate in "$(command -v nvcc || true)" "${CUDA_HOME:-}/bin/nvcc" /usr/local/cuda/bin/nvcc; do
  [ -n "$nvcc" ] || [ ! -x "$candidate" ] || nvcc=$candidate
done
cuda=${nvcc%/bin/nvcc}
cuda=${cuda:-/usr/local/cuda}
sanitizer=$(PATH=$PATH:$cuda/bin:$cuda/compute-sanitizer command -v compute-sanitizer || true)

asks_gpu() { nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -n 1; }
device=''
if command -v nvidia-smi >/dev/null; then device=$(asks_gpu name || true); fi
[ -n "$device" ] || [ -n "$pack" ] || { $only_build && [ -n "$arch" ]; } ||
  stop "no GPU: nvidia-smi is missing or sees none. This check needs one; the emulated device needs none: scripts/test.sh"

programs=(gfsa-train gfsa-eval benchmark_attention)
while read -r _ program _; do [ -z "$program" ] || programs+=("$program"); done <<<"$tests"
file_of() { case $1 in test_* | benchmark_*) echo "$folder/tests/$1" ;; *) echo "$folder/$1" ;; esac; }

if $build; then
  [ -n "$nvcc" ] || stop "no CUDA toolkit: nvcc is neither in PATH nor below CUDA_HOME or /usr/local/cuda (13.0 or later);" \
    "build elsewhere with --pack and bring that here with --packed"
  command -v cmake >/dev/null || stop "no cmake: scripts/install_dependencies.sh installs what the build needs; or build" \
    "elsewhere with --pack and bring that here with --packed"
  if [ -z "$arch" ]; then
    arch=$(asks_gpu compute_cap | tr -d '. ')
    [ "$arch" != 90 ] || arch=90a
  fi
  [[ $arch =~ ^[0-9]+a?$ ]] || stop "'$arch' is no architecture, expected 80, 90a, 100 or such (--arch)"
  generator=() launcher=()
  ! command -v ninja >/dev/null || [ -f "$folder/CMakeCache.txt" ] || generator=(-G Ninja)
  ! command -v ccache >/dev/null || launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
  export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true
  # Without the emulated device every test's "other device" is the GPU.
  cmake -S . -B "$folder" "${generator[@]}" "${launcher[@]}" -DGFSA_CUDA=ON -DGFSA_EMULATED=OFF -DGFSA_TESTS=ON \
    -DGFSA_WERROR=ON "-DGFSA_NVCC=$nvcc" "-DCMAKE_CUDA_ARCHITECTURES=$arch-real" >"$folder.log" 2>&1 ||
    { cat "$folder.log"; stop "cmake failed; scripts/install_dependencies.sh installs what it needs"; }
  rm -f "$folder.log"
  begin=$SECONDS
  cmake --build "$folder" -j "$(nproc)" --target "${programs[@]}" || { echo "the build failed" >&2; exit 1; }
  echo "built for sm_$arch in $((SECONDS - begin)) s"
  printf '%s\n' "$PWD" "$(realpath "$folder")" "$("$nvcc" --version | sed -n 's/.*release \([0-9.]*\).*/\1/p')" \
    "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" >"$folder/built"
fi

if [ -n "$pack" ]; then
  staged=$(mktemp -d)
  trap 'rm -rf "$staged"' EXIT
  mkdir -p "$staged/tests" "$staged/lib"
  cp "$folder/built" "$staged/"
  for program in "${programs[@]}"; do
    [ -x "$(file_of "$program")" ] || stop "$(file_of "$program") is missing: leave out --no-build"
    file=$(file_of "$program")
    strip -o "$staged/${file#"$folder"/}" "$file"
    # Everything but the C library and what belongs to driver and toolkit.
    ldd "$(file_of "$program")" | awk '$3 ~ /^\// { print $3 }' |
      grep -vE '/(lib(c|m|dl|rt|pthread|cuda|cudart|cublas|cublasLt|nvidia-[a-z]*)|ld-linux[-a-z0-9_]*)\.so' |
      while read -r library; do cp -Ln "$library" "$staged/lib/"; done
  done
  tar -czf "$(realpath "$pack")" -C "$staged" .
  echo "$pack: $(du -h "$pack" | cut -f 1)"
  exit 0
fi
if $only_build; then exit 0; fi

if [ -n "$packed" ]; then
  [ -f "$packed" ] || stop "there is no file $packed"
  mkdir -p "$folder"
  tar -xzf "$packed" -C "$folder"
fi
for program in "${programs[@]}"; do
  [ -x "$(file_of "$program")" ] || stop "$(file_of "$program") is missing: leave out --no-build"
done
libraries=$cuda/lib64:$cuda/targets/x86_64-linux/lib
[ ! -d "$folder/lib" ] || libraries=$(realpath "$folder/lib"):$libraries
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} OMP_WAIT_POLICY=passive GFSA_LOG=warn
toolkit=unknown commit=unknown
if [ -f "$folder/built" ]; then
  { read -r source_folder; read -r build_folder; read -r toolkit; read -r commit; } <"$folder/built"
  # Tests look for their data, and for the programs, where they were built.
  for pair in "$source_folder=$PWD" "$build_folder=$(realpath "$folder")"; do
    [ -e "${pair%%=*}" ] || { mkdir -p "$(dirname "${pair%%=*}")" && ln -s "${pair#*=}" "${pair%%=*}"; } ||
      stop "the programs were built in ${pair%%=*}, which cannot be linked to ${pair#*=}"
  done
fi
seen=$("$folder/gfsa-train" --devices 2>&1) || stop "gfsa-train --devices failed: $seen"
grep -qE '^cuda:0 +' <<<"$(grep -vE '^cuda:0 +no:' <<<"$seen")" || stop "the programs find no GPU: $seen"
grep '^cuda' <<<"$seen"
driver=$(asks_gpu driver_version)

mkdir -p "$folder/gpu"
failed=0 result='' figures=''
log=''
limited() { timeout --kill-after=20 "$limit" "$@" >>"$log" 2>&1; }
# Sets result from a command's exit code.
judge() {
  case $1 in 0) result=passed ;; 124 | 137) result=TIMEOUT ;; *) result=FAILED ;; esac
}
counted() { # "12 tests, 1 skipped, 3 failed" of the log
  awk '/ tests? from .* ran\./ { tests += $2 } /^\[  SKIPPED \] .* \([0-9]+ ms\)$/ { skipped++ }
       /^\[  FAILED  \] .* \([0-9]+ ms\)$/ { failed++ }
       END { printf "%d tests%s%s", tests, (skipped ? ", " skipped " skipped" : ""), (failed ? ", " failed " failed" : "") }' "$log"
}

run_tests() { # PROGRAM FILTER [WRAPPER...]
  local status=0 program filter=$2
  program=$(file_of "$1")
  shift 2
  limited "$@" "$program" "--gtest_filter=$filter" --gtest_brief=0 || status=$?
  judge "$status"
  figures=$(counted)
  if grep -q 'skipped' <<<"$figures" && grep -qE 'no (NVIDIA )?(driver|GPU|device)' "$log"; then result=FAILED; fi
  if [ "$result" = passed ] && ! grep -qE ' [1-9][0-9]* tests? from .* ran\.' "$log"; then result='NO TESTS'; fi
}

run_sanitizer() { # TOOL NAME
  if [ -z "$sanitizer" ]; then
    result='not run' figures='compute-sanitizer is not installed here'
    return
  fi
  run_tests "$(field "$sanitized" "$2" 2)" "$(field "$sanitized" "$2" 3)" \
    "$sanitizer" --tool "$1" --error-exitcode 97 --print-limit 20
  figures="$figures, $(grep -E '(ERROR|RACECHECK) SUMMARY' "$log" | tail -n 1 | sed 's/^=* *//')"
}

number_of() { grep -oE "\"$1\":[-+0-9.e]+" <<<"$2" | head -n 1 | cut -d : -f 2; }
run_steps() { # softmax or gfsa
  local status=0 attention=attention=softmax json losses first last
  # As in scripts/peers/benchmark.py.
  [ "$1" = softmax ] || attention='attention={variant: gfsa, K: 4, wK_init: 0.1}'
  local arguments=(--config configs/benchmark/deit_s.yaml device=cuda precision=bf16 "$attention" "train.batch_size=$batch"
    "data.train_size=$((8 * batch))")
  rm -rf "$folder/gpu/run_$1"
  limited "$folder/gfsa-train" "${arguments[@]}" "train.steps=$steps" train.log_every=10 "run_dir=$folder/gpu/run_$1" || status=$?
  judge "$status"
  if [ "$result" != passed ]; then figures="$(tail -n 1 "$log")"; return; fi
  losses=$(grep '"kind":"train"' "$folder/gpu/run_$1/metrics.jsonl" | grep -oE '"loss":[^,}]*' | cut -d : -f 2)
  first=$(head -n 1 <<<"$losses") last=$(tail -n 1 <<<"$losses")
  limited "$folder/gfsa-train" "${arguments[@]}" --benchmark "$steps" || status=$?
  judge "$status"
  json=$(grep '^{' "$log" | tail -n 1)
  figures="$steps steps of $batch, loss $first, then $last; ms a step $(number_of median "$json") ($(number_of min "$json")"
  figures+=" to $(number_of max "$json")), MiB of tensors $(number_of peak_tensor_mb "$json"), reserved $(number_of reserved_mb "$json"),"
  figures+=" GEMM share $(number_of gemm_share "$json")"
  awk -v a="$first" -v b="$last" 'BEGIN { exit !(b + 0 == b && b < a) }' || { result=FAILED; figures+='; the loss did not fall'; }
}

run_speed() { # full or causal, head size
  local status=0
  limited "$(file_of benchmark_attention)" cuda bf16 "$1" "head=$2" || status=$?
  judge "$status"
  # Of the longest rows: each variant's share of a product's rate, forward and backward.
  figures="$(grep -oE 'square product: ours [0-9]+ GFLOP/s' "$log" || true), of it$(awk -F ' *[|] *' '/^\| [0-9]/ {
    if ($2 != rows) text = ""; rows = $2; text = text sprintf(" %s %s %s %s,", $3, $4, $8, $12) }
    END { printf "%s at %s rows", text, rows }' "$log")"
}

run_peer() { # attention of the peer
  local status=0 json
  if [ -z "$peer" ] || [ ! -f "$peer_script" ]; then
    result='not run' figures='needs --peer PYTHON and --peer-script FILE'
    return
  fi
  LD_LIBRARY_PATH='' limited "$peer" "$peer_script" --model deit_s --attention "$1" --dtype bf16 --device cuda --steps "$steps" \
    --batch "$batch" || status=$?
  judge "$status"
  json=$(grep '^{' "$log" | tail -n 1 | tr -d ' ' || true)
  figures="PyTorch, $steps steps of $batch; ms a step $(number_of median "$json") ($(number_of min "$json") to $(number_of max "$json")),"
  figures+=" MiB of tensors $(number_of peak_cuda_mb "$json")"
}

set +e +o pipefail  # from here on failures are results
for part in "${wanted[@]}"; do
  log=$folder/gpu/$part.log figures='' result=FAILED begin=$SECONDS
  : >"$log"
  echo "$part ..."
  case $part in
    speed_*) run_speed "$(cut -d _ -f 2 <<<"$part")" "${part##*_}" ;;
    steps_*) run_steps "${part#steps_}" ;;
    peer_*) run_peer "${part#peer_}" ;;
    *check_*) run_sanitizer "${part%%_*}" "${part#*_}" ;;
    *) run_tests "$(field "$tests" "$part" 2)" "$(field "$tests" "$part" 3)" ;;
  esac
  printf '| %s | %s | %s | %s | %s | %s | %s | %s |\n' "$(date -u +%F)" "$commit" "$device" "$driver" "$toolkit" "$part" \
    "$result" "${figures//|/,}; $((SECONDS - begin)) s" >"$folder/gpu/$part.row"
  echo "$part: $result; $figures"
  case $result in passed | 'not run') ;; *) failed=$((failed + 1)); tail -n 40 "$log" ;; esac
done

echo
table
echo "$((${#wanted[@]} - failed)) of ${#wanted[@]} parts without failure, $failed failed; logs: $folder/gpu"
[ "$failed" -eq 0 ]
