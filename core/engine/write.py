"""A teacher writes text that students will learn from: prompts, rows in blocks, sifting, one file of JSON lines at the end.

Rows are written in blocks of a fixed size. What a block brings goes into the run folder in one write, closed by a line that sums up all
blocks so far; a killed run cuts off what such a line does not close, and goes on after it. The draws of a block follow from the
recipe's seed and the block's place, so an interrupted run makes the same file as another.
"""

from __future__ import annotations

import filecmp
import hashlib
import itertools
import json
import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from core import events as ev
from core.documents import Document, documents
from core.engine.evaluate import trained_framing
from core.engine.failures import is_out_of_memory
from core.engine.generation import Written, context_of, generate
from core.engine.memory import free_unused
from core.engine.models import compute_dtype, generation_config, load_model, load_tokenizer
from core.engine.session import Session
from core.engine.text import Framing, find_framing
from core.errors import BadData, Trouble
from core.files import sync_file, sync_folder
from core.runs import RunFolder
from core.write import WriteRecipe

ROWS = "rows.jsonl"  # in the run folder: all that was kept so far
LONGEST = 512
ROWS_AT_ONCE = {"cpu": 64}
ROWS_AT_ONCE_ON_GPU = 256
GRAM = 4  # tokens of a sequence that counts as repeated
CHARACTERS_PER_TOKEN = 40  # of a text's beginning at the most
SHOWN_EVERY_S = 10.0
FRUITLESS_ROWS = 128
MOST_WRITTEN = 20  # times what was asked for


def run(session: Session) -> dict[str, Any]:
    """Returns file, rows written and kept, dropped by reason, tokens of the kept completions, seconds of writing, and
    tokens_per_second, dropped ones counted. A preview has `rows` instead of a file.
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, WriteRecipe)
    out = Path(recipe.out) if recipe.out else session.artifacts / "written.jsonl"
    if recipe.preview:
        return _preview(Author(session, recipe))
    ledger = Ledger.open(session.run.path / ROWS)
    if out.exists() and not ledger.rows:
        raise _in_the_way(out)
    aim = round(recipe.tokens / (1 - recipe.drop_least_likely))
    if ledger.tokens < aim:
        author = Author(session, recipe)
        session.phase("writing", f"{recipe.tokens} tokens")
        _fill(session, recipe, author, ledger, aim)
    session.phase("putting the file together")
    return _put_together(session.run.path / ROWS, out, ledger, recipe.drop_least_likely)


def tidy(run: RunFolder) -> None:
    """Remove what a finished run needs no more."""
    (run.path / ROWS).unlink(missing_ok=True)


def _fill(session: Session, recipe: WriteRecipe, author: Author, ledger: Ledger, aim: int) -> None:
    """Write blocks until the kept completions have `aim` tokens."""
    prompts = author.prompts(ledger.prompts)
    session.progress(min(1.0, ledger.tokens / aim))
    shown_at = float("-inf")
    while ledger.tokens < aim:
        block = list(itertools.islice(prompts, min(author.rows_at_once, ledger.rows_for(aim - ledger.tokens))))
        if not block:
            session.notice("Every prompt has been gone on from, and a greedy teacher would write the same again.")
            break
        began = time.monotonic()
        kept = ledger.sift(author.write(block, ledger.prompts), recipe, aim)
        ledger.close_block(kept, len(block), time.monotonic() - began)
        if kept and time.monotonic() - shown_at >= SHOWN_EVERY_S:
            shown_at = time.monotonic()
            session.say(ev.SampleWritten(ledger.blocks, kept[0].prompt, kept[0].completion, "teacher"))
        session.progress(min(1.0, ledger.tokens / aim))
        if not ledger.kept and ledger.written >= FRUITLESS_ROWS:
            raise _fruitless(ledger)
        if ledger.generated > MOST_WRITTEN * aim:
            session.notice(
                f"Only {ledger.kept} of {ledger.written} rows were kept ({_reasons(ledger)}), so the file holds {ledger.tokens} "
                f"tokens instead of {aim}. Loosen the filters, or choose other prompts or a better teacher.",
                "warning",
            )
            break
    if not ledger.kept:
        raise _fruitless(ledger)


def _fruitless(ledger: Ledger) -> Trouble:
    return Trouble(
        f"Not one of the first {ledger.written} rows could be kept: {_reasons(ledger)}.",
        "Loosen the filters (--no-must-end, --new-tokens, --most-repetition), or choose other prompts or another teacher.",
    )


def _reasons(ledger: Ledger) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in ledger.dropped.most_common()) or "nothing was written"


def _preview(author: Author) -> dict[str, Any]:
    """A few rows with what would become of them; nothing is kept."""
    session, recipe = author.session, author.recipe
    session.phase("writing", f"{recipe.preview} rows to look at")
    began = time.monotonic()
    shown: list[dict[str, Any]] = []
    generated = 0
    ledger = Ledger(Path(os.devnull))
    prompts = author.prompts(0)
    while block := list(itertools.islice(prompts, min(author.rows_at_once, recipe.preview - len(shown)))):
        for row in author.write(block, len(shown)):
            generated += row.tokens
            shown.append({**row.said(), "dropped": ledger.why_dropped(row, recipe)})
            session.say(ev.SampleWritten(len(shown), row.prompt, row.completion, "teacher"))
        session.progress(min(1.0, len(shown) / recipe.preview))
    seconds = time.monotonic() - began
    return {"rows": shown, "seconds": round(seconds, 3), "tokens_per_second": round(generated / seconds, 1)}


# ------------------------------------------------------------------------------------------------------------- writing


@dataclass(frozen=True)
class Row:
    """What was written after a prompt; `repeated` is the share of its 4-token sequences that stand there a second time."""

    prompt: str
    completion: str
    mean_logprob: float
    tokens: int
    ended: bool
    repeated: float

    def said(self) -> dict[str, Any]:
        """The row as the file holds it."""
        return {
            "text": self.prompt + self.completion,
            "prompt": self.prompt,
            "completion": self.completion,
            "mean_logprob": round(self.mean_logprob, 5),
        }

    @property
    def key(self) -> bytes:
        """The same for texts that differ in nothing but white space."""
        return hashlib.blake2b(" ".join((self.prompt + self.completion).split()).encode(), digest_size=16).digest()


@dataclass(frozen=True)
class Prompt:
    text: str
    ids: list[int]


class Author:
    """The teacher with all that it needs to write."""

    def __init__(self, session: Session, recipe: WriteRecipe) -> None:
        self.session, self.recipe = session, recipe
        folder = Path(recipe.teacher)
        session.phase("loading", folder.name)
        dtype, why = compute_dtype(session.device, recipe.precision)
        session.choose("precision", str(dtype).removeprefix("torch."), why)
        self.model: PreTrainedModel = load_model(folder, session.device, dtype, recipe.allow_remote_code)
        self.tokenizer: PreTrainedTokenizerBase = load_tokenizer(folder, recipe.allow_remote_code)
        self.framing = self._framing(folder)
        source = folder if (folder / "generation_config.json").is_file() else None
        self.ends = set(generation_config(self.tokenizer, self.framing, source).eos_token_id or [])
        self.new_tokens = recipe.new_tokens or LONGEST
        self.rows_at_once = recipe.rows_at_once or ROWS_AT_ONCE.get(session.device, ROWS_AT_ONCE_ON_GPU)
        self._at_once = self.rows_at_once

    def _framing(self, folder: Path) -> Framing:
        recipe = self.recipe
        texts = [each.text for each in itertools.islice(documents(recipe.data, recipe.separator, prompts=True), 16)]
        framing = trained_framing(folder) or find_framing(self.tokenizer, self.model, texts, self.session.device)
        self.session.choose("framing", [framing.start, framing.end], framing.reason)
        return framing

    def prompts(self, done: int) -> Iterator[Prompt]:
        """All prompts but the first `done`, in the data's order; round after round, unless the teacher is greedy."""
        recipe = self.recipe
        rounds = itertools.count() if recipe.temperature > 0 else range(1)
        every = (document for _ in rounds for document in documents(recipe.data, recipe.separator, prompts=True))
        for document in itertools.islice(every, done, None):
            yield self._prompt(document)

    def _prompt(self, document: Document) -> Prompt:
        """The beginning of a text, cut at a whole character, or all that stands before its first answer."""
        start = [] if self.framing.start is None else [self.framing.start]
        if document.learnt is None:
            most = self.recipe.prompt_tokens
            head = document.text[: most * CHARACTERS_PER_TOKEN]
            ids = self.tokenizer(head, add_special_tokens=False).input_ids[:most]
            while (text := self.tokenizer.decode(ids)).endswith("\ufffd"):
                ids = ids[:-1]
        else:
            text = document.text[: document.learnt[0][0]] if document.learnt else document.text
            ids = self.tokenizer(text, add_special_tokens=False).input_ids
        if not start and not ids:
            raise BadData(
                f"What begins on line {document.line} of {document.path} gives an empty prompt, and this teacher has no start token.",
                "Take longer beginnings (--prompt-tokens).",
            )
        context = context_of(self.model)
        if context is not None and len(start) + len(ids) + self.recipe.least_tokens > context:
            raise BadData(
                f"The prompt on line {document.line} of {document.path} has {len(ids)} tokens, which leaves no room to write in a context "
                f"of {context}.",
                "Shorten or remove it.",
            )
        return Prompt(text, start + ids)

    def write(self, block: list[Prompt], place: int) -> Iterator[Row]:
        """One row for each prompt. What is drawn follows from the seed and the `place` of the block."""
        digest = hashlib.blake2b(f"{self.recipe.seed} {place}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
        done = 0
        while done < len(block):
            part = block[done : done + self._at_once]
            try:
                written = generate(
                    self.model,
                    [prompt.ids for prompt in part],
                    new_tokens=self.new_tokens,
                    temperature=self.recipe.temperature,
                    top_p=self.recipe.top_p,
                    ends=self.ends,
                    generator=generator,
                    entries=min(len(self.tokenizer), self.model.get_input_embeddings().weight.shape[0]),
                    pause=self.session.check_stop,
                )
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or len(part) == 1:
                    raise
                self._at_once = len(part) // 2
                self.session.notice(f"The memory ran out; from now on {self._at_once} rows are written together.")
                free_unused(self.session.device)
                continue
            done += len(part)
            yield from map(self._row, part, written)

    def _row(self, prompt: Prompt, written: Written) -> Row:
        ids = written.ids[:-1] if written.ended else written.ids
        before = self.tokenizer.decode(prompt.ids, skip_special_tokens=True)
        whole = self.tokenizer.decode(prompt.ids + ids, skip_special_tokens=True)
        completion = whole.removeprefix(before).rstrip("\ufffd")
        mean = sum(written.log_probs) / len(written.log_probs)
        return Row(prompt.text, completion, mean, len(written.ids), written.ended, repeated_share(ids))


def repeated_share(ids: list[int]) -> float:
    """The share of the sequences of 4 tokens that stood there before, 0 to 1."""
    grams = [tuple(ids[at : at + GRAM]) for at in range(len(ids) - GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


# ------------------------------------------------------------------------------------------------------- what was kept


@dataclass
class Ledger:
    """The rows kept so far, on disk, and the sums over all blocks. Of each row its key, log-probability and tokens are held in memory."""

    path: Path
    blocks: int = 0
    prompts: int = 0
    written: int = 0
    generated: int = 0  # tokens, of dropped rows too
    tokens: int = 0  # of kept rows
    seconds: float = 0.0
    dropped: Counter[str] = field(default_factory=Counter)
    rows: list[tuple[float, int]] = field(default_factory=list)
    keys: set[bytes] = field(default_factory=set)

    @property
    def kept(self) -> int:
        return len(self.rows)

    def rows_for(self, tokens: int) -> int:
        """About as many rows as bring so many tokens, by what those so far have brought."""
        if not self.tokens:
            return tokens
        return max(1, math.ceil(1.2 * tokens * self.written / self.tokens))

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """What an earlier attempt left; a block that was not closed is cut off."""
        ledger = cls(path)
        if not path.exists():
            return ledger
        whole = at = 0
        block: list[dict[str, Any]] = []
        with path.open("r+b") as stream:
            for line in stream:
                at += len(line)
                read = _read(line)
                if read is None:
                    break
                if "blocks" not in read:
                    block.append(read)
                    continue
                ledger._take(block, read)
                whole, block = at, []
            stream.truncate(whole)
        return ledger

    def _take(self, block: list[dict[str, Any]], sums: dict[str, Any]) -> None:
        for row in block:
            self.rows.append((row["mean_logprob"], row["tokens"]))
            self.keys.add(bytes.fromhex(row["key"]))
        self.dropped = Counter(sums["dropped"])
        for name in ("blocks", "prompts", "written", "generated", "tokens", "seconds"):
            setattr(self, name, sums[name])

    def why_dropped(self, row: Row, recipe: WriteRecipe) -> str | None:
        """The first reason against a row, or None; a row without one is known from now on."""
        if recipe.must_end and not row.ended:
            return "not ended"
        if row.tokens < recipe.least_tokens or not row.completion.strip():
            return "too short"
        if row.repeated > recipe.most_repetition:
            return "repetitive"
        if row.key in self.keys:
            return "there already"
        self.keys.add(row.key)
        return None

    def sift(self, rows: Iterator[Row], recipe: WriteRecipe, aim: int) -> list[Row]:
        """The rows of a block that are kept, as many as are needed for `aim` tokens."""
        kept = []
        for row in rows:
            if self.tokens >= aim:
                break
            self.written += 1
            self.generated += row.tokens
            reason = self.why_dropped(row, recipe)
            if reason is not None:
                self.dropped[reason] += 1
                continue
            kept.append(row)
            self.rows.append((round(row.mean_logprob, 5), row.tokens))
            self.tokens += row.tokens
        return kept

    def close_block(self, kept: list[Row], prompts: int, seconds: float) -> None:
        """Put the rows of a block and the sums so far on the disk, for good."""
        self.blocks += 1
        self.prompts += prompts
        self.seconds = round(self.seconds + seconds, 3)
        lines: list[dict[str, Any]] = [{**row.said(), "tokens": row.tokens, "key": row.key.hex()} for row in kept]
        names = ("blocks", "prompts", "written", "generated", "tokens", "seconds", "dropped")
        lines.append({name: getattr(self, name) for name in names})
        with self.path.open("ab") as stream:
            stream.write(b"".join(_line(line) for line in lines))
            stream.flush()
            os.fsync(stream.fileno())


def _read(line: bytes) -> dict[str, Any] | None:
    """A line of the ledger; None if it was torn."""
    try:
        read = json.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return read if isinstance(read, dict) else None


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _put_together(rows_file: Path, out: Path, ledger: Ledger, share: float) -> dict[str, Any]:
    """The file itself, without the least likely rows, written beside its place and renamed."""
    by_likelihood = sorted(range(ledger.kept), key=lambda row: ledger.rows[row][0])
    left_out = set(by_likelihood[: int(share * ledger.kept)])
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.with_name(f".{out.name}.part")
    with rows_file.open("rb") as kept, beside.open("wb") as stream:
        rows = (row for line in kept if (row := json.loads(line)).get("blocks") is None)
        for number, row in enumerate(rows):
            if number not in left_out:
                stream.write(_line({name: row[name] for name in ("text", "prompt", "completion", "mean_logprob")}))
    if out.exists() and not filecmp.cmp(beside, out, shallow=False):  # the same is ours: put there before a kill
        beside.unlink()
        raise _in_the_way(out)
    sync_file(beside)
    beside.replace(out)
    sync_folder(out.parent)
    dropped = dict(ledger.dropped) | ({"least likely": len(left_out)} if left_out else {})
    return {
        "file": str(out),
        "written": ledger.written,
        "kept": ledger.kept - len(left_out),
        "dropped": dropped,
        "tokens": sum(tokens for row, (_, tokens) in enumerate(ledger.rows) if row not in left_out),
        "seconds": ledger.seconds,
        "tokens_per_second": round(ledger.generated / ledger.seconds, 1) if ledger.seconds else None,
    }


def _in_the_way(out: Path) -> Trouble:
    return Trouble(f"{out} is there already, and nothing is overwritten.", "Move it away, then resume the run.")
