"""A teacher's text comes sifted, each row once, the same after a kill, in a file that a distillation reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny import beginnings, events_of, finished, history_of, load, put_back, tiny_recipe, train_briefly, write_teacher

from core import events as ev
from core.engine import write
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.session import Session
from core.engine.write import Ledger, Row, repeated_share
from core.home import Home
from core.runs import KEEP, RunFolder, new_run
from core.write import WriteRecipe

pytestmark = pytest.mark.usefixtures("in_process")


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that has learnt short texts, and so brings what it writes to an end."""
    folder = write_teacher(tmp_path_factory.mktemp("models") / "author", seed=3)
    model, tokenizer = load(folder)
    train_briefly(model, [[*tokenizer(text[:30]).input_ids, 1] for text in beginnings(60, seed=3)], 80)
    model.save_pretrained(folder)
    return folder


def recipe_of(author: Path, data: Path, **changes) -> WriteRecipe:
    fields = {"tokens": 600, "rows_at_once": 8, "new_tokens": 60, "temperature": 1.0, "prompt_tokens": 4}
    return WriteRecipe(teacher=str(author), data=(str(data),), device="cpu", **(fields | changes))


def worked(home: Home, recipe: WriteRecipe, code: int = FINISHED) -> RunFolder:
    run = new_run(home, recipe)
    assert work(run, "cpu") == code, history_of(run).failure
    return run


def rows_of(run: RunFolder) -> list[dict]:
    return [json.loads(line) for line in Path(history_of(run).results["file"]).read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, author: Path, data: Path) -> RunFolder:
    """A run that was never interrupted."""
    with put_back():
        return worked(Home.find(tmp_path_factory.mktemp("whole")), recipe_of(author, data))


def test_the_file_has_the_prompt_what_the_teacher_wrote_and_how_likely_it_found_it(whole, author, data) -> None:
    results, rows = history_of(whole).results, rows_of(whole)
    model, tokenizer = load(author)
    starts = [tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids[:4]) for text in beginnings(120)]
    tokens = 0
    for row in rows:
        assert set(row) == {"text", "prompt", "completion", "mean_logprob"}
        assert row["text"] == row["prompt"] + row["completion"]
        assert row["prompt"] in starts
        prompt, ids = tokenizer(row["prompt"]).input_ids, [*tokenizer(row["text"]).input_ids, 1]
        tokens += len(ids) - len(prompt)
        with torch.no_grad():
            log_p = model(torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        of_each = log_p.gather(1, torch.tensor(ids[1:])[:, None])[len(prompt) - 1 :, 0]
        # a text may be tokenised otherwise than it was written
        row["same"] = float(of_each.mean()) == pytest.approx(row["mean_logprob"], abs=1e-3)
    assert sum(row["same"] for row in rows) > len(rows) / 2
    assert results["kept"] == len(rows) == len({row["text"] for row in rows})
    assert results["written"] == results["kept"] + sum(results["dropped"].values())
    assert results["dropped"]["not ended"] > 0
    assert 600 <= results["tokens"] < 660
    assert results["tokens"] == pytest.approx(tokens, rel=0.2)
    assert results["seconds"] > 0
    assert results["tokens_per_second"] > 0
    assert events_of(whole, ev.SampleWritten)[0].subject == "teacher"
    assert not (whole.path / write.ROWS).exists()


@pytest.mark.parametrize("cut", [1, 40, 400])
def test_an_interrupted_run_goes_on_behind_its_last_block_and_makes_the_same_file(
    home, whole, author, data, monkeypatch, cut: int
) -> None:
    run = new_run(home, recipe_of(author, data))
    closed: list[int] = []
    close_block = Ledger.close_block

    def closing(ledger: Ledger, *given) -> None:
        close_block(ledger, *given)
        closed.append(ledger.blocks)

    monkeypatch.setattr(Ledger, "close_block", closing)
    monkeypatch.setattr(Session, "stop_wish", lambda session: KEEP if len(closed) == 3 else None)
    assert work(run, "cpu") == STOPPED
    left = (run.path / write.ROWS).read_bytes()
    (run.path / write.ROWS).write_bytes(left[:-cut])  # as if it had been killed while it wrote
    closed.clear()
    monkeypatch.setattr(Session, "stop_wish", lambda session: None)
    assert work(run, "cpu") == FINISHED
    assert closed[0] == 3  # the third block was not whole any more
    assert rows_of(run) == rows_of(whole)
    timings = ("file", "seconds", "tokens_per_second")
    found, expected = ({k: v for k, v in history_of(one).results.items() if k not in timings} for one in (run, whole))
    assert found == expected


def test_a_kill_between_the_file_and_the_last_word_is_no_trouble_but_a_strangers_file_is(
    home, author, data, tmp_path, monkeypatch
) -> None:
    out = tmp_path / "out" / "written.jsonl"
    run = new_run(home, recipe_of(author, data, tokens=60, out=str(out)))
    put_together = write._put_together

    def killed(*given):
        put_together(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "_put_together", killed)
    assert work(run, "cpu") == FAILED
    monkeypatch.setattr(write, "_put_together", put_together)
    written = out.read_bytes()
    ledger = (run.path / write.ROWS).read_bytes()
    assert work(run, "cpu") == FINISHED
    assert out.read_bytes() == written
    out.write_text("mine")
    (run.path / write.ROWS).write_bytes(ledger)
    assert work(run, "cpu") == FAILED
    assert "nothing is overwritten" in history_of(run).failure.what
    assert out.read_text() == "mine"
    assert not list(out.parent.glob(".*"))


def test_each_filter_drops_what_it_says(tmp_path) -> None:
    ledger = Ledger(tmp_path / "rows")
    recipe = WriteRecipe(teacher="t", data=("d",), tokens=1000, least_tokens=5, most_repetition=0.5)
    rows = [
        Row("Once", " good", -1.0, 9, True, 0.1),
        Row("Once", " cut", -1.0, 9, False, 0.0),
        Row("Once", " up", -1.0, 4, True, 0.0),
        Row("Once", " \n ", -1.0, 9, True, 0.0),
        Row("Once", " and and and", -1.0, 9, True, 0.6),
        Row("Once ", "  good", -1.0, 9, True, 0.1),  # the same but for white space
        Row("Twice", " good", -1.0, 9, True, 0.5),
    ]
    kept = ledger.sift(iter(rows), recipe, 1000)
    assert kept == [rows[0], rows[-1]]
    assert ledger.dropped == {"not ended": 1, "too short": 2, "repetitive": 1, "there already": 1}
    assert (ledger.written, ledger.kept, ledger.tokens, ledger.generated) == (7, 2, 18, 58)


def test_repetition_is_the_share_of_four_token_sequences_that_were_there_before() -> None:
    assert repeated_share([1, 2, 3]) == repeated_share(list(range(20))) == 0.0
    assert repeated_share([7] * 13) == pytest.approx(0.9)
    assert repeated_share([1, 2, 3, 4, 5, 1, 2, 3, 4]) == pytest.approx(1 / 6)


def test_the_least_likely_rows_are_left_out_and_the_rest_is_as_much_as_was_asked_for(home, author, data) -> None:
    run = worked(home, recipe_of(author, data, tokens=300, drop_least_likely=0.5))
    results = history_of(run).results
    assert (
        results["dropped"]["least likely"] == results["kept"]
        or results["dropped"]["least likely"] + 1 == results["kept"]
    )
    assert 150 < results["tokens"] < 450
    ledger = worked(home, recipe_of(author, data, tokens=600))
    likelihoods = [row["mean_logprob"] for row in rows_of(ledger)]
    assert min(row["mean_logprob"] for row in rows_of(run)) >= sorted(likelihoods)[len(likelihoods) // 2 - 2]


def test_rows_with_prompts_are_gone_on_from_whole(home, author, tmp_path) -> None:
    data = tmp_path / "prompts.jsonl"
    prompts = [text[:25] for text in beginnings(20)]
    data.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts), encoding="utf-8")
    run = worked(home, recipe_of(author, data, tokens=80, must_end=False))
    assert rows_of(run)
    assert {row["prompt"] for row in rows_of(run)} <= set(prompts)


def test_a_greedy_teacher_goes_through_the_prompts_once(home, author, tmp_path) -> None:
    data = tmp_path / "few.txt"
    data.write_text("\n<|endoftext|>\n".join(beginnings(5)), encoding="utf-8")
    run = worked(home, recipe_of(author, data, tokens=10_000, temperature=0, must_end=False, most_repetition=1))
    assert history_of(run).results["written"] == 5
    assert "greedy" in events_of(run, ev.NoticeRaised)[-1].text


def test_filters_that_leave_nothing_end_the_run_with_the_reasons(home, author, data) -> None:
    run = worked(home, recipe_of(author, data, least_tokens=60), FAILED)
    assert "too short" in history_of(run).failure.what
    assert "--no-must-end" in history_of(run).failure.way_out


def test_a_preview_shows_rows_and_their_fate_and_writes_no_file(home, author, data) -> None:
    run = worked(home, recipe_of(author, data, preview=11, new_tokens=20))
    rows = history_of(run).results["rows"]
    assert len(rows) == len(events_of(run, ev.SampleWritten)) == 11
    assert {row["dropped"] for row in rows} >= {None, "not ended"}
    assert not list(run.artifacts.iterdir())
    assert not (run.path / write.ROWS).exists()


def test_a_prompt_that_fills_the_context_is_named(home, author, tmp_path) -> None:
    data = tmp_path / "prompts.jsonl"
    data.write_text(json.dumps({"prompt": "word " * 200}) + "\n", encoding="utf-8")
    run = worked(home, recipe_of(author, data), FAILED)
    assert "line 1" in history_of(run).failure.what


def test_a_student_is_distilled_from_the_teachers_text(home, whole, author, tmp_path) -> None:
    data = Path(history_of(whole).results["file"])
    recipe = tiny_recipe(author, data, use_teacher=False, tokens=4 * 256, validation_tokens=64)
    assert history_of(finished(home, recipe)).results["after"]["ce"] > 0
