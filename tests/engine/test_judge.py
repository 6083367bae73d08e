"""Verdicts need both orders, nonsense is counted, strengths have intervals, and people's votes stand beside the judge's."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import events_of, history_of, load, write_teacher

from core import events as ev
from core.cli import main
from core.engine import judge
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.session import Session
from core.judge import JudgeRecipe, records, strengths
from core.runs import KEEP, RunFolder, new_run
from core.votes import Verdict, verdicts, vote

pytestmark = pytest.mark.usefixtures("in_process")
QUESTIONS = [("generic", "Who are you?"), ("maths", "What is 2 and 2?"), ("maths", "Is 7 a prime?")]


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [write_teacher(folder / name, seed=seed) for seed, name in enumerate(("one", "two", "referee"), 20)]


@pytest.fixture
def questions(tmp_path) -> Path:
    file = tmp_path / "questions.jsonl"
    rows = [{"question_id": n, "category": c, "turns": [q]} for n, (c, q) in enumerate(QUESTIONS, 1)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def judged(home, three, questions, code: int = FINISHED, **fields) -> RunFolder:
    one, two, referee = map(str, three)
    given = {"judge": referee, "models": (one, two), "questions": str(questions), "answer_tokens": 6, "device": "cpu"}
    run = new_run(home, JudgeRecipe(**(given | fields)))
    assert work(run, "cpu") == code, history_of(run).failure
    return run


def letters(of_first: dict[str, float]):
    """A judge that thinks so much of each answer, and by `bias` more of whichever comes first."""

    def read(session, subject, question, first, second):
        a = of_first.get(first, 0.0) + of_first.get("bias", 0.0)
        return (-1.0 + a, -1.0 + of_first.get(second, 0.0)), False

    return read


def test_an_answer_wins_if_it_is_preferred_in_both_orders_and_else_it_is_a_tie(monkeypatch) -> None:
    recipe = JudgeRecipe(judge="j", models=("x", "y"), questions="q")
    asked = judge.Asked("7", "maths", ("What?",))

    def winner(**thought: float) -> str:
        monkeypatch.setattr(judge, "_letters", letters(thought))
        row, _ = judge._judge(None, recipe, None, asked, ("x", "y"), (["good"], ["bad"]))
        assert row["question_id"] == "7"
        assert (row["answer_a"], row["answer_b"], row["category"]) == ("good", "bad", "maths")
        return row["winner"]

    assert winner(good=0.5) == "a"
    assert winner(bad=0.5) == "b"
    assert winner(good=0.1, bias=0.4) == "tie"
    assert winner(good=0.5, bias=0.4) == "a"
    assert winner(good=-9.0, bad=-9.0) == "nonsense"


def test_a_run_keeps_every_verdict_with_its_text_and_shows_a_table(home, three, questions, monkeypatch) -> None:
    monkeypatch.setattr(judge, "_letters", letters({"bias": -0.4}))  # prefers what comes second, so all are ties
    run = judged(home, three, questions)
    results = history_of(run).results
    assert (results["verdicts"], results["ties"], results["nonsense"]) == (3, 3, 0)
    kept = verdicts(home)
    assert [(each.question, each.category) for each in kept] == [(q, c) for c, q in QUESTIONS]
    assert all(each.judge == str(three[2]) and isinstance(each.answer_a, str) for each in kept)
    table = {(row["category"]): (row["won"], row["tied"], row["lost"]) for row in results["records"]}
    assert table == {"": (0, 3, 0), "generic": (0, 1, 0), "maths": (0, 2, 0)}
    assert [row["elo"] for row in results["strengths"]] == pytest.approx([1000, 1000])


def test_a_judge_that_says_neither_letter_is_counted_and_left_out(home, three, questions, monkeypatch) -> None:
    monkeypatch.setattr(judge, "LEAST_MASS", 2.1)  # more than two letters can have
    run = judged(home, three, questions)
    results = history_of(run).results
    assert results["nonsense"] == 3
    assert results["strengths"] == []
    assert verdicts(home) == []
    assert any("of no use in 3 of 3" in notice.text for notice in events_of(run, ev.NoticeRaised))


def test_a_judge_of_the_same_family_is_warned_of(home, three, questions) -> None:
    run = judged(home, three, questions, limit=1)
    assert any("one family" in notice.text for notice in events_of(run, ev.NoticeRaised) if notice.level == "warning")


def test_an_interrupted_run_judges_on_and_keeps_each_verdict_once(home, three, questions, monkeypatch) -> None:
    judge_one, calls = judge._judge, []

    def counted(*given):
        calls.append(given[3].id)
        return judge_one(*given)

    monkeypatch.setattr(judge, "_judge", counted)
    monkeypatch.setattr(Session, "stop_wish", lambda session: KEEP if len(calls) == 2 else None)
    run = judged(home, three, questions, STOPPED)
    with (run.artifacts / judge.VERDICTS).open("a") as stream:
        stream.write('{"torn')
    monkeypatch.setattr(Session, "stop_wish", lambda session: None)
    assert work(run, "cpu") == FINISHED
    assert calls == ["1", "2", "3"]
    judge.keep(home, run.id, [])
    rows = [json.loads(line) for line in (home.root / "verdicts.jsonl").read_text().splitlines()]
    assert [row["question_id"] for row in rows] == ["1", "2", "3"]


def test_questions_with_a_broken_row_are_named(home, three, questions) -> None:
    with questions.open("a") as stream:
        stream.write('{"question_id": 4, "turns": []}\n')
    run = judged(home, three, questions, FAILED)
    assert "Line 4" in history_of(run).failure.what


def test_the_probabilities_are_the_judges_own(three) -> None:
    """Both letters' log-probabilities behind the prompt, one by one in float64. The prompt is longer than the context, which is said."""
    model, tokenizer = load(three[2])
    subject = judge.Subject.load(Quiet(), three[2], "float32", False)
    (a, b), cut = judge._letters(Quiet(), subject, "Q", "yes", "no")
    text = judge._judge_prompt(Quiet(), subject, "Q", "yes", "no")[-124:]
    assert cut
    for letter, found in (("A", a), ("B", b)):
        ids = torch.tensor([text + tokenizer(f" {letter}", add_special_tokens=False).input_ids])
        with torch.no_grad():
            log_p = model(input_ids=ids).logits[0, :-1].double().log_softmax(-1)
        own = log_p.gather(1, ids[0, 1:, None])[len(text) - 1 :].sum().item()
        assert found == pytest.approx(own, rel=1e-3)


class Quiet:
    """As much of a session as loading needs."""

    device = "cpu"

    def choose(self, *given) -> None:
        pass


def game(a: str, b: str, winner: str, category: str = "") -> Verdict:
    return Verdict("q", a, b, "x", "y", winner, category)


def test_strengths_are_bradley_and_terrys() -> None:
    """Three wins to one are odds of 3, so 400·log10(3) apart."""
    found = strengths([game("x", "y", "a")] * 3 + [game("x", "y", "b")], rounds=50, prior=0.0)
    assert [each.model for each in found] == ["x", "y"]
    assert found[0].elo - found[1].elo == pytest.approx(190.85, abs=0.01)
    assert found[0].elo + found[1].elo == pytest.approx(2000)
    assert found[0].low <= found[0].elo <= found[0].high
    assert found[0].games == 4


def test_strengths_over_three_models_maximise_the_likelihood() -> None:
    games = (
        [("x", "y", "a")] * 5
        + [("x", "y", "b")] * 3
        + [("y", "z", "a")] * 4
        + [("y", "z", "tie")] * 2
        + [("z", "x", "a")] * 2
    )
    found = {s.model: s.elo for s in strengths([game(*each) for each in games], rounds=0, prior=0.0)}

    def likelihood(elo: dict[str, float]) -> float:
        total = 0.0
        for a, b, winner in games:
            p = 1 / (1 + 10 ** ((elo[b] - elo[a]) / 400))
            total += {"a": np.log(p), "b": np.log(1 - p), "tie": (np.log(p) + np.log(1 - p)) / 2}[winner]
        return float(total)

    best = likelihood(found)
    for model in found:
        for change in (-5, 5):
            assert likelihood({**found, model: found[model] + change}) < best


def test_one_that_never_lost_is_strong_but_not_infinitely() -> None:
    found = strengths([game("x", "y", "a")] * 10)
    assert 100 < found[0].elo - 1000 < 1000
    assert strengths([]) == []


def test_records_are_the_same_whoever_is_named_first() -> None:
    found = records([game("x", "y", "a", "maths"), game("y", "x", "a", "maths"), game("x", "y", "tie")])
    assert [(r.a, r.b, r.category, r.won, r.tied, r.lost) for r in found] == [
        ("x", "y", "", 1, 1, 1),
        ("x", "y", "maths", 1, 0, 1),
    ]


def test_votes_of_people_stand_in_the_same_table(home, capsys) -> None:
    vote(home, "Who?", {"/m/x": "I", "/m/y": "you"}, "/m/x")
    assert main(["verdicts", "--home", str(home.root), "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [row["model"] for row in said["strengths"]] == ["/m/x", "/m/y"]
    assert all(one["elo"] > other["elo"] for one, other in pairwise(said["strengths"]))
    assert main(["verdicts", "--home", str(home.root), "--by", "nobody", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["verdicts"] == 0
