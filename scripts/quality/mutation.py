#!/usr/bin/env python3
"""Do the tests notice? Plants small faults in ops, kernels, filters, optimizers and checkpoint code, and counts those that a test catches.

    scripts/quality/mutation.py                        240 faults, drawn with seed 0
    scripts/quality/mutation.py --count 40 --only src/optim
    scripts/quality/mutation.py --count 80 --kernels   in kernels for GPUs, as the emulated device runs them
    scripts/quality/mutation.py --list                 shows the faults, builds nothing

Every fault is compiled into one copy of the source tree (build-mutation/), each behind a switch that an environment
variable turns on, so that one build serves all of them. A fault is caught if a test program of its layer fails, crashes
or hangs. Kinds: sign and operator, comparison bound, index (n + 1), missing term, missing call, missing negation.

A fault that changes no result (a threshold of speed, the size of scratch memory, a comparison at equality) cannot be
caught. Those that were looked at stand in equivalent_mutations.txt with the reason, and are not drawn.

Needs Debian's python3-clang (run it with /usr/bin/python3), cmake, ninja. Exit code 1 if less than 95% are caught. The
table of the last run and the reasons for what survived stand in docs/reliability.md.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from clang import cindex
from clang.cindex import CursorKind as Kind

ROOT = pathlib.Path(__file__).resolve().parents[2]
WORK = ROOT / "build-mutation"
# Where faults are planted, and the test programs that must notice, the nearest first.
LAYERS = {
    "src/ops": ["test_ops", "test_models"],
    "src/autograd": ["test_autograd", "test_ops"],
    "src/attention": ["test_attention", "test_models"],
    "src/optim": ["test_optim", "test_train"],
    "src/train/checkpoint": ["test_train"],
    "src/formats/safetensors": ["test_formats", "test_train"],
    "src/formats/checksum": ["test_formats", "test_train"],
    "src/formats/tensor_file": ["test_formats", "test_train"],
}
SWAPS = {"+": "-", "-": "+", "*": "/", "/": "*", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
         "&&": "||", "||": "&&", "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*="}
SWITCH = """#pragma once
#include <cstdlib>
inline const int gfsa_mutant = [] { const char* s = std::getenv("GFSA_MUTANT"); return s ? std::atoi(s) : 0; }();
"""
INCLUDE = '#include "gfsa_mutant.h"\n'
# What must stay a constant, or prints and judges rather than computes: messages, checks of arguments that other tests
# word exactly, types.
SKIPPED_CALLS = {"fail", "bad_input", "format", "human_bytes", "assert"}

# context: the line it stands on, which names the place whatever is added above it; place: 2 for the second such change
# on that line.
Mutant = collections.namedtuple("Mutant", "file line context place kind before after start end tests")


def tokens_between(source, start, end):
    return source[start:end].strip()


def constant_context(cursor):
    return cursor.kind in (Kind.STATIC_ASSERT, Kind.ENUM_CONSTANT_DECL, Kind.CASE_STMT, Kind.TYPE_REF,
                           Kind.TEMPLATE_NON_TYPE_PARAMETER, Kind.PARM_DECL)


def is_constexpr(cursor, source):
    body = [c for c in cursor.get_children() if c.kind == Kind.COMPOUND_STMT]
    end = body[0].extent.start.offset if body else cursor.extent.end.offset
    return re.search(r"\bconst(expr|eval)\b", source[cursor.extent.start.offset:end]) is not None


class Finder:
    """Collects the faults that can be planted into one file."""

    def __init__(self, path, arguments, tests):
        self.path, self.name, self.tests, self.found = path, str(path), tests, []
        self.source = path.read_text()
        unit = cindex.Index.create().parse(str(path), args=arguments)
        for cursor in unit.cursor.get_children():
            if self.in_file(cursor):
                self.declaration(cursor)

    def in_file(self, cursor):
        file = cursor.location.file
        return file is not None and file.name == self.name

    def declaration(self, cursor):
        if cursor.kind in (Kind.FUNCTION_DECL, Kind.CXX_METHOD, Kind.CONSTRUCTOR, Kind.DESTRUCTOR, Kind.FUNCTION_TEMPLATE):
            if not is_constexpr(cursor, self.source):
                for child in cursor.get_children():
                    if child.kind == Kind.COMPOUND_STMT:
                        self.statement(child)
        elif cursor.kind in (Kind.NAMESPACE, Kind.CLASS_DECL, Kind.STRUCT_DECL, Kind.CLASS_TEMPLATE,
                             Kind.UNEXPOSED_DECL, Kind.LINKAGE_SPEC):
            for child in cursor.get_children():
                if self.in_file(child):
                    self.declaration(child)

    def text(self, cursor):
        return self.source[cursor.extent.start.offset:cursor.extent.end.offset]

    def add(self, cursor, kind, replacement):
        start, end, before = cursor.extent.start.offset, cursor.extent.end.offset, self.text(cursor)
        if not before or "{" in before or len(before) > 160 or not self.in_file(cursor):
            return
        self.found.append((cursor.location.line, kind, before, replacement, start, end))

    def statement(self, cursor):
        if constant_context(cursor):
            return
        if cursor.kind == Kind.VAR_DECL and re.search(r"\bconstexpr\b", self.text(cursor)):
            return
        if cursor.kind == Kind.DECL_STMT and self.text(cursor).lstrip().startswith("constexpr"):
            return
        if cursor.kind == Kind.CALL_EXPR and cursor.spelling in SKIPPED_CALLS:
            return
        children = list(cursor.get_children())
        if cursor.kind in (Kind.BINARY_OPERATOR, Kind.COMPOUND_ASSIGNMENT_OPERATOR) and len(children) == 2:
            self.binary(cursor, *children)
        elif cursor.kind == Kind.UNARY_OPERATOR and len(children) == 1:
            text = self.text(cursor)
            if text[:1] in "!-" and text[:2] not in ("--", "-1", "!="):
                self.add(cursor, "negation", f"({self.text(children[0])})")
        elif cursor.kind == Kind.INTEGER_LITERAL and self.text(cursor).isdigit():
            self.add(cursor, "index", str(int(self.text(cursor)) + 1))
        elif cursor.kind == Kind.COMPOUND_STMT:
            for child in children:
                if child.kind == Kind.CALL_EXPR and child.spelling not in SKIPPED_CALLS:
                    self.add(child, "call", "")
        for child in children:
            self.statement(child)

    def binary(self, cursor, left, right):
        l, r = self.text(left), self.text(right)
        operator = tokens_between(self.source, left.extent.end.offset, right.extent.start.offset).strip("() ")
        if operator not in SWAPS or not l or not r:
            return
        kind = "bound" if operator[0] in "<>=!" else "operator"
        self.add(cursor, kind, f"{l} {SWAPS[operator]} {r}")
        if operator in ("+", "-", "*", "/", "+=", "-=", "*="):
            self.add(cursor, "term", l)

    def mutants(self):
        places = collections.Counter()
        for line, kind, before, after, start, end in sorted(self.found, key=lambda f: f[4]):
            context = self.source.splitlines()[line - 1].strip()
            places[line, before, after] += 1
            place = places[line, before, after]
            yield Mutant(self.path, line, context, place, kind, before, after, start, end, self.tests)


def is_equivalent(mutant, known):
    return (str(mutant.file.relative_to(ROOT)), mutant.context, mutant.place, mutant.before, mutant.after) in known


def tests_of(path):
    name = path.relative_to(ROOT).as_posix()
    for prefix, tests in LAYERS.items():
        if name.startswith(prefix):
            return tests
    return None


def sources(only):
    for path in sorted((ROOT / "src").rglob("*")):
        if path.suffix not in (".cpp", ".h", ".cu") or path.stem.endswith("_cublaslt") or tests_of(path) is None:
            continue
        if only and not path.relative_to(ROOT).as_posix().startswith(only):
            continue
        yield path


def equivalent_mutations():
    """Entries of four lines each, a blank line between them; the file's head explains them."""
    text = (pathlib.Path(__file__).parent / "equivalent_mutations.txt").read_text()
    known = set()
    for entry in text.split("\n\n"):
        lines = [line for line in entry.splitlines() if line and not line.startswith("#")]
        if not lines:
            continue
        file, context, change, _ = lines
        change, place = re.fullmatch(r"(.*?)(?: \(place (\d+)\))?", change).groups()
        before, after = change.split(" -> ", 1)
        known.add((file, context, int(place or 1), before, after))
    return known


def is_kernel(path):
    return path.suffix == ".cu" or "cuda" in path.relative_to(ROOT).parts


def mutants_of(path):
    arguments = ["-std=c++20", "-x", "c++", "-fopenmp", "-DGFSA_DEVICES", f"-I{ROOT / 'src'}"]
    if is_kernel(path):
        arguments.append("-DGFSA_EMULATED")  # kernels as the host's compiler sees them; the emulated device runs them
    return list(Finder(path, arguments, tests_of(path)).mutants())


def find_all(only, jobs):
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        return [m for found in pool.map(mutants_of, list(sources(only))) for m in found]


def draw(mutants, count, seed):
    """Evenly over the files, so that a long file does not drown a short one. A fault's place in the order depends on
    itself and the seed alone: what is added or known to be equivalent elsewhere leaves the rest of the draw as it is."""
    by_file, seen = collections.defaultdict(list), collections.Counter()
    for m in mutants:
        what = (str(m.file.relative_to(ROOT)), m.context, m.kind, m.before, m.after)
        seen[what] += 1
        by_file[m.file].append((hashlib.sha256(repr((seed, what, seen[what])).encode()).digest(), m))
    queues = [[m for _, m in sorted(found, key=lambda f: f[0], reverse=True)] for found in by_file.values()]
    chosen = []
    while len(chosen) < count and any(queues):
        for queue in queues:
            if queue and len(chosen) < count:
                chosen.append(queue.pop())
    return chosen


def plant(path, numbered):
    source = path.read_text()
    insertions = []
    for number, m in numbered:
        if m.kind == "call":
            insertions.append((m.start, 1, -m.end, f"if (gfsa_mutant != {number}) "))
        else:
            insertions.append((m.start, 1, -m.end, f"(gfsa_mutant == {number} ? ({m.after}) : ("))
            insertions.append((m.end, 0, -m.start, "))"))
    # At one place: what ends there before what begins there, the outer before the inner.
    out, position = [], 0
    for place, _, _, text in sorted(insertions, key=lambda i: (i[0], i[1], i[2])):
        out += [source[position:place], text]
        position = place
    out.append(source[position:])
    text = "".join(out)
    return text.replace("#pragma once\n", "#pragma once\n" + INCLUDE, 1) if path.suffix == ".h" else INCLUDE + text


def build(mutants, jobs):
    """Compiles all of them; what does not compile is left out. Returns {number: mutant}."""
    numbered = dict(enumerate(mutants, 1))
    tree = WORK / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_file() and (not target.exists() or target.read_bytes() != (ROOT / name).read_bytes()):
            shutil.copy2(ROOT / name, target)
    (tree / "src" / "gfsa_mutant.h").write_text(SWITCH)
    programs = sorted({t for m in mutants for t in m.tests})
    # Short to compile, and with the standard library's checks of indices: as scripts/test.sh --sanitize has it.
    subprocess.run(["cmake", "-S", tree, "-B", WORK / "build", "-G", "Ninja", "-DCMAKE_CXX_COMPILER_LAUNCHER=ccache",
                    "-DCMAKE_BUILD_TYPE=None", "-DCMAKE_CXX_FLAGS=-O1 -D_GLIBCXX_ASSERTIONS", "-DGFSA_CUDA=OFF"],
                   check=True, stdout=subprocess.DEVNULL)
    while True:
        by_file = collections.defaultdict(list)
        for number, m in numbered.items():
            by_file[m.file].append((number, m))
        for path in sources(None):
            target = tree / path.relative_to(ROOT)
            text = plant(path, by_file[path]) if by_file[path] else path.read_text()
            if not target.exists() or target.read_text() != text:
                target.write_text(text)
        run = subprocess.run(["ninja", "-C", WORK / "build", "-j", str(jobs), "-k", "0", *programs], capture_output=True,
                             text=True)
        if run.returncode == 0:
            return numbered, programs
        places = {((WORK / "build" / file).resolve(), int(line) - 1)  # one line is ours: INCLUDE
                  for file, line in re.findall(r"^(\S+?):(\d+):\d+: +(?:error|required)", run.stdout, re.M)}
        wrong = {n for n, m in numbered.items()
                 if any((tree / m.file.relative_to(ROOT), line) in places for line in range(m.line, m.line + 3))}
        if not wrong:
            print(run.stdout[-4000:])
            sys.exit("the build fails, and not because of a planted fault")
        print(f"{len(wrong)} do not compile and are left out", flush=True)
        for number in wrong:
            del numbered[number]


def run_test(program, number, seconds, names="*"):
    environment = dict(os.environ, GFSA_MUTANT=str(number), OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    command = [WORK / "build" / "tests" / program, "--gtest_fail_fast", "--gtest_brief=1", f"--gtest_filter={names}"]
    try:
        run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds, cwd=WORK / "build",
                             errors="replace")
    except subprocess.TimeoutExpired:
        return "hangs"
    if run.returncode == 0:
        return ""
    failed = re.search(r"\[  FAILED  \] (\S+)", run.stdout)
    return failed.group(1).rstrip(",") if failed else f"ends with {run.returncode}"


def judge(job):
    number, mutant, limits = job
    # First what is named like the file, then everything.
    name = "".join(word.capitalize() for word in mutant.file.stem.split("_"))
    caught = run_test(mutant.tests[0], number, limits[mutant.tests[0]], f"*{name}*")
    if caught:
        return number, f"{mutant.tests[0]}: {caught}"
    for program in mutant.tests:
        caught = run_test(program, number, limits[program])
        if caught:
            return number, f"{program}: {caught}"
    return number, ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only files below this path")
    parser.add_argument("--kernels", action="store_true", help="only kernels for GPUs: .cu files, and headers in cuda/")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--json", help="write every fault and what caught it to this file")
    options = parser.parse_args()

    known = equivalent_mutations()
    found = find_all(options.only, options.jobs)
    if options.kernels:
        found = [m for m in found if is_kernel(m.file)]
    mutants = [m for m in found if not is_equivalent(m, known)]
    print(f"{len(found) - len(mutants)} faults are known to change no result", flush=True)
    chosen = draw(mutants, options.count, options.seed)
    print(f"{len(mutants)} faults can be planted, {len(chosen)} are drawn", flush=True)
    if options.list:
        for m in chosen:
            print(f"{m.file.relative_to(ROOT)}:{m.line}: {m.kind}: {m.before!r} -> {m.after!r}")
        return 0
    numbered, programs = build(chosen, options.jobs)
    limits = {}
    for program in programs:
        started = time.monotonic()
        broken = run_test(program, 0, 900)
        if broken:
            sys.exit(f"{program} fails without any fault: {broken}")
        limits[program] = 30 + 5 * (time.monotonic() - started)
        print(f"{program}: {time.monotonic() - started:.0f} s without a fault", flush=True)
    results = {}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        jobs = [(number, m, limits) for number, m in numbered.items()]
        for number, caught in pool.map(judge, jobs):
            results[number] = caught
            m = numbered[number]
            if not caught:
                print(f"survived: {m.file.relative_to(ROOT)}:{m.line}: {m.context}\n    {m.before} -> {m.after}", flush=True)
    rows = collections.defaultdict(lambda: [0, 0])
    for number, m in numbered.items():
        folder = "/".join(m.file.relative_to(ROOT).parts[:2])
        rows[folder][0] += 1
        rows[folder][1] += bool(results[number])
    print("\n| folder | planted | caught | |\n|---|---|---|---|")
    for folder, (planted, caught) in sorted(rows.items()):
        print(f"| `{folder}` | {planted} | {caught} | {100 * caught / planted:.1f}% |")
    planted, caught = len(numbered), sum(map(bool, results.values()))
    print(f"| all | {planted} | {caught} | {100 * caught / max(planted, 1):.1f}% |")
    if options.json:
        faults = [{"file": str(m.file.relative_to(ROOT)), "line": m.line, "context": m.context, "kind": m.kind, "before": m.before,
                   "after": m.after, "caught_by": results[n]} for n, m in numbered.items()]
        pathlib.Path(options.json).write_text(json.dumps(faults, indent=1))
    return 0 if caught >= 0.95 * planted else 1


if __name__ == "__main__":
    sys.exit(main())
