#!/usr/bin/env bash
# Lines and branches of src/ that the tests run, as a table by file.
#
#   scripts/quality/coverage.sh             all tests, in build-coverage/; docs/reliability.md has the last figures
#   scripts/quality/coverage.sh --html DIR  pages that show every line as well
#
# Branches are those of the source: what the compiler adds for exceptions is left out (gcovr), and so are lines that no
# test can reach (the ends of functions that throw). Needs Debian's gcovr. Exit code 1 below 90% of lines or 75% of
# branches.
set -euo pipefail
cd "$(dirname "$0")/../.."

html=()
case ${1:-} in
  --html) mkdir -p "${2:?--html needs a folder}"; html=(--html-details "$2/index.html") ;;
  '') ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
command -v gcovr >/dev/null || { echo "gcovr is missing: apt-get install gcovr" >&2; exit 2; }

export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true OMP_WAIT_POLICY=passive
scripts/install_dependencies.sh
cmake -S . -B build-coverage -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DGFSA_TESTS=ON -DGFSA_COVERAGE=ON \
  -DGFSA_CUDA=OFF >/dev/null
cmake --build build-coverage -j "$(nproc)"
find build-coverage -name '*.gcda' -delete
status=0
ctest --test-dir build-coverage -j "$(nproc)" --output-on-failure --timeout 900 >build-coverage/tests.log 2>&1 || status=$?
tail -5 build-coverage/tests.log
gcovr --root . --filter src/ --object-directory build-coverage --exclude-throw-branches --exclude-unreachable-branches \
  --gcov-ignore-parse-errors --print-summary --fail-under-line 90 --fail-under-branch 75 "${html[@]}" \
  --txt build-coverage/lines.txt --csv build-coverage/coverage.csv | tee build-coverage/summary.txt || status=$?
cat build-coverage/lines.txt
exit "$status"
