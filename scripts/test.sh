#!/usr/bin/env bash
# Builds everything and runs every test; a fresh clone needs nothing else.
#
#   scripts/test.sh                              all tests, in build/
#   scripts/test.sh --filter Attention           only those whose name matches the regular expression
#   scripts/test.sh --sanitize address,undefined all tests under ASan and UBSan, in build-asan/
#   scripts/test.sh --sanitize thread            all tests under TSan, in build-tsan/, with OpenMP teams of one thread:
#                                                libgomp is not instrumented; every other thread is checked
#   scripts/test.sh --sanitize ... --quick       only the suites in which it is likeliest to find something
#
# The last line says "N passed, N failed"; exit code 0 if none failed.
set -euo pipefail
cd "$(dirname "$0")/.."

filter='' sanitize='' quick=false jobs=$(nproc)
usage() { sed -n '2,12s/^# \{0,1\}//p' "$0"; }
while [ $# -gt 0 ]; do
  case $1 in
    --filter) filter=${2:?--filter needs a regular expression}; shift 2 ;;
    --sanitize) sanitize=${2:?--sanitize needs address,undefined or thread}; shift 2 ;;
    --quick) quick=true; shift ;;
    --jobs) jobs=${2:?--jobs needs a number}; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    *) echo "unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
done

# ccache: the same sources in another clone are the same work.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true
scripts/install_dependencies.sh

# Some tests let Python packages read what we wrote; without them these tests are skipped, visibly.
python_for_tests() {
  local needed="import numpy, safetensors, tensorboard"
  if [ -z "${GFSA_PYTHON:-}" ]; then
    if ! .venv/bin/python -c "$needed" 2>/dev/null; then
      echo "making .venv with numpy, safetensors and tensorboard"
      python3 -c "import ensurepip" 2>/dev/null || scripts/install_dependencies.sh --python || true
      { python3 -m venv .venv && timeout 300 .venv/bin/pip install --quiet --disable-pip-version-check \
        numpy safetensors tensorboard; } || true
    fi
    GFSA_PYTHON=$PWD/.venv/bin/python
  fi
  if "$GFSA_PYTHON" -c "$needed" 2>/dev/null; then
    export GFSA_PYTHON
  else
    unset GFSA_PYTHON
    echo "no Python with numpy, safetensors and tensorboard: the tests that need it will be skipped"
  fi
}

build() { # FOLDER TARGETS -- CMake options
  local folder=$1 targets=$2
  shift 3
  cmake -S . -B "$folder" -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache "$@" >"$folder.log" 2>&1 ||
    { cat "$folder.log"; exit 1; }
  rm "$folder.log"
  # shellcheck disable=SC2086  # the targets are words
  NINJA_STATUS="[%f/%t %es] " cmake --build "$folder" -j "$jobs" -- $targets
}

run_tests() { # FOLDER CTEST_OPTIONS...
  local folder=$1 status=0
  shift
  # Tests run side by side, each with the thread team that it asks for: waiting threads must sleep, not spin.
  export OMP_WAIT_POLICY=passive
  "${wrapper[@]}" ctest --test-dir "$folder" -j "$jobs" --output-on-failure --timeout 900 --output-junit results.xml \
    --no-tests=error ${filter:+-R "$filter"} "$@" || status=$?
  count() { grep -m1 -oE "\b$1=\"[0-9]+\"" "$folder/results.xml" | grep -oE '[0-9]+'; }
  local total failed skipped
  total=$(count tests) failed=$(count failures) skipped=$(count skipped)
  if [ "$skipped" -gt 0 ]; then
    echo "$skipped skipped:"
    grep -A1 -E ': Skipped$' "$folder/results.xml" | grep -vE ': Skipped$|^--$' | sort | uniq -c || true
  fi
  echo "$((total - failed - skipped)) passed, $failed failed"
  return $status
}

wrapper=()
run_all() {
  build build all -- -DGFSA_TESTS=ON -DGFSA_WERROR=ON
  run_tests build
}

run_sanitized() {
  local folder suites
  case $sanitize in
    address,undefined) folder=build-asan suites="base config core autograd params formats data ops attention optim fuzz" ;;
    thread)
      folder=build-tsan suites="core data train"
      export OMP_THREAD_LIMIT=1
      wrapper=(setarch "$(uname -m)" -R) # GCC 12's TSan cannot map its shadow under large address randomisation
      ;;
    *) echo "--sanitize takes address,undefined or thread, not '$sanitize'" >&2; exit 2 ;;
  esac
  local targets=all labels=() options=()
  if $quick; then
    options=(-DGFSA_EMULATED=OFF) # it finds by itself what kernels do wrong, in the run without sanitizers
    # shellcheck disable=SC2086  # the suites are words
    targets=$(printf 'test_%s ' $suites) labels=(-L "^(${suites// /|})\$")
  fi
  # -O1 keeps both compiling and running short. No -Werror: GCC's warnings see ghosts in instrumented code.
  build "$folder" "$targets" -- -DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="-O1 -g1 -D_GLIBCXX_ASSERTIONS" \
    "-DGFSA_SANITIZE=$sanitize" "${options[@]}"
  # Exit codes that no program of ours has: tests that run them see the difference.
  export ASAN_OPTIONS=exitcode=99:detect_stack_use_after_return=1:strict_string_checks=1
  export UBSAN_OPTIONS=exitcode=99:print_stacktrace=1 TSAN_OPTIONS=exitcode=99
  export LSAN_OPTIONS=exitcode=99:suppressions=$PWD/tests/support/leaks_of_others.txt:print_suppressions=0
  run_tests "$folder" "${labels[@]}"
}

python_for_tests
if [ -n "$sanitize" ]; then
  run_sanitized
else
  run_all
fi
