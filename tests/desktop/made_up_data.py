"""Files of data and runs on them, made up for pictures."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from core import events as ev
from core import runs
from core.files import write_json
from core.home import Home
from core.journal import JournalWriter
from core.prepare import PrepareRecipe
from core.recipe import Recipe
from core.runs import RunFolder
from core.survey import RESULT, SurveyRecipe


def chat(number: int, answer: str | None = None) -> dict[str, Any]:
    said = (
        f"A fox, a kite and {number} winds went up the hill, and the kite came down again."
        if answer is None
        else answer
    )
    return {
        "messages": [{"role": "user", "content": f"Tell me story {number}."}, {"role": "assistant", "content": said}]
    }


def files(folder: Path, arabic: str) -> None:
    """Conversations, a table whose columns nobody knows, a torn line, another encoding, and text from right to left."""
    folder.mkdir(parents=True)
    (folder / "chats.json").write_text(json.dumps([chat(number) for number in range(240)]))
    (folder / "Fragen.csv").write_text(
        "Frage,Antwort\nWie viele Füchse?,Sieben.\nWo ist der Drachen?,Im Wind.\n", encoding="utf-8"
    )
    rows = [json.dumps(chat(number, " " if number == 8 else None)) for number in range(120)]
    rows[88] = rows[88][:40]
    (folder / "torn.jsonl").write_text("\n".join(rows))
    (folder / "latin.txt").write_bytes("Käse und Brot\n".encode("latin-1"))
    said = {"prompt": f"{arabic}؟", "completion": f" {arabic}."}
    (folder / f"{arabic}.jsonl").write_text("\n".join([json.dumps(said, ensure_ascii=False)] * 12), encoding="utf-8")


def finished(home: Home, recipe: Recipe, phase: str, results: dict[str, Any]) -> RunFolder:
    run = runs.new_run(home, recipe)
    with JournalWriter(run.journal) as journal:
        journal.append(ev.RunStarted("cpu", 4242, 0.0, versions={"tokenizers": "0.23.0"}))
        journal.append(ev.PhaseEntered(phase))
        journal.append(ev.RunFinished(results))
    return run


def survey_run(home: Home, file: Path, model: Path) -> RunFolder:
    results = surveyed()
    run = finished(home, SurveyRecipe(data=(str(file),), model=str(model)), "reading", results)
    run.artifacts.mkdir(parents=True, exist_ok=True)
    write_json(run.artifacts / RESULT, results)
    return run


def surveyed() -> dict[str, Any]:
    """A survey whose longest rows are beyond the context."""
    edges = sorted({round(12 * 1.12**power) for power in range(40)})
    noise = random.Random(3)
    counts = [max(0, round(60 - abs(at - 19) ** 1.7 + noise.gauss(0, 4))) for at in range(len(edges) - 1)]
    return {
        "documents": sum(counts), "bytes": 912_000, "characters": 900_000, "unit": "tokens", "tokens": 214_000,
        "lengths": {"edges": edges, "counts": counts}, "mean_length": 142.6, "longest": edges[-1] - 1,
        "percentiles": {"50": 118.0, "90": 344.0, "99": 861.0}, "context": 512, "truncated": 0.043, "truncated_tokens": 0.0891,
        "exact_duplicates": 7, "exact_duplicates_shown": ["row 31 of /data/chats.json"], "near_duplicates": 12,
        "near_duplicates_shown": [{"place": "row 40 of /data/chats.json", "like": "row 12 of /data/chats.json", "similarity": 0.91}],
        "kinds": {"conversation": sum(counts)}, "roles": {"user": 612, "assistant": 612, "system": 40},
        "flaws": [{"text": "an answer is empty", "count": 3, "first": "row 77 of /data/chats.json"}], "broken": 0,
        "broken_rows": [], "refused_by_template": 0, "refused_first": "",
    }  # fmt: skip


def prepare_run(home: Home, folder: Path) -> RunFolder:
    data = (str(folder / "chats.json"), str(folder / "torn.jsonl"))
    recipe = PrepareRecipe(
        name="chats and questions, mixed", data=data, weights=(3.0, 1.0), repeat=True, skip_broken=True
    )
    return finished(home, recipe, "writing", prepared())


def prepared() -> dict[str, Any]:
    shown = [
        {"place": "row 31 of /data/chats.json", "text": "Tell me story 3.\nA fox went up the hill."},
        {"place": "line 12 of /data/torn.jsonl", "text": "Tell me story 12.\nA kite."},
    ]
    return {
        "read": 359, "kept": 341, "unit": "documents", "folder": "/data/prepared",
        "filters": [
            {"reason": "the same stood there before", "dropped": 17, "share": 0.0474, "shown": shown},
            {"reason": "an answer is empty", "dropped": 1, "share": 0.0028, "shown": shown[1:]},
        ],
        "sources": [{"path": "/data/chats.json", "taken": 234, "epochs": 1.0}, {"path": "/data/torn.jsonl", "taken": 78, "epochs": 0.7}],
        "classifier": {"accuracy": 0.86, "always_the_commoner": 0.55, "labelled": {"good": 22, "bad": 18}},
        "files": {"train.jsonl": {"documents": 296, "bytes": 41_200}, "validation.jsonl": {"documents": 16, "bytes": 2_300}},
    }  # fmt: skip
