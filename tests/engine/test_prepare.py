"""Data made ready: mixed in the shares that were asked for, sifted with reasons, split by the texts, and the same after a kill."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tiny import beginnings, events_of, history_of, load, write_teacher

from core import events as ev
from core.engine import grading, prepare
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.embedding import ModelEmbedder
from core.engine.grading import labelled_rows, train
from core.engine.mixture import lots, mix, sides
from core.engine.prepare import Ledger
from core.engine.session import Session
from core.errors import BadData
from core.fetch import FetchRecipe
from core.files import read_json
from core.home import Home
from core.library import Library
from core.prepare import PrepareRecipe
from core.runs import KEEP, RunFolder, new_run

pytestmark = pytest.mark.usefixtures("in_process")


def rows_in(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


def write_rows(file: Path, rows: list[dict]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture
def stories(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "stories.jsonl", [{"text": text} for text in beginnings(300)])


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    rows = [{"instruction": f"Add {n} and 1.", "output": f"That is {n + 1}."} for n in range(100)]
    return write_rows(tmp_path / "sums.jsonl", rows)


def prepared(home: Home, code: int = FINISHED, **fields) -> tuple[RunFolder, dict]:
    fields["data"] = tuple(map(str, fields["data"]))
    run = new_run(home, PrepareRecipe(**fields))
    assert work(run, "cpu") == code, history_of(run).failure
    return run, history_of(run).results


def test_a_mixture_has_its_shares_and_a_card_with_checksums(home, stories, sums, tmp_path) -> None:
    out = tmp_path / "mixed"
    run, results = prepared(home, data=(stories, sums), weights=(0.75, 0.25), out=str(out), validation=0.1)
    train_rows, held = rows_in(out / "train.jsonl"), rows_in(out / "validation.jsonl")
    kinds = ["text" in row for row in [*train_rows, *held]]
    assert (len(kinds), sum(kinds)) == (400, 300)
    assert 20 < len(held) < 65
    assert not {json.dumps(row) for row in train_rows} & {json.dumps(row) for row in held}
    assert ["text" in row for row in train_rows] != sorted(("text" in row for row in train_rows), reverse=True)
    card = read_json(out / "stillroom_data.json")
    assert card["recipe"]["weights"] == [0.75, 0.25]
    for name, facts in results["files"].items():
        assert facts["sha256"] == hashlib.sha256((out / name).read_bytes()).hexdigest()
    with Library(home) as library:
        library.refresh_runs()
        library.refresh_data()
        [found] = library.data_sets()
    assert (found.path, found.documents, found.source) == (out, 400, "run")
    assert not (run.path / prepare.ROWS).exists()


def test_what_a_filter_drops_is_counted_and_shown(home, stories, tmp_path) -> None:
    more = [{"text": text} for text in (beginnings(300)[5] + " ", "short", "<html> " + "word " * 30, "nothing " * 200)]
    more += [{"prompt": "Why?", "completion": " "}]
    data = write_rows(tmp_path / "more.jsonl", [*map(json.loads, stories.read_text("utf-8").splitlines()), *more])
    filters = {"least_characters": 10, "most_characters": 1000, "drop": ("^<html>",), "keep": ("[a-z]",)}
    _, results = prepared(home, data=(data,), **filters)
    dropped = {told["reason"]: told["dropped"] for told in results["filters"]}
    assert dropped == {
        "an answer is empty": 1,
        "the same stood there before": 1,
        "shorter than 10 characters": 1,
        "matches '^<html>'": 1,
        "longer than 1000 characters": 1,
    }
    assert results["read"] == results["kept"] + 5 == 305
    same = next(told for told in results["filters"] if told["reason"].startswith("the same"))
    assert same["shown"][0]["place"] == f"line 301 of {data}"
    _, looked = prepared(home, data=(data,), preview=302, **filters)
    assert (looked["read"], looked["kept"]) == (302, 300)


def test_near_duplicates_and_tokens_are_sifted_too(home, teacher, tmp_path) -> None:
    long = " ".join(beginnings(6, characters=4000))
    texts = [long, long.replace(long.split()[30], "otherwise", 1), *beginnings(20)]
    data = write_rows(tmp_path / "a.jsonl", [{"text": text} for text in texts])
    tokenizer = load(teacher)[1]
    lengths = [len(tokenizer(text, add_special_tokens=False).input_ids) for text in texts]
    least = sorted(lengths)[5]
    _, results = prepared(
        home, data=(data,), drop_near=True, least_tokens=least, model=str(teacher), weigh_by="tokens", validation=0
    )
    dropped = {told["reason"]: told["dropped"] for told in results["filters"]}
    assert dropped == {
        "almost the same stood there before": 1,
        f"fewer than {least} tokens": sum(n < least for n in lengths),
    }
    assert results["sources"][0]["taken"] == sum(lengths[:1] + [n for n in lengths[2:] if n >= least])


@pytest.mark.parametrize("cut", [1, 60])
def test_an_interrupted_run_goes_on_behind_its_last_block_and_makes_the_same_files(
    home, stories, sums, monkeypatch, cut: int
) -> None:
    monkeypatch.setattr(prepare, "AT_ONCE", 32)
    fields = {"data": (stories, sums), "weights": (0.8, 0.2), "drop_near": True, "similarity": 0.5, "test": 0.1}
    whole = prepared(home, **fields)[1]
    run = new_run(home, PrepareRecipe(**fields | {"data": (str(stories), str(sums))}))
    closed: list[int] = []
    close_block = Ledger.close_block

    def closing(ledger: Ledger, *given) -> None:
        close_block(ledger, *given)
        closed.append(sum(ledger.read))

    monkeypatch.setattr(Ledger, "close_block", closing)
    monkeypatch.setattr(Session, "stop_wish", lambda session: KEEP if len(closed) == 4 else None)
    assert work(run, "cpu") == STOPPED
    left = (run.path / prepare.ROWS).read_bytes()
    (run.path / prepare.ROWS).write_bytes(left[:-cut])  # as if it had been killed while it wrote
    closed.clear()
    monkeypatch.setattr(Session, "stop_wish", lambda session: None)
    assert work(run, "cpu") == FINISHED
    assert closed[0] == 128  # the fourth block was not whole any more
    results = history_of(run).results
    assert {name: facts["sha256"] for name, facts in results["files"].items()} == {
        name: facts["sha256"] for name, facts in whole["files"].items()
    }
    assert results["filters"] == whole["filters"]


def test_a_kill_behind_the_last_rename_is_no_trouble_but_a_strangers_folder_is(
    home, stories, tmp_path, monkeypatch
) -> None:
    out = tmp_path / "out"
    run = new_run(home, PrepareRecipe(data=(str(stories),), out=str(out)))
    put_together = prepare._put_together

    def killed(*given):
        put_together(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "_put_together", killed)
    assert work(run, "cpu") == FAILED
    monkeypatch.setattr(prepare, "_put_together", put_together)
    written = (out / "train.jsonl").read_bytes()
    assert work(run, "cpu") == FINISHED
    assert (out / "train.jsonl").read_bytes() == written
    assert history_of(run).results["folder"] == str(out)
    other = new_run(home, PrepareRecipe(data=(str(stories),), out=str(out)))
    assert work(other, "cpu") == FAILED
    assert "there already" in history_of(other).failure.what


def test_filters_that_leave_nothing_end_the_run_with_the_reason(home, stories) -> None:
    run, _ = prepared(home, FAILED, data=(stories,), least_characters=100_000)
    assert "Of 300 rows not one is kept" in history_of(run).failure.what


# --- the arithmetic of mixtures ---------------------------------------------------------------------------------------


def mixed(sizes: list[int], weights=(), total=None, repeat=False) -> tuple[list[float], int]:
    rows = [np.ones(size, np.int64) for size in sizes]
    choice = [np.random.default_rng(number).random(size) for number, size in enumerate(sizes)]
    found = mix(rows, choice, weights, total, repeat)
    return [float(times.sum()) for times in found.times], found.wanted


def test_shares_are_kept_by_taking_less_or_by_repeating() -> None:
    assert mixed([100, 300]) == ([100, 300], 400)
    assert mixed([100, 300], total=40) == ([10, 30], 40)
    assert mixed([100, 300], (0.5, 0.5)) == ([100, 100], 200)
    assert mixed([100, 300], (0.5, 0.5), repeat=True) == ([300, 300], 600)
    assert mixed([100, 300], (0.5, 0.5), total=500) == ([100, 100], 500)
    assert mixed([100, 300], (0.5, 0.5), total=500, repeat=True) == ([250, 250], 500)
    assert mixed([100, 300], (0, 1)) == ([0, 300], 300)
    assert mixed([0, 300], (0.5, 0.5)) == ([0, 300], 600)
    assert mixed([0, 0], (0.5, 0.5)) == ([0, 0], 0)


def test_more_of_a_source_holds_all_that_less_of_it_held() -> None:
    choice = [np.random.default_rng(0).random(100)]
    sizes = [np.random.default_rng(1).integers(1, 50, 100)]
    few, many = (mix(sizes, choice, (1.0,), total, False) for total in (300, 900))
    assert np.all(few.times[0] <= many.times[0])
    assert abs(few.total - 300) < 50
    assert abs(many.total - 900) < 50


def test_a_text_is_always_on_one_side_whatever_stands_beside_it() -> None:
    keys = [bytes([number, number // 256]) for number in range(256)]
    split = np.array([lots(key, 1)[1] for key in keys])
    assert np.array_equal(sides(split, 0.2, 0.1)[:100], sides(split[:100], 0.2, 0.1))
    assert 25 < (sides(split, 0.2, 0.1) == 1).sum() < 80
    assert lots(keys[0], 1) != lots(keys[0], 2)


# --- the classifier ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def embed(tmp_path_factory) -> ModelEmbedder:
    folder = write_teacher(tmp_path_factory.mktemp("models") / "embedder")
    return ModelEmbedder(folder, "cpu", False, 64, lambda: None)


def test_texts_are_the_mean_of_their_last_hidden_states(embed) -> None:
    texts = [*beginnings(20), "word"]
    found = embed(texts)
    for text, vector in zip(texts, found, strict=True):
        ids = embed.tokenizer(text, return_tensors="pt").input_ids[:, :64]
        states = embed.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0]
        np.testing.assert_allclose(vector, states.mean(0).double().numpy(), atol=1e-5)


@pytest.mark.parametrize("kind", ["forest", "logistic"])
def test_a_few_labelled_rows_teach_what_to_keep(embed, tmp_path, monkeypatch, kind: str) -> None:
    monkeypatch.setattr(grading, "TREES", 15)
    rows = [{"text": text, "label": "good"} for text in beginnings(30)]
    rows += [{"text": f"{n} + {n + 1} = {2 * n + 1}; " * 6, "label": "bad"} for n in range(30)]
    texts, good, counts = labelled_rows(str(write_rows(tmp_path / "l.jsonl", rows)), None)
    grader = train(texts, good, counts, embed, kind, seed=0)
    assert grader.accuracy > 0.9
    assert (grader.always, grader.labelled) == (0.5, {"good": 30, "bad": 30})
    grades = grader.grades([*beginnings(10, seed=99), *(f"{n} + 7 = {n + 7}; " * 6 for n in range(40, 50))])
    assert (grades[:10] > 0.5).mean() > 0.7
    assert (grades[10:] < 0.5).mean() > 0.7


@pytest.mark.parametrize(
    ("rows", "good", "said"),
    [
        ([{"text": "a"}], None, "Line 1 of .* has no `label`"),
        ([{"text": "a", "label": "x"}] * 9, None, "has the labels 9 × 'x'"),
        ([{"text": "a", "label": n} for n in (0, 1, 0, 0, 0)], None, "4 × '0', 1 × '1'"),
        ([{"text": "a", "label": n % 2 + 5} for n in range(10)], None, "is good is not known"),
        ([{"text": "a", "label": n % 2} for n in range(10)], "2", "is good is not known"),
    ],
)
def test_labels_that_teach_nothing_are_named(tmp_path, rows, good, said) -> None:
    with pytest.raises(BadData, match=said):
        labelled_rows(str(write_rows(tmp_path / "l.jsonl", rows)), good)


def test_a_classifier_sifts_and_says_how_often_it_is_right(home, teacher, stories, tmp_path) -> None:
    rows = [{"text": text, "label": "1"} for text in beginnings(12)]
    rows += [{"text": f"{n} + {n + 1} = {2 * n + 1}; " * 6, "label": "0"} for n in range(12)]
    labelled = write_rows(tmp_path / "l.jsonl", rows)
    sums = write_rows(tmp_path / "s.jsonl", [{"text": f"{n} + 3 = {n + 3}; " * 5} for n in range(50)])
    fields = {"model": str(teacher), "labelled": str(labelled), "classifier": "logistic"}
    run, results = prepared(home, data=(stories, sums), **fields)
    assert results["classifier"]["accuracy"] > 0.8
    assert any(
        "labelled rows" in choice.reason for choice in events_of(run, ev.ChoiceMade) if choice.name == "classifier"
    )
    [told] = results["filters"]
    assert told["reason"] == "graded below 0.5"
    kept = {source["path"]: source["kept"] for source in results["sources"]}
    assert kept[str(stories)] > 250
    assert kept[str(sums)] < 10


# --- the Hub ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of `datasets` as a download of owner/stories leaves it; nothing else can be reached."""
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    source = write_rows(tmp_path / "source.jsonl", [{"text": f"Story {n}."} for n in range(10)])
    datasets.load_dataset("json", data_files=str(source), cache_dir=str(tmp_path / "made"))
    [info] = (tmp_path / "made" / "json").glob("*/*/*/dataset_info.json")
    folder = tmp_path / "cache" / "owner___stories" / "default" / "0.0.0" / info.parent.name
    shutil.copytree(info.parent, folder)
    (folder / "json-train.arrow").rename(folder / "stories-train.arrow")
    said = read_json(folder / "dataset_info.json") | {"builder_name": "stories", "dataset_name": "stories"}
    (folder / "dataset_info.json").write_text(json.dumps(said), encoding="utf-8")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return folder


def test_a_data_set_of_the_hub_is_read_from_the_cache_without_a_network(home, hub_cache) -> None:
    run = new_run(home, FetchRecipe(data_set="owner/stories", split="train[:4]", offline=True))
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    results = history_of(run).results
    assert (results["documents"], results["columns"]) == (4, ["text"])
    with Library(home) as library:
        library.refresh_runs()
        library.refresh_data()
        [found] = library.data_sets()
    assert (str(found.path), found.format, found.container, found.documents) == (results["file"], "text", "parquet", 4)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"data_set": "owner/other"}, "owner/other is not in the cache"),
        ({"data_set": "owner/stories", "split": "tset"}, "can't be fetched so: .*tset"),
    ],
)
def test_what_is_not_there_is_said_in_a_sentence(home, hub_cache, fields, said) -> None:
    run = new_run(home, FetchRecipe(offline=True, **fields))
    assert work(run, "cpu") == FAILED
    failure = history_of(run).failure
    assert re.search(said, failure.what), failure
    assert failure.way_out
