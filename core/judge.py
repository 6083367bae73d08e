"""Answers judged in pairs: the recipe of a judging run, and what follows from verdicts, whoever gave them.

Verdicts of models and of people lie in one file, `verdicts.jsonl` of the data folder (`core.votes`); a model's have its probabilities too.
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from core.errors import Trouble
from core.home import Home
from core.recipe import Problem, Recipe
from core.votes import Verdict, verdicts_file

ELO_PER_NAT = 400 / math.log(10)
ELO_MEAN = 1000.0


class JudgeRecipe(Recipe):
    """Models answer the questions of a file, and another model says of each pair of answers which is better."""

    kind: Literal["judge"] = "judge"

    judge: str = Field(description="The folder of the model that judges.")
    models: tuple[str, ...] = Field(min_length=2, description="The folders of the models that are judged.")
    questions: str = Field(
        description="JSON lines of questions, in the format of Vicuna-bench and MT-bench: question_id, category, turns."
    )
    limit: int | None = Field(None, ge=1, description="Only the first questions.")
    answer_tokens: int = Field(256, ge=1, description="How long an answer may grow.")
    temperature: float = Field(0.0, ge=0, le=5, description="Of the answers; 0 is the likeliest.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the device has it."
    )

    def title(self) -> str:
        return self.name or f"{Path(self.judge).name} judges {', '.join(Path(model).name for model in self.models)}"

    def problems(self) -> list[Problem]:
        folders = [("judge", self.judge), *(("models", model) for model in self.models)]
        found = [
            Problem(field=field, text=f"There is no folder {folder}. Choose a model folder.")
            for field, folder in folders
            if not Path(folder).is_dir()
        ]
        if not Path(self.questions).is_file():
            found.append(
                Problem(field="questions", text=f"There is no file {self.questions}. Choose a file of questions.")
            )
        if len(set(self.models)) < len(self.models):
            found.append(Problem(field="models", text="A model is named twice. Name each once."))
        return found


# --- what follows from verdicts ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Strength:
    """A model's strength on Elo's scale (mean 1000; 400 more are odds of 10 to 1), and the middle 95 % of its bootstrap."""

    model: str
    elo: float
    low: float
    high: float
    games: int


@dataclass(frozen=True)
class Record:
    """How model `a` did against model `b` in one category (empty for all)."""

    a: str
    b: str
    category: str
    won: int
    tied: int
    lost: int


def records(verdicts: Iterable[Verdict]) -> list[Record]:
    """Of each pair of models, by category and over all; pairs and categories in the order in which they come."""
    tallies: dict[tuple[str, str, str], Counter[str]] = {}
    for verdict in verdicts:
        flipped = (verdict.b, verdict.a, "") in tallies
        a, b = (verdict.b, verdict.a) if flipped else (verdict.a, verdict.b)
        winner = verdict.winner if not flipped or verdict.winner == "tie" else ("b" if verdict.winner == "a" else "a")
        for category in dict.fromkeys(("", verdict.category)):
            tallies.setdefault((a, b, category), Counter())[winner] += 1
    return [Record(*key, tally["a"], tally["tie"], tally["b"]) for key, tally in tallies.items()]


def strengths(verdicts: Sequence[Verdict], rounds: int = 200, seed: int = 0, prior: float = 0.1) -> list[Strength]:
    """The strongest first, by Bradley and Terry's model (Biometrika 39, 1952): P(i beats j) = s_i / (s_i + s_j).

    A tie is half a win for each. `prior` imagined ties between any two models that met keep one that never lost from being infinitely
    strong. The interval is the middle 95 % of `rounds` fits to verdicts drawn again with replacement.
    """
    import numpy as np

    models = list(dict.fromkeys(model for verdict in verdicts for model in (verdict.a, verdict.b)))
    if not models:
        return []
    place = {model: at for at, model in enumerate(models)}
    games = np.array([(place[v.a], place[v.b], {"a": 1.0, "b": 0.0, "tie": 0.5}[v.winner]) for v in verdicts])
    generator = np.random.default_rng(seed)

    def fit(rows: Any) -> Any:
        wins = np.zeros((len(models), len(models)))
        np.add.at(wins, (rows[:, 0].astype(int), rows[:, 1].astype(int)), rows[:, 2])
        np.add.at(wins, (rows[:, 1].astype(int), rows[:, 0].astype(int)), 1 - rows[:, 2])
        return _elo(wins, prior)

    point = fit(games)
    drawn = np.array([fit(games[generator.integers(0, len(games), len(games))]) for _ in range(rounds)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0) if rounds else (point, point)
    played = Counter(model for verdict in verdicts for model in (verdict.a, verdict.b))
    found = [Strength(m, float(point[i]), float(low[i]), float(high[i]), played[m]) for i, m in enumerate(models)]
    return sorted(found, key=lambda each: -each.elo)


def _elo(wins: Any, prior: float) -> Any:
    """Hunter's MM iterations (Annals of Statistics 32, 2004, equation 3) to the maximum of the likelihood, on Elo's scale."""
    import numpy as np

    wins = wins + prior / 2 * ((wins + wins.T) > 0)
    met = wins + wins.T
    strength = np.ones(len(wins))
    for _ in range(2000):
        better = wins.sum(1) / np.maximum((met / (strength[:, None] + strength[None, :])).sum(1), 1e-300)
        better = np.maximum(better, 1e-12)
        better /= np.exp(np.log(better).mean())
        if np.abs(np.log(better) - np.log(strength)).max() < 1e-9:
            break
        strength = better
    return ELO_MEAN + ELO_PER_NAT * np.log(strength)


# --- keeping them -----------------------------------------------------------------------------------------------------


def keep(home: Home, run: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add a run's verdicts to the store, in one write and once only, however often the run ends. Trouble if they can't be written."""
    file = verdicts_file(home)
    mark = json.dumps({"run": run})[1:-1]
    try:
        if file.exists() and mark.encode() in file.read_bytes():
            return
        lines = "".join(json.dumps({**row, "run": run}) + "\n" for row in rows)
        with file.open("ab+", buffering=0) as stream:
            end = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, end - 1))
            torn = end > 0 and stream.read(1) != b"\n"
            stream.write((b"\n" if torn else b"") + lines.encode("ascii"))
    except OSError as error:
        raise Trouble(
            f"The verdicts can't be kept in {file}: {error.strerror}.", "Free some space, then resume the run."
        ) from error
