"""Big files: how soon the preview of a JSONL, JSON, CSV and Parquet file opens, what counting it takes, and the memory at its peak.

    python -m tests.bench.data                  # 2 GB each of JSON lines and a JSON array, in a temporary folder
    python -m tests.bench.data --megabytes 200 --tables

Each line is measured in a process of its own, so that the peak is that of the one thing; a bare interpreter's stands for comparison.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROW = {
    "messages": [
        {"role": "user", "content": "What does a still do? " + "Tell me more. " * 20},
        {"role": "assistant", "content": "It parts what boils early from what boils late. " * 25},
    ]
}
STEPS = {
    "bare": "",
    "recognise": "from pathlib import Path; from core.data.examples import recognise; recognise(Path(file))",
    "preview": "from core.data.preview import preview; assert len(preview([file])) == 5",
    "quick inspect": "from core.data.inspection import inspect_data; inspect_data([file], quick=True)",
    "whole inspect": "from core.data.inspection import inspect_data; print(inspect_data([file]).documents, 'documents')",
}
PROGRAM = """
import resource, sys, time
file = sys.argv[1]
began = time.monotonic()
{step}
print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2000)
    parser.add_argument("--tables", action="store_true", help="CSV and Parquet, too")
    parser.add_argument("--quick", action="store_true", help="leave out counting it all")
    asked = parser.parse_args()
    kinds = ["jsonl", "json"] + (["csv", "parquet"] if asked.tables else [])
    with tempfile.TemporaryDirectory() as folder:
        for kind in kinds:
            file = Path(folder) / f"big.{kind}"
            made = made_elsewhere(file, asked.megabytes * 10**6)
            print(f"\n{file.name}: {made:,} rows, {file.stat().st_size / 1e9:.2f} GB")
            for name, step in STEPS.items():
                if not (asked.quick and name == "whole inspect"):
                    measure(name, step, file)
            file.unlink()


def made_elsewhere(file: Path, size: int) -> int:
    """In a process of its own: a process begins with the peak of its parent, so this one stays small."""
    program = "import sys; from pathlib import Path; from tests.bench.data import make; print(make(Path(sys.argv[1]), int(sys.argv[2])))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(file), str(size)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def make(file: Path, size: int) -> int:
    """A file of about `size` bytes, written as a stream; the number of its rows."""
    line = json.dumps(ROW)
    count = size // (len(line) + 2)
    if file.suffix == ".parquet":
        return _make_parquet(file, count)
    with file.open("w", encoding="utf-8") as stream:
        if file.suffix == ".csv":
            cell = json.dumps(ROW["messages"]).replace('"', '""')
            stream.write("id,messages\n")
            stream.writelines(f'{number},"{cell}"\n' for number in range(count))
            return count
        stream.write("[" if file.suffix == ".json" else "")
        apart = ",\n" if file.suffix == ".json" else "\n"
        for number in range(count):
            stream.write(line if number == count - 1 else line + apart)
        stream.write("]" if file.suffix == ".json" else "\n")
    return count


def _make_parquet(file: Path, count: int) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    block = pa.Table.from_pylist([ROW] * 10_000)
    with pq.ParquetWriter(file, block.schema, compression="none", use_dictionary=False) as writer:
        for _ in range(count // 10_000 + 1):
            writer.write_table(block)
    return (count // 10_000 + 1) * 10_000


def measure(name: str, step: str, file: Path) -> None:
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(step=step), str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    *said, last = done.stdout.strip().splitlines()
    inside, peak = map(float, last.split())
    print(
        f"  {name:<14} {inside:7.2f} s ({time.monotonic() - began:.2f} s with the start of Python), "
        f"peak {peak / 1e6:5.0f} MB {' '.join(said)}"
    )


if __name__ == "__main__":
    main()
