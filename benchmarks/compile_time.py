"""How long the compiler takes, stage by stage, for chains and for DAGs of up to 10,000 layers.

    python benchmarks/compile_time.py [--chain 125,250,500,1000] [--dag 1250,2500,5000,10000] [--repeat 3]

Prints a table of milliseconds per stage, the best of the repeats, and for each stage the exponent of its growth between
the smallest and the largest network: 1 is linear.
"""

from __future__ import annotations

import argparse
import gc
import math
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nnc.compiler.pipeline import NAMES, compile_source
from nnc.grammar.source import SourceFile

HEAD = "nn 1\nmodel grown\n\ninput x: float32[32]\n\n"
TAIL = "output y = {last} -> Dense(10, softmax) {{ loss = sparse_categorical_crossentropy }}\n"


def chain(layers: int) -> str:
    """Dense layers one after another."""
    lines = ["h1 = x -> Dense(32, relu)"]
    lines += [f"h{k} = h{k - 1} -> Dense(32, relu)" for k in range(2, layers)]
    return HEAD + "\n".join(lines) + "\n\n" + TAIL.format(last=f"h{layers - 1}")


def dag(layers: int) -> str:
    """Dense layers, sums, maxima, concatenations; each reads the value before it and one of the seven before that."""
    lines: list[str] = []
    names, count, state = ["x"], 2, 1          # the input and the output are layers too
    while count < layers:
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        name, last = f"v{len(names)}", names[-1]
        other = names[max(0, len(names) - 2 - (state >> 16) % 7)]
        kind = "dense" if other == last else ("dense", "concat", "sum", "maximum")[(state >> 20) % 4]
        lines.append({
            "dense": f"{name} = {last} -> Dense(32, relu)",
            "concat": f"{name} = ({last}, {other}) -> Concatenate -> Dense(32)",
            "sum": f"{name} = {last} + {other}",
            "maximum": f"{name} = ({last}, {other}) -> Maximum",
        }[kind])
        names.append(name)
        count += 2 if kind == "concat" else 1
    return HEAD + "\n".join(lines) + "\n\n" + TAIL.format(last=names[-1])


def measure(text: str, repeat: int) -> dict[str, float]:
    """Milliseconds per stage and in total: the best of `repeat` runs."""
    best: dict[str, float] = {}
    for _ in range(repeat):
        gc.collect()
        compiled = compile_source(SourceFile("grown.nn", text))
        figures = {stage: seconds * 1000 for stage, seconds in compiled.timings}
        figures["total"] = sum(figures.values())
        best = {stage: min(value, best.get(stage, value)) for stage, value in figures.items()}
    return best


def table(title: str, make: Callable[[int], str], sizes: list[int], repeat: int) -> None:
    """Print one table: a row per size, then the exponents."""
    columns = (*NAMES, "total")
    print(f"\n{title:>8}" + "".join(f"{name:>11}" for name in columns))
    rows = []
    for size in sizes:
        rows.append(measure(make(size), repeat))
        print(f"{size:8}" + "".join(f"{rows[-1][name]:11.1f}" for name in columns), flush=True)
    if len(sizes) > 1:
        growth = math.log(sizes[-1] / sizes[0])
        print(f"{'growth':>8}" + "".join(f"{math.log(rows[-1][n] / rows[0][n]) / growth:11.2f}" for n in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description="compile times by stage, in milliseconds")
    parser.add_argument("--chain", default="125,250,500,1000,2000,4000", help="layers of the chains")
    parser.add_argument("--dag", default="1250,2500,5000,10000", help="layers of the DAGs")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, of which the best counts")
    arguments = parser.parse_args()
    compile_source(SourceFile("warm.nn", chain(3)))
    for title, make, sizes in (("chain", chain, arguments.chain), ("dag", dag, arguments.dag)):
        if sizes:
            table(title, make, [int(size) for size in sizes.split(",")], arguments.repeat)


if __name__ == "__main__":
    main()
