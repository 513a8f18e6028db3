#!/usr/bin/env python3
"""What the compiler made of every kernel in src/, as a table: registers, spills, shared memory, occupancy in theory.

  scripts/gpu_kernels.py                     every kernel, for sm_80, sm_90a and sm_100; prints Markdown
  scripts/gpu_kernels.py --write             writes it into docs/gpu-kernels.md, between its two markers
  scripts/gpu_kernels.py --arch sm_80 FILE.cu ...
  scripts/gpu_kernels.py --launches FILE     dynamic shared memory and block sizes of launches that the emulated device
                                             noted (GFSA_EMULATED_LAUNCHES=FILE build/tests/test_attention)

Needs nvcc (13.0 or later) and c++filt, no GPU. Exit code 1 if an attention kernel that multiplies matrices in bf16 has no
tensor-core instruction, if a matrix kernel spills registers, or if ptxas makes asynchronous products (wgmma) wait for each
other; 2 for bad arguments.
"""
import argparse
import collections
import concurrent.futures
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
# CUDA C++ Programming Guide 13.0, technical specifications per compute capability.
Limits = collections.namedtuple("Limits", "threads blocks registers shared block_shared")
LIMITS = {"sm_80": Limits(2048, 32, 65536, 164 << 10, 163 << 10),
          "sm_90a": Limits(2048, 32, 65536, 228 << 10, 227 << 10),
          "sm_100": Limits(2048, 32, 65536, 228 << 10, 227 << 10)}
RESERVED_SHARED = 1024  # of each block, by the system
BEGIN, END = "<!-- table: scripts/gpu_kernels.py --write -->", "<!-- end of table -->"


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def round_up(x, to):
    return (x + to - 1) // to * to


def occupancy(limits, threads, registers, shared):
    """Share of a multiprocessor's threads that blocks of this size can fill."""
    warps = math.ceil(threads / 32)
    by_registers = limits.registers // (round_up(registers * 32, 256) * warps)
    by_shared = limits.shared // round_up(shared + RESERVED_SHARED, 128)
    blocks = min(limits.blocks, limits.threads // (warps * 32), by_registers, by_shared)
    return blocks * warps * 32 / limits.threads


def short(name):
    """Map<Add, 4, float> of the demangled name of a launched kernel."""
    inside = name[name.index("<") + 1:]
    depth = 0
    for i, c in enumerate(inside):
        depth += {"<": 1, ">": -1}.get(c, 0)
        if (c == "," and depth == 0) or depth < 0:
            inside = inside[:i]
            break
    inside = re.sub(r"\(anonymous namespace\)::|gfsa::|cuda::|emulated::", "", inside)
    return re.sub(r"\((?:int|bool|long|unsigned int)\)|(?<=\d)l\b", "", inside).replace("(Activation)", "activation ").strip()


def archs_of(source, archs):
    """Warpgroups are compute capability 9.0's alone: elsewhere their kernels are empty."""
    return [a for a in archs if a == "sm_90a" or not source.name.startswith("warpgroup_")]


def kernels_of(source, arch):
    """(demangled name, registers, spilled bytes, static shared bytes, threads a block, the tensor cores' instruction or "",
    whether its products wait for each other) of each."""
    with tempfile.TemporaryDirectory() as folder:
        ptx, cubin = f"{folder}/k.ptx", f"{folder}/k.cubin"
        virtual = arch.replace("sm_", "compute_")
        run(["nvcc", "-std=c++20", "-O2", "--expt-relaxed-constexpr", "-DFMT_USE_CONSTEXPR=1", "-DGFSA_DEVICES", "-DGFSA_HAS_CUDA", "-I",
             ROOT / "src", f"-arch={virtual}", "-ptx", source, "-o", ptx])
        said = run(["ptxas", "-v", f"-arch={arch}", ptx, "-o", cubin])
        text = pathlib.Path(ptx).read_text()
    entries = {}
    for match in re.finditer(r"\.entry (\w+)\((.*?)\n}", text, re.S):
        threads = re.search(r"\.maxntid (\d+)", match[2])
        instruction = re.search(r"\b(mma\.sync|wgmma)\b", match[2])
        serialized = re.search(rf"wgmma\.mma_async instructions are serialized .*'{match[1]}'", said) is not None
        entries[match[1]] = (int(threads[1]) if threads else 1024, instruction[1] if instruction else "", serialized)
    found = []
    for block in re.split(r"Compiling entry function ", said)[1:]:
        name = re.match(r"'(\w+)'", block)[1]
        spills = sum(map(int, re.findall(r"(\d+) bytes spill", block)))
        registers = int(re.search(r"Used (\d+) registers", block)[1])
        shared = re.search(r"(\d+) bytes smem", block)
        found.append((name, registers, spills, int(shared[1]) if shared else 0, *entries[name]))
    names = subprocess.run(["c++filt"], input="\n".join(k[0] for k in found), capture_output=True, text=True).stdout
    return [(demangled, *k[1:]) for demangled, k in zip(names.splitlines(), found)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", action="append", choices=LIMITS)
    parser.add_argument("--launches", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("sources", nargs="*", type=pathlib.Path)
    args = parser.parse_args()
    archs = args.arch or list(LIMITS)
    sources = args.sources or sorted(p for p in (ROOT / "src").rglob("*.cu") if not p.name.endswith("_cuda.cu"))
    launches = collections.defaultdict(lambda: (0, 0))  # name -> (threads, dynamic shared bytes), the largest
    if args.launches:
        for line in args.launches.read_text().splitlines():
            name, threads, shared = line.rsplit("\t", 2)
            key = short(f"run<{name}>")
            launches[key] = max(launches[key], (int(threads), int(shared)), key=lambda x: x[1])

    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [(s, a, pool.submit(kernels_of, s, a)) for s in sources for a in archs_of(s, archs)]
        results = [(s, a, j.result()) for s, a, j in jobs]

    rows, wrong = {}, []
    for source, arch, kernels in results:
        for name, registers, spills, static, most, tensor_cores, serialized in kernels:
            kernel = short(name)
            threads, dynamic = launches[kernel]
            threads = threads or most
            row = rows.setdefault((str(source.relative_to(ROOT)) if source.is_relative_to(ROOT) else str(source), kernel), {})
            row[arch] = (registers, spills, static + dynamic, occupancy(LIMITS[arch], threads, registers, static + dynamic))
            row["threads"], row["tensor"] = threads, row.get("tensor") or tensor_cores
            is_matrix = re.search("attention/kernels/cuda/(pass|sweep|warpgroup)_", str(source)) is not None
            if is_matrix and spills:
                wrong.append(f"{kernel} spills {spills} bytes on {arch}")
            if serialized:
                wrong.append(f"products of {kernel} wait for each other on {arch}")
            if is_matrix and ("bfloat16" in kernel or "Warpgroup" in kernel) and not tensor_cores:
                wrong.append(f"{kernel} has no tensor-core instruction on {arch}")
    # Kernels of one template share a line, with the worst of them; matrix kernels have lines of their own.
    groups = collections.defaultdict(list)
    for (source, kernel), row in rows.items():
        groups[source, kernel if row["tensor"] else kernel.split("<")[0]].append(row)
    lines = ["| kernel | variants | threads | tensor cores | " + " | ".join(archs) + " |", "|---|---|---|---|" + "---|" * len(archs)]
    before = None
    for (source, kernel), members in sorted(groups.items()):
        if source != before:
            lines.append(f"| **`{source}`** | | | |" + " |" * len(archs))
            before = source
        cells = []
        for a in archs:
            if a not in members[0]:
                cells.append("")
                continue
            of = list(zip(*(m[a] for m in members)))
            cells.append(f"{max(of[0])}, {max(of[1])}, {max(of[2])}, {min(of[3]):.0%}")
        lines.append(f"| `{kernel}` | {len(members)} | {max(m['threads'] for m in members)} | "
                     f"{members[0]['tensor']} | " + " | ".join(cells) + " |")
    table = "\n".join(lines)
    if args.write:
        page = ROOT / "docs/gpu-kernels.md"
        text = page.read_text()
        head, rest = text.split(BEGIN)
        page.write_text(head + BEGIN + "\n" + table + "\n" + END + rest.split(END)[1])
    else:
        print(table)
    for w in wrong:
        print(w, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
