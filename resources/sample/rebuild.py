"""Rebuild the sample's teachers from nothing and print their scores:

    python -m resources.sample.rebuild [--home FOLDER] [--only stories-2M]

Writes the text with the story generator, makes the tokenizer, trains each model from scratch as an ordinary run (so it can be killed and
called again: finished runs are kept, others are resumed), asks the questions, and puts the folders into `resources/sample`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

from core.distill import DistillRecipe
from core.evaluate import EvaluateRecipe
from core.files import write_json
from core.home import Home
from core.recipe import Recipe
from core.runner import ensure_runner
from core.runs import RunFolder, all_runs, enqueue, new_run
from core.state import State
from resources.sample import FAMILY, FOLDER, HELD_OUT_STORIES, SKILL_QUESTIONS
from resources.sample.stories import HELD_OUT_SEED, TRAIN_SEED, write_corpus
from resources.sample.tokenizer import build_tokenizer

STORIES_PER_TOKEN = 1 / 180
TEXT_TOKENS = 6_000_000
# The largest needs more than the others, and gets it in two sittings: the second goes on from the first, in another order of the text.
TOKENS = {"stories-0.8M": (6_000_000,), "stories-2M": (6_000_000,), "stories-5M": (5_000_000, 5_000_000)}
# The wider the model, the lower the rate and the smaller the batch that served it best in trials of 400 000 tokens.
LEARNING_RATES = {"stories-0.8M": 4e-3, "stories-2M": 2e-3, "stories-5M": 1e-3}
BLOCKS = {"stories-0.8M": 12, "stories-2M": 6, "stories-5M": 4}  # in one optimizer step
SEQUENCE = 384


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path("sample-home"), help="the data folder of the training runs")
    parser.add_argument(
        "--only", choices=sorted(FAMILY), action="append", help="rebuild only this one (may be repeated)"
    )
    parser.add_argument("--into", type=Path, default=FOLDER, help="where the finished models go")
    arguments = parser.parse_args()
    home = Home(arguments.home.absolute())
    home.make()
    train, held_out = _text(home)
    scores = {}
    for name in arguments.only or FAMILY:
        model = _seed_folder(home, name)
        for sitting in range(len(TOKENS[name])):
            model = _finished(home, _recipe(name, sitting, model, train)).artifacts / "student"
        target = arguments.into / name
        _install(model, target)
        evaluation = _finished(
            home,
            EvaluateRecipe(
                name=f"score {name}",
                model=str(model),
                data=(str(held_out),),
                skills=SKILL_QUESTIONS,
            ),
        )
        scores[name] = evaluation.history().results
    _print(scores)
    return 0


def _text(home: Home) -> tuple[Path, Path]:
    home.sample.mkdir(exist_ok=True)
    train = home.sample / f"train-{TEXT_TOKENS}.txt"
    held_out = home.sample / "held-out.txt"
    if not train.exists():
        write_corpus(train, TRAIN_SEED, int(TEXT_TOKENS * STORIES_PER_TOKEN))
    if not held_out.exists():
        write_corpus(held_out, HELD_OUT_SEED, HELD_OUT_STORIES)
    return train, held_out


def _seed_folder(home: Home, name: str) -> Path:
    """A folder with a config and the tokenizer, but no weights: what a model from scratch begins with."""
    folder = home.sample / name
    folder.mkdir(exist_ok=True)
    build_tokenizer(folder)
    write_json(folder / "config.json", FAMILY[name])
    return folder


def _recipe(name: str, sitting: int, model: Path, train: Path) -> DistillRecipe:
    return DistillRecipe(
        name=name,
        student=str(model),
        init="existing" if sitting else "scratch",
        data=(str(train),),
        tokens=TOKENS[name][sitting],
        seed=1 + sitting,
        save_precision="bfloat16",
        sequence_length=SEQUENCE,
        batch_tokens=BLOCKS[name] * SEQUENCE,
        micro_batch=min(6, BLOCKS[name]),
        learning_rate=LEARNING_RATES[name],
    )


def _finished(home: Home, recipe: Recipe) -> RunFolder:
    """The finished run of this recipe: an older one, a resumed one, or a new one. Exits if it fails."""
    same = [run for run in all_runs(home) if run.recipe() == recipe]
    run = same[-1] if same else new_run(home, recipe)
    while (state := run.state()) is not State.FINISHED:
        history = run.history()
        if state is State.FAILED and history.failure:
            sys.exit(f"{recipe.title()}: {history.failure.what} {history.failure.way_out}\n{history.failure.details}")
        if state in (State.STOPPED, State.CRASHED):
            enqueue(home, run)
        ensure_runner(home)
        done = f"{history.share:.0%}" if history.share is not None else ""
        loss = f"loss {history.steps[-1].total:.3f}" if history.steps and history.steps[-1].total else ""
        print(f"\r{recipe.title()}: {state} {history.phase} {done} {loss}    ", end="", file=sys.stderr, flush=True)
        time.sleep(1.0)
    print(file=sys.stderr)
    return run


def _install(student: Path, target: Path) -> None:
    """Put the files that a teacher needs into the resources; the run's own lineage and card are left behind."""
    beside = target.with_name(f".{target.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    names = (
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    )
    for name in names:
        if (student / name).exists():
            shutil.copy(student / name, beside / name)
    shutil.rmtree(target, ignore_errors=True)
    beside.rename(target)


def _print(scores: dict[str, dict[str, object]]) -> None:
    rows = {name: {"bits/byte": row["bits_per_byte"], **(row.get("skills") or {})} for name, row in scores.items()}  # type: ignore[dict-item]
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    print("| model | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name, row in rows.items():
        print(
            f"| {name} | "
            + " | ".join(f"{row[column]:.3f}" if isinstance(row.get(column), float) else "–" for column in columns)
            + " |"
        )
    print(json.dumps(scores))


if __name__ == "__main__":
    sys.exit(main())
