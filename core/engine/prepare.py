"""Data made ready: every source is sifted into one file of the run folder, then mixed, split, and written with a card.

Sifting goes in blocks: what a block keeps is appended in one write, closed by a line with the counts so far; a killed run cuts off what
such a line does not close, and goes on after it. What is drawn follows from the texts and the seed, so an interrupted run makes the same
files as another.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from core.data.choosing import in_the_way, mapping_of
from core.data.examples import examples
from core.data.files import CARD, total_bytes
from core.data.formats import Place, example_of
from core.data.turns import Broken, Example
from core.data.writing import line_of, row_of
from core.engine.grading import Grader, grader_for
from core.engine.mixture import Mixture, lots, mix, sides
from core.engine.session import Session
from core.engine.sifting import Kept, Sieve, reader_for
from core.errors import Trouble
from core.files import read_json, sync_file, sync_folder, write_json
from core.prepare import PrepareRecipe
from core.runs import RunFolder

ROWS = "kept.jsonl"  # in the run folder: all that was kept so far
AT_ONCE = 256
FOLDER = "data"  # in the artifacts
SIDES = ("train", "validation", "test")


def run(session: Session) -> dict[str, Any]:
    """Returns the folder, what was read, kept and dropped (by reason, with the first few rows), the mixture, and the files."""
    recipe = session.recipe
    assert isinstance(recipe, PrepareRecipe)
    out = Path(recipe.out) if recipe.out else session.artifacts / FOLDER
    if not recipe.preview and (done := _finished(out, session.run.id)) is not None:
        return done
    if not recipe.preview and (why := in_the_way(out)) is not None:
        raise Trouble(why.partition(". ")[0] + ".", "Move it away, then resume the run.")
    reader, grader = reader_for(recipe), grader_for(session, recipe)
    sieve = Sieve(recipe, reader, grader)
    if recipe.preview:
        return _preview(session, recipe, sieve)
    ledger = Ledger.open(session.run.path / ROWS, recipe, sieve)
    _sift(session, recipe, sieve, ledger)
    if not len(ledger.rows):
        first = sieve.told(1)[0]["reason"] if sieve.dropped else "nothing was read"
        raise Trouble(
            f"Of {sum(ledger.read)} rows not one is kept; the most frequent reason: {first}.", "Loosen the filters."
        )
    return _put_together(session, recipe, sieve, ledger, out)


def tidy(run: RunFolder) -> None:
    """Remove what a finished run needs no more."""
    (run.path / ROWS).unlink(missing_ok=True)


def _source(recipe: PrepareRecipe, number: int, broken: Broken) -> Iterator[Example]:
    return examples(
        [recipe.data[number]],
        mapping=mapping_of(recipe.columns),
        separator=recipe.separator,
        skip_broken=recipe.skip_broken,
        broken=broken,
    )


def _sift(session: Session, recipe: PrepareRecipe, sieve: Sieve, ledger: Ledger) -> None:
    """Read each source from where the ledger ends."""
    session.phase("sifting", ", ".join(Path(item).name for item in recipe.data[:3]))
    whole = [max(1, total_bytes([item])) for item in recipe.data]
    for number in range(len(recipe.data)):
        if ledger.through[number]:
            continue
        broken = Broken()
        stream = _source(recipe, number, broken)
        at = sum(len(json.dumps(row_of(example))) for example in islice(stream, ledger.read[number]))
        while block := list(islice(stream, AT_ONCE)):
            at += sum(len(turn.content) for example in block for turn in example.turns) + sum(
                len(example.text) for example in block
            )
            ledger.close_block(number, sieve.sift(block), len(block), broken.count, sieve)
            session.progress(min(0.99, (sum(whole[:number]) + min(at, whole[number])) / sum(whole)))
        ledger.through[number] = True
        ledger.close_block(number, [], 0, broken.count, sieve)
    session.progress(1.0)


def _preview(session: Session, recipe: PrepareRecipe, sieve: Sieve) -> dict[str, Any]:
    """The first rows of each source, and what would become of them."""
    session.phase("sifting", f"{recipe.preview} rows of each source")
    read = kept = 0
    shown: list[dict[str, Any]] = []
    for number in range(len(recipe.data)):
        stream = islice(_source(recipe, number, Broken()), recipe.preview)
        while block := list(islice(stream, AT_ONCE)):
            found = sieve.sift(block)
            read, kept = read + len(block), kept + len(found)
            shown += [{"place": each.example.place, "row": row_of(each.example)} for each in found[: 3 - len(shown)]]
            session.progress(min(1.0, (number + read / recipe.preview) / len(recipe.data)))
    return {
        "read": read,
        "kept": kept,
        "filters": sieve.told(read),
        "kept_shown": shown,
        "classifier": _classifier_facts(sieve.grader),
    }


# ------------------------------------------------------------------------------------------------------- what was kept


@dataclass
class Ledger:
    """The rows kept so far, on disk, and the sums over all blocks. Of each row, its place in the file, source, size and lots are held."""

    path: Path
    seed: int
    read: list[int]
    broken: list[int]
    through: list[bool]
    rows: Rows = field(default_factory=lambda: Rows())

    @classmethod
    def open(cls, path: Path, recipe: PrepareRecipe, sieve: Sieve) -> Ledger:
        """What an earlier attempt left; a block that was not closed is cut off. The sieve remembers what was kept."""
        count = len(recipe.data)
        ledger = cls(path, recipe.seed, [0] * count, [0] * count, [False] * count)
        if not path.exists():
            return ledger
        whole = at = 0
        block: list[tuple[int, dict[str, Any]]] = []
        with path.open("r+b") as stream:
            for line in stream:
                read = _read(line)
                if read is None:
                    break
                if "read" in read:
                    ledger._take(block, read, sieve)
                    whole, block = at + len(line), []
                else:
                    block.append((at, read))
                at += len(line)
            stream.truncate(whole)
        return ledger

    def _take(self, block: list[tuple[int, dict[str, Any]]], sums: dict[str, Any], sieve: Sieve) -> None:
        for at, line in block:
            self.rows.add(at, line["source"], line["size"], lots(bytes.fromhex(line["key"]), self.seed))
            sieve.remember(example_of(line["row"], Place(self.path, 0, "row")))
        self.read, self.broken, self.through = sums["read"], sums["broken"], sums["through"]
        sieve.dropped, sieve.shown = Counter(sums["dropped"]), sums["shown"]

    def close_block(self, source: int, kept: list[Kept], read: int, broken: int, sieve: Sieve) -> None:
        """Put the rows of a block and the sums so far on the disk, for good."""
        self.read[source] += read
        self.broken[source] = broken
        lines = [
            line_of({"source": source, "size": each.size, "key": each.key.hex(), "row": row_of(each.example)})
            for each in kept
        ]
        sums = {"read": self.read, "broken": self.broken, "through": self.through}
        sums |= {"dropped": sieve.dropped, "shown": sieve.shown}
        with self.path.open("ab") as stream:
            at = stream.tell()
            stream.write(b"".join([*lines, line_of(sums)]))
            stream.flush()
            os.fsync(stream.fileno())
        for each, line in zip(kept, lines, strict=True):
            self.rows.add(at, source, each.size, lots(each.key, self.seed))
            at += len(line)


class Rows:
    """What is known of each kept row: its offset in the file, source, size, and two lots; 36 bytes a row."""

    def __init__(self) -> None:
        self._ints = array("q")  # offset, source, size
        self._lots = array("d")

    def __len__(self) -> int:
        return len(self._ints) // 3

    def add(self, at: int, source: int, size: int, drawn: tuple[float, float]) -> None:
        self._ints.extend((at, source, size))
        self._lots.extend(drawn)

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Offsets, sources, sizes, lots of the choice, lots of the split, each of shape (rows,)."""
        ints, drawn = np.array(self._ints).reshape(-1, 3), np.array(self._lots).reshape(-1, 2)
        return ints[:, 0], ints[:, 1], ints[:, 2], drawn[:, 0], drawn[:, 1]


def _read(line: bytes) -> dict[str, Any] | None:
    """A line of the ledger; None if it was torn."""
    try:
        read = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


# ------------------------------------------------------------------------------------------------------------ the files


def _put_together(session: Session, recipe: PrepareRecipe, sieve: Sieve, ledger: Ledger, out: Path) -> dict[str, Any]:
    """Write the sides beside the place of the folder, the card last, and rename."""
    session.phase("mixing")
    offsets, source, sizes, choice, split = ledger.rows.columns()
    of_source = [source == number for number in range(len(recipe.data))]
    mixture = mix(
        [sizes[of] for of in of_source], [choice[of] for of in of_source], recipe.weights, recipe.total, recipe.repeat
    )
    times = np.zeros(len(offsets), np.int64)
    for of, count in zip(of_source, mixture.times, strict=True):
        times[of] = count
    _say_mixture(session, recipe, mixture)
    side = sides(split, recipe.validation, recipe.test)
    beside = out.with_name(f".{out.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    session.phase("writing", out.name)
    files = {}
    for number, name in enumerate(SIDES):
        if number == 0 or (recipe.validation, recipe.test)[number - 1] > 0:
            taken = np.flatnonzero((side == number) & (times > 0))
            if number == 0:
                taken = np.repeat(
                    taken, times[taken]
                )  # what is held out is examined once, however often it is trained on
            files[f"{name}.jsonl"] = _write_side(
                session, ledger.path, beside / f"{name}.jsonl", offsets, taken, recipe.seed
            )
    if not files["train.jsonl"]["documents"]:
        raise Trouble("Nothing is left to train on.", "Hold less out, loosen the filters, or take more.")
    results = _facts(recipe, sieve, ledger, mixture, files)
    write_json(beside / CARD, {**results, "run": session.run.id, "recipe": recipe.model_dump(mode="json")})
    sync_folder(beside)
    if out.is_dir():
        out.rmdir()  # it is empty
    beside.rename(out)
    sync_folder(out.parent)
    return {**results, "folder": str(out)}


def _write_side(
    session: Session, kept: Path, file: Path, offsets: np.ndarray, taken: np.ndarray, seed: int
) -> dict[str, Any]:
    """The rows in an order drawn by the seed."""
    order = np.random.default_rng([seed, len(file.name)]).permutation(taken)
    checksum = hashlib.sha256()
    with kept.open("rb") as rows, file.open("wb") as stream:
        for number, row in enumerate(order.tolist()):
            rows.seek(int(offsets[row]))
            line = line_of(json.loads(rows.readline())["row"])
            checksum.update(line)
            stream.write(line)
            if number % AT_ONCE == 0:
                session.progress(number / len(order))
    sync_file(file)
    return {"documents": len(order), "bytes": file.stat().st_size, "sha256": checksum.hexdigest()}


def _say_mixture(session: Session, recipe: PrepareRecipe, mixture: Mixture) -> None:
    if not recipe.weights and recipe.total is None:
        return
    unit = recipe.weigh_by
    each = ", ".join(f"{Path(item).name} {epochs:g}×" for item, epochs in zip(recipe.data, mixture.epochs, strict=True))
    if not recipe.repeat and mixture.total < 0.98 * mixture.wanted:
        session.notice(
            f"Only {mixture.total:,} {unit} of {mixture.wanted:,} are there in these shares without repeating any ({each}). "
            "Allow repeating (--repeat), or change the shares.",
            "warning",
        )
    repeated = "; what is taken more than 1× is repeated" if max(mixture.epochs) > 1 else "; nothing is repeated"
    session.choose("mixture", mixture.total, f"{unit}: {each}{repeated}")


def _facts(
    recipe: PrepareRecipe, sieve: Sieve, ledger: Ledger, mixture: Mixture, files: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    _, source, sizes, _, _ = ledger.rows.columns()
    sources = [
        {
            "path": item,
            "read": ledger.read[number],
            "broken": ledger.broken[number],
            "kept": int((source == number).sum()),
            "kept_size": int(sizes[source == number].sum()),
            "taken": int((sizes[source == number] * mixture.times[number]).sum()),
            "epochs": mixture.epochs[number],
        }
        for number, item in enumerate(recipe.data)
    ]
    return {
        "read": sum(ledger.read),
        "kept": len(ledger.rows),
        "unit": recipe.weigh_by,
        "sources": sources,
        "filters": sieve.told(sum(ledger.read)),
        "classifier": _classifier_facts(sieve.grader),
        "files": files,
    }


def _classifier_facts(grader: Grader | None) -> dict[str, Any] | None:
    if grader is None:
        return None
    return {
        "accuracy": round(grader.accuracy, 4),
        "always_the_commoner": round(grader.always, 4),
        "labelled": grader.labelled,
    }


def _finished(out: Path, run: str) -> dict[str, Any] | None:
    """The results, if this very run has put the folder in its place already and was ended before it could say so."""
    try:
        card = read_json(out / CARD)
    except (OSError, ValueError):
        return None
    if not isinstance(card, dict) or card.get("run") != run:
        return None
    return {**{name: value for name, value in card.items() if name not in ("run", "recipe")}, "folder": str(out)}
