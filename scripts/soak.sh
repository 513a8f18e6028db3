#!/usr/bin/env bash
# The long counts of the tests that disturb runs; scripts/test.sh makes the short ones. Hours on a small machine.
#
#   scripts/soak.sh                     every part
#   scripts/soak.sh kill signals        only these
#   scripts/soak.sh --list              the parts
#   scripts/soak.sh --build DIR ...     programs of another build folder, which must be there (default: build/, built)
#
# Ends with a table of counts, failures and durations; what each part said is in soak/PART.log of the build folder.
# GFSA_SEED=N repeats the random moments of an earlier run (its log names them). Exit code 0 if nothing failed.
set -euo pipefail
cd "$(dirname "$0")/.."

# PART PROGRAM FILTER: what it is
parts='
kill        test_e2e       KillTest.*:TrainSignalsTest.Killed*           kill -9 at random moments of runs and of resumes
faults      test_e2e       FaultsTest.*                                  every file call fails once, or from then on
signals     test_e2e       SignalsTest.*:TrainSignalsTest.*              SIGTERM, SIGINT, SIGUSR1 at random moments
memory      test_e2e       MemoryFlatTest.*                              resident memory over 2,000 steps
allocations test_e2e       MemoryTest.*                                  every allocation fails once
resume      test_e2e       *ExactTraining.*                              stopped in every step, resumed bit for bit
non_finite  test_train     *NonFinite*                                   values that are not finite, everywhere
flips       test_train     CheckpointDamage*                             bits of checkpoints flipped
flips_asan  asan:test_train CheckpointDamage*                            the same under ASan and UBSan
configs     test_bad_input *MutatedConfigurations*                       mutated configurations
fuzz        script         scripts/fuzz.sh                               libFuzzer, ten minutes a target
'
usage() { sed -n '2,11s/^# \{0,1\}//p' "$0"; }
list() { awk 'NF { name = $1; $1 = $2 = $3 = ""; sub(/^ +/, ""); printf "  %-12s %s\n", name, $0 }' <<<"$parts"; }
field() { awk -v part="$1" -v n="$2" '$1 == part { print $n }' <<<"$parts"; }

folder=build own_build=true wanted=()
while [ $# -gt 0 ]; do
  case $1 in
    --build) folder=${2:?--build needs a folder}; own_build=false; shift 2 ;;
    --list) list; exit 0 ;;
    -h | --help) usage; list; exit 0 ;;
    -*) echo "unknown argument '$1'" >&2; usage >&2; exit 2 ;;
    *)
      [ -n "$(field "$1" 1)" ] || { echo "there is no part '$1', expected one of" >&2; list >&2; exit 2; }
      wanted+=("$1"); shift ;;
  esac
done
[ ${#wanted[@]} -gt 0 ] || mapfile -t wanted < <(awk 'NF { print $1 }' <<<"$parts")

export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true GFSA_SOAK=1 OMP_WAIT_POLICY=passive
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/support/leaks_of_others.txt:print_suppressions=0

# Builds what the parts need, each folder once.
programs=$(for part in "${wanted[@]}"; do field "$part" 2; done | sort -u)
plain=$(grep -v -e : -e script <<<"$programs" | tr '\n' ' ' || true)
asan=$(sed -n 's/^asan://p' <<<"$programs" | tr '\n' ' ')
# shellcheck disable=SC2086  # the targets are words
if $own_build && [ -n "$plain" ]; then
  cmake -S . -B "$folder" -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache >/dev/null
  cmake --build "$folder" -- $plain
fi
# shellcheck disable=SC2086
if [ -n "$asan" ]; then
  cmake -S . -B build-asan -G Ninja -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_BUILD_TYPE=None \
    -DCMAKE_CXX_FLAGS="-O1 -g1 -D_GLIBCXX_ASSERTIONS" -DGFSA_SANITIZE=address,undefined >/dev/null
  cmake --build build-asan -- $asan
fi

# "1000 kills, 12 runs" of the lines "count: 1000 kills" and so on of a log, summed; else the number of tests.
counts_of() {
  awk '/^count: / { n = $2; $1 = $2 = ""; sub(/^ +/, ""); if (!($0 in sum)) order[++kinds] = $0; sum[$0] += n }
       /tests? from .* ran\./ { tests = $2 }
       END { for (i = 1; i <= kinds; ++i) printf "%s%d %s", (i > 1 ? ", " : ""), sum[order[i]], order[i]
             if (!kinds) printf "%s", (tests ? tests " tests" : "-") }' "$1"
}

mkdir -p "$folder/soak"
table=() failed=0
for part in "${wanted[@]}"; do
  program=$(field "$part" 2) filter=$(field "$part" 3) log=$folder/soak/$part.log result=passed
  case $program in
    script) command=("$filter" --minutes 10) ;;
    asan:*) command=("build-asan/tests/${program#asan:}" "--gtest_filter=$filter") ;;
    *) command=("$folder/tests/$program" "--gtest_filter=$filter") ;;
  esac
  echo "$part: ${command[*]}"
  begin=$SECONDS
  if ! "${command[@]}" >"$log" 2>&1; then
    result=FAILED failed=$((failed + 1))
    tail -40 "$log"
  fi
  if [ "$program" != script ] && grep -q '0 tests from 0 test suites ran' "$log"; then
    result='NO TESTS' failed=$((failed + 1))
  fi
  table+=("$(printf '| %-11s | %-44s | %-8s | %7d s |' "$part" "$(counts_of "$log")" "$result" $((SECONDS - begin)))")
done

printf '\n%s, commit %s, %s processors\n' "$(date -u +%F)" "$(git rev-parse --short HEAD)" "$(nproc)"
printf '| %-11s | %-44s | %-8s | %-9s |\n|%s|%s|%s|%s|\n' part count result time ------------- \
  ---------------------------------------------- ---------- -----------
printf '%s\n' "${table[@]}"
echo "$((${#wanted[@]} - failed)) parts passed, $failed failed"
[ "$failed" -eq 0 ]
