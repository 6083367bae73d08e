"""A sweep: merge, score on held-out text, keep the best, go on to the next point. A point that was scored is never done again.

The merged model of a point lies in the run's work folder while it is scored; only the best so far stays.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from transformers.utils import logging as transformers_logging

from core import defaults
from core import events as ev
from core.documents import documents
from core.engine.evaluate import trained_framing
from core.engine.memory import free_unused
from core.engine.merge.job import Merger, move_whole, work_folder
from core.engine.models import compute_dtype, load_model, load_tokenizer
from core.engine.scoring import score
from core.engine.session import Session
from core.engine.text import Corpus, Framing, encode_documents, find_framing, first_texts
from core.errors import BadData, Trouble
from core.merge.run import MergeRecipe, in_the_way
from core.sweep import SweepRecipe

LEDGER = "points.jsonl"


class Quiet:
    """A session to the merges of a sweep: they heed the stop, and leave the telling to the sweep."""

    def __init__(self, session: Session) -> None:
        self.run = session.run
        self.artifacts = session.artifacts
        self.check_stop = session.check_stop

    def phase(self, name: str, detail: str = "") -> None:
        self.check_stop()

    def progress(self, share: float) -> None:
        self.check_stop()

    def choose(self, name: str, value: Any, reason: str) -> None:
        """The sweep says what it chose."""

    def notice(self, text: str, level: str = "info") -> None:
        """Said at every point, it would be said a hundred times."""


def run(session: Session) -> dict[str, Any]:
    """Returns the points with their scores, the best one, and where its model is."""
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    recipe = session.recipe
    assert isinstance(recipe, SweepRecipe)
    out = Path(recipe.out) if recipe.out else session.artifacts / "model"
    work = work_folder(session, out)
    try:
        return Sweep(session, recipe, work).run(out)
    finally:
        if session.discarding:
            shutil.rmtree(work, ignore_errors=True)


class Sweep:
    def __init__(self, session: Session, recipe: SweepRecipe, work: Path) -> None:
        self.session, self.recipe, self.work = session, recipe, work
        self.points = recipe.points()
        self.labels = [axis.label for axis in recipe.axes]
        self.ledger = session.run.path / LEDGER
        self.rows = _read(self.ledger)
        self.reading: tuple[Corpus, Framing] | None = None
        self.dtype, why = compute_dtype(session.device, recipe.precision)
        session.choose("precision", str(self.dtype).removeprefix("torch."), why)

    def run(self, out: Path) -> dict[str, Any]:
        session = self.session
        self._tidy()
        session.phase("sweeping", f"{len(self.points)} points along {' and '.join(self.labels)}")
        for number in range(len(self.rows), len(self.points)):
            session.progress(number / len(self.points))
            self._point(number)
        session.progress(1.0)
        best = self._best()
        assert best is not None
        if (why := in_the_way(out)) is not None:
            raise Trouble(why, "Then resume the run.")
        out.parent.mkdir(parents=True, exist_ok=True)
        move_whole(self._folder(best["point"]), out)
        shutil.rmtree(self.work, ignore_errors=True)
        return {
            "model": str(out),
            "axes": self.labels,
            "points": self.rows,
            "best": best,
            "bits_per_byte": best["bits_per_byte"],
        }

    def _point(self, number: int) -> None:
        """Merge and score one point, and put it in the ledger once its model is kept or gone."""
        folder = self._folder(number)
        values = dict(zip(self.labels, self.points[number], strict=True))
        shutil.rmtree(folder, ignore_errors=True)
        recipe = MergeRecipe(
            text=self.recipe.text_at(self.points[number]),
            folder=self.recipe.folder,
            seed=self.recipe.seed,
            threads=self.recipe.threads,
            allow_remote_code=self.recipe.allow_remote_code,
        )
        Merger(Quiet(self.session), recipe, self.work / "merging").merge(folder)  # type: ignore[arg-type]
        metrics = self._score(folder)
        row = {"point": number, **values, **{name: metrics[name] for name in ("bits_per_byte", "ce", "perplexity")}}
        self.rows.append(row)
        with self.ledger.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.session.say(ev.EvaluationLogged(number, 0, "merge", {name: row[name] for name in row if name != "point"}))
        self._tidy()

    def _score(self, folder: Path) -> dict[str, float | None]:
        model = load_model(folder, self.session.device, self.dtype, self.recipe.allow_remote_code)
        try:
            if self.reading is None:
                self.reading = self._read_text(folder, model)
            corpus, framing = self.reading
            context = int(getattr(model.config, "max_position_embeddings", 0) or 2048)
            context = min(context, max(512, defaults.scored_rows(model.get_input_embeddings().weight.shape[0])))
            self.session.check_stop()
            stop = self.session.check_stop
            return score(model, corpus, framing, context, self.session.device, progress=lambda share: stop()).metrics()
        finally:
            del model
            free_unused(self.session.device)

    def _read_text(self, folder: Path, model: Any) -> tuple[Corpus, Framing]:
        """The same tokens for every point: a sweep does not change the tokenizer."""
        recipe = self.recipe
        tokenizer = load_tokenizer(folder, recipe.allow_remote_code)
        framing = trained_framing(folder) or find_framing(
            tokenizer, model, first_texts(recipe.data, recipe.separator), self.session.device
        )
        corpus = encode_documents(
            documents(recipe.data, recipe.separator), tokenizer, framing, recipe.most_tokens, self.session.check_stop
        )
        if not len(corpus):
            raise BadData(
                f"{', '.join(recipe.data)} holds no text to score.", "Name text that the models have not seen."
            )
        return corpus, framing

    def _best(self) -> dict[str, Any] | None:
        """The first of the lowest bits per byte; a model that diverged is never the best."""
        scored = [row for row in self.rows if row["bits_per_byte"] == row["bits_per_byte"]]
        return min(scored or self.rows, key=lambda row: row["bits_per_byte"], default=None)

    def _tidy(self) -> None:
        """Remove every model but the best so far."""
        best = self._best()
        for folder in self.work.glob("point-*"):
            if best is None or folder != self._folder(best["point"]):
                shutil.rmtree(folder)
        if best is not None and not self._folder(best["point"]).is_dir():
            raise Trouble(
                f"The best model so far, of point {best['point']}, was removed from {self.work}.",
                "Start the sweep again.",
            )

    def _folder(self, number: int) -> Path:
        return self.work / f"point-{number:04d}"


def _read(ledger: Path) -> list[dict[str, Any]]:
    """The points of earlier attempts; a torn last line is cut off."""
    if not ledger.exists():
        return []
    rows, whole = [], 0
    with ledger.open("r+b") as stream:
        for line in stream:
            if not line.endswith(b"\n"):
                break
            rows.append(json.loads(line))
            whole += len(line)
        stream.truncate(whole)
    return rows
