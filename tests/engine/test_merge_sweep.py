"""A sweep scores every point of its grid, keeps the best, and goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from merging import weights, write_model
from tiny import events_of, history_of

from core import events as ev
from core.engine import sweep
from core.engine.__main__ import FAILED, FINISHED, work
from core.errors import BadRecipe
from core.home import Home
from core.runs import RunFolder, new_run
from core.sweep import Axis, SweepRecipe

pytestmark = pytest.mark.usefixtures("in_process")

MEAN = "models: [{model: a}, {model: b}]\nmerge_method: linear\n"
TIES = "models:\n  - {model: b, parameters: {weight: 0.5}}\n  - {model: c, parameters: {weight: 0.5}}\nmerge_method: ties\nbase_model: a\n"


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("family")
    for seed, name in enumerate("abc"):
        write_model(folder / name, seed)
    return folder


def new_sweep(home: Home, family: Path, data: Path, text: str, *along: str, **changes) -> RunFolder:
    recipe = SweepRecipe(
        text=text,
        folder=str(family),
        along=along,
        data=(str(data),),
        most_tokens=400,
        threads=1,
        device="cpu",
        **changes,
    )
    assert not recipe.problems(), recipe.problems()
    return new_run(home, recipe)


def test_every_point_is_scored_and_only_the_best_is_kept(home: Home, family: Path, data: Path):
    run = new_sweep(home, family, data, MEAN, "mix=0:1:0.5")
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    results = history_of(run).results
    assert [row["mix"] for row in results["points"]] == [0.0, 0.5, 1.0]
    assert results["best"]["bits_per_byte"] == min(row["bits_per_byte"] for row in results["points"])
    assert len({row["bits_per_byte"] for row in results["points"]}) == 3
    share, kept = results["best"]["mix"], weights(Path(results["model"]))
    for name, tensor in weights(family / "a").items():
        torch.testing.assert_close(kept[name], (1 - share) * tensor + share * weights(family / "b")[name])
    assert [path.name for path in run.artifacts.iterdir()] == ["model"]
    assert not list(run.path.rglob("point-*"))
    logged = [event.metrics for event in events_of(run, ev.EvaluationLogged)]
    assert [metrics["mix"] for metrics in logged] == [0.0, 0.5, 1.0]


def test_two_parameters_make_a_map_and_a_failed_sweep_goes_on(
    home: Home, family: Path, data: Path, monkeypatch: pytest.MonkeyPatch
):
    run = new_sweep(home, family, data, TIES, "weight@b=0,1", "density@c=0.2,0.9")
    scored = sweep.score
    calls = []

    def breaks(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise OSError("the cable was pulled")
        return scored(*arguments, **options)

    monkeypatch.setattr(sweep, "score", breaks)
    assert work(run, "cpu") == FAILED
    before = [json.loads(line) for line in (run.path / sweep.LEDGER).read_text().splitlines()]
    assert len(before) == 2
    assert work(run, "cpu") == FINISHED
    assert len(calls) == 5  # two, the broken one, and the two that were left
    points = history_of(run).results["points"]
    assert points[:2] == before
    assert [(row["weight@b"], row["density@c"]) for row in points] == [(0, 0.2), (0, 0.9), (1, 0.2), (1, 0.9)]


@pytest.mark.parametrize(
    ("text", "axis", "said"),
    [
        (MEAN, "wieght=0,1", "Did you mean weight?"),
        (MEAN, "weight@z=0,1", "there is no such model"),
        (TIES, "weight=0,1", "models have a weight of their own"),
        (TIES, "density@b=0,2", "must be between 0 and 1"),
        (MEAN, "inner/weight=0,1", "there is no merge inner"),
        (MEAN, "mix=0:1:0", "can't be read"),
        (MEAN, "mix", "is no axis"),
        (MEAN, "mix=0:1:0.0001", "Take larger steps"),
    ],
)
def test_an_axis_without_meaning_is_refused(family: Path, data: Path, text: str, axis: str, said: str):
    recipe = SweepRecipe(text=text, folder=str(family), along=(axis,), data=(str(data),))
    assert said in " ".join(problem.text for problem in recipe.problems())


def test_axes_are_read():
    assert Axis.read("t=0:1:0.25").values == (0, 0.25, 0.5, 0.75, 1)
    assert Axis.read("inner/weight@org/b=0.5,1") == Axis("weight", (0.5, 1.0), "org/b", "inner")
    with pytest.raises(BadRecipe):
        Axis.read("t=a,b")
