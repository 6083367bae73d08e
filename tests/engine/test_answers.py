"""A teacher's answers, kept and read again: as exact as promised, whole or refused, and gone on with after any kill."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import (
    ENTRIES,
    REPOSITORY,
    curve_of,
    engine_environment,
    events_of,
    finished,
    history_of,
    load,
    tiny_model,
    tiny_recipe,
    write_data,
    write_tokenizer,
)
from tiny import write_teacher as written
from transformers import AutoTokenizer

from core import events as ev
from core.cache import UNFINISHED, BadCache, CacheRecipe, cache_info, delete_cache, read_manifest
from core.engine import answers as store
from core.engine import capture as capturing
from core.engine.__main__ import FAILED, FINISHED, STOPPED, work
from core.engine.answers import Answers, key_of, pack_drawn, pack_top, unpack_drawn, unpack_top
from core.engine.capture import segments_of
from core.engine.text import Blocks, load_corpus
from core.home import Home
from core.runs import KEEP, RunFolder, new_run

pytestmark = pytest.mark.usefixtures("in_process")
LENGTH = 48


def recipe_of(teacher: Path, data: Path, **changes: Any) -> CacheRecipe:
    fields: dict[str, Any] = {
        "teacher": str(teacher), "data": (str(data),), "top_k": 20, "sequence_length": LENGTH, "validation_tokens": 300,
        "device": "cpu",
    }  # fmt: skip
    return CacheRecipe(**(fields | changes))


def captured(home: Home, recipe: CacheRecipe) -> tuple[RunFolder, Answers]:
    run = new_run(home, recipe.check())
    assert work(run, "cpu") == FINISHED, history_of(run).failure
    return run, Answers.open(Path(history_of(run).results["cache"]))


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("text") / "few.txt", 40)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, teacher: Path, few: Path) -> tuple[RunFolder, Path]:
    """A finished run and its cache of several shards; tests that harm it copy it first."""
    home = Home.find(tmp_path_factory.mktemp("made"))
    before = store.SHARD_BYTES, signal.getsignal(signal.SIGTERM), dict(os.environ)
    store.SHARD_BYTES = 8000
    try:
        run, answers = captured(home, recipe_of(teacher, few))
    finally:
        store.SHARD_BYTES = before[0]
        signal.signal(signal.SIGTERM, before[1])
        os.environ.clear()
        os.environ.update(before[2])
    assert len(answers.manifest.shards) > 4
    return run, answers.folder


def corpus_of(run: RunFolder):
    """All of the text: a distillation with another seed trains on what this one's holds out."""
    return load_corpus(run.path / "tokens", "train").followed_by(load_corpus(run.path / "tokens", "held-out"))


@functools.lru_cache(4)
def in_float64(teacher: Path) -> torch.nn.Module:
    return load(teacher)[0].double()


@torch.no_grad()
def by_hand(teacher: Path, ids: np.ndarray, vocabulary: int = ENTRIES, temperature: float = 1.0) -> np.ndarray:
    """log p of all entries after each token of a segment but the last, in float64."""
    ids_BT = torch.from_numpy(np.asarray(ids, dtype=np.int64))[None]
    scores = in_float64(teacher)(input_ids=ids_BT).logits[0, :-1, :vocabulary]
    return (scores / temperature).log_softmax(-1).numpy()


# ------------------------------------------------------------------------------------------------------- the bytes of rows


@settings(max_examples=60, deadline=None)
@given(
    entries=st.integers(1, 400), share=st.floats(0.01, 1), rows=st.integers(1, 6),
    spread=st.sampled_from([0.0, 0.3, 3.0, 30.0]), seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_what_is_read_is_what_was_kept_to_a_thousandth(
    entries: int, share: float, rows: int, spread: float, seed: int
) -> None:
    top_k = max(1, round(share * entries))
    scores = torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, entries)) * spread)
    ids, log_p, log_rest, sound = (part.numpy() for part in capturing._top(scores.clone(), top_k))
    assert sound.all()
    found_ids, found, rest = unpack_top(pack_top(ids, log_p, log_rest, entries), rows, top_k, entries)
    np.testing.assert_array_equal(found_ids, ids)
    exact = torch.log_softmax(scores, 1).gather(1, torch.from_numpy(ids)).numpy()
    likely = exact > -60  # neighbours may be 64 nats apart
    np.testing.assert_allclose(np.exp(found[likely]), np.exp(exact[likely]), rtol=1e-3)
    np.testing.assert_allclose(np.exp(found.astype(float)).sum(1) + np.exp(rest.astype(float)), 1, atol=2e-6)
    assert (np.diff(found, axis=1) <= 0).all()
    if top_k == entries:
        assert (rest == -np.inf).all()
    else:
        left = 1 - np.exp(exact).sum(1)
        np.testing.assert_allclose(np.exp(rest), left, rtol=1e-3, atol=1e-9)


def test_entries_that_the_teacher_excludes_stay_all_but_impossible() -> None:
    log_p = np.array([[np.log(0.75), np.log(0.25), -np.inf]])
    _, found, rest = unpack_top(pack_top(np.array([[2, 0, 1]]), log_p, np.array([-np.inf]), 3), 1, 3, 3)
    np.testing.assert_allclose(np.exp(found), [[0.75, 0.25, 0]], atol=3e-4)
    assert found[0, 2] < -60
    assert rest[0] == -np.inf


@pytest.mark.parametrize(("vocabulary", "size"), [(256, 1), (257, 2), (65536, 2), (65537, 3), (151_646, 3)])
def test_ids_of_any_vocabulary_come_back_whole(vocabulary: int, size: int) -> None:
    assert store._id_bytes(vocabulary) == size
    ids = np.array([[vocabulary - 1, 0, 1, vocabulary // 2]])
    log_p = np.log(np.array([[0.4, 0.3, 0.1, 0.1]]))
    np.testing.assert_array_equal(unpack_top(pack_top(ids, log_p, np.log([0.1]), vocabulary), 1, 4, vocabulary)[0], ids)
    drawn = pack_drawn(ids, np.zeros(1), vocabulary)
    np.testing.assert_array_equal(unpack_drawn(drawn, 1, 4, vocabulary)[0], np.sort(ids))


def test_drawn_classes_come_back_once_with_their_share_of_the_draws() -> None:
    drawn = np.array([[7, 7, 3, 7], [300, 300, 300, 300]])
    ids, share, entropy = unpack_drawn(pack_drawn(drawn, np.array([1.23456, 11.9]), 301), 2, 4, 301)
    assert ids.tolist() == [[3, 7, 0, 0], [300, 0, 0, 0]]
    assert share.tolist() == [[0.25, 0.75, 0, 0], [1, 0, 0, 0]]
    assert entropy.tolist() == pytest.approx([1.23456, 11.9], abs=0.5 / 1024 + 1e-6)


def test_drawing_is_unbiased() -> None:
    scores = torch.randn(3, 30, generator=torch.Generator().manual_seed(0)) * 2
    p = scores.double().softmax(1).numpy()
    mean, draws = np.zeros((3, 30)), 400
    for seed in range(draws):
        uniform = torch.from_numpy(np.random.default_rng(seed).random((3, 12)))
        parts = [part.numpy() for part in capturing._drawn(scores, uniform)[:2]]
        ids, share, entropy = unpack_drawn(pack_drawn(*parts, 30), 3, 12, 30)
        for row in range(3):
            np.add.at(mean[row], ids[row], share[row] / draws)
        assert entropy == pytest.approx(-(p * np.log(p)).sum(1), abs=1e-3)
    assert (np.abs(mean - p) <= 4.5 * np.sqrt(p * (1 - p) / (12 * draws)) + 1e-12).all()


def test_classes_without_mass_are_never_drawn() -> None:
    scores = torch.tensor([[-torch.inf, 0.0, -torch.inf, 1.0, -torch.inf]])
    edge = torch.tensor([[0.0, 1 - 2**-53, 0.25, 0.28]], dtype=torch.float64)
    ids, entropy, sound = capturing._drawn(scores, edge)
    assert set(ids[0].tolist()) == {1, 3}
    assert sound.all()
    p = 1 / (1 + np.exp(1.0))
    assert float(entropy) == pytest.approx(-(p * np.log(p) + (1 - p) * np.log1p(-p)))


# --------------------------------------------------------------------------------------------------------- what is captured


def test_the_answers_are_the_teachers_own_softmax(made: tuple[RunFolder, Path], teacher: Path) -> None:
    run, folder = made
    answers, corpus = Answers.open(folder), corpus_of(run)
    for document in (0, 7, len(corpus) - 1):
        ids = np.asarray(corpus[document])[:LENGTH]
        log_p = by_hand(teacher, ids)
        kept, log_q, log_rest = answers.rows(ids)
        assert kept.shape == log_q.shape == (len(ids) - 1, 20)
        np.testing.assert_allclose(np.exp(log_q), np.exp(np.take_along_axis(log_p, kept, 1)), rtol=1.1e-3)
        np.testing.assert_allclose(np.exp(log_q[:, -1]), np.exp(np.sort(log_p, axis=1)[:, -20]), rtol=1.1e-3)
        outside = np.exp(log_p).sum(1) - np.exp(np.take_along_axis(log_p, kept, 1)).sum(1)
        np.testing.assert_allclose(np.exp(log_rest), outside, rtol=1.1e-3)


def test_the_results_say_where_the_cache_is_and_what_it_holds(made: tuple[RunFolder, Path], teacher: Path) -> None:
    run, folder = made
    results, corpus = history_of(run).results, corpus_of(run)
    assert (results["documents"], results["tokens"], results["top_k"]) == (len(corpus), corpus.tokens, 20)
    assert json.loads((run.artifacts / "cache.json").read_text())["cache"] == str(folder)
    assert folder.parent == run.path.parents[1] / "caches"
    assert folder.name.startswith("tiny-teacher-")
    assert results["bytes"] == cache_info(folder).bytes
    masses = [
        np.sort(np.exp(by_hand(teacher, corpus[d][s:e])), axis=1)[:, -20:].sum(1)
        for d, s, e in segments_of(corpus, LENGTH)
    ]
    assert results["mass_kept"] == pytest.approx(np.concatenate(masses).mean(), abs=2e-4)


def test_every_stretch_that_a_block_can_hold_is_there_once(made: tuple[RunFolder, Path]) -> None:
    run, folder = made
    answers, corpus = Answers.open(folder), corpus_of(run)
    assert (corpus.lengths > LENGTH).any()
    blocks = Blocks(corpus, LENGTH, 3 * corpus.tokens, 4, seed=5, pad=2)
    keys = {key_of(blocks.segment_ids(*segment)) for index in range(len(blocks)) for segment in blocks.segments(index)}
    assert answers.covers(keys) == 0
    assert answers.covers([key_of(np.array([1, 2, 3]))]) == 1
    assert answers.manifest.rows == sum(end - start - 1 for _, start, end in segments_of(corpus, LENGTH))


def test_equal_texts_are_kept_once(home: Home, teacher: Path, tmp_path: Path) -> None:
    data = tmp_path / "twice.txt"
    data.write_text(write_data(tmp_path / "once.txt", 30).read_text() * 2, encoding="utf-8")
    run, answers = captured(home, recipe_of(teacher, data))
    corpus = corpus_of(run)
    keys = [key_of(corpus[d][s:e]) for d, s, e in segments_of(corpus, LENGTH)]
    assert sum(shard.segments for shard in answers.manifest.shards) == len(set(keys)) == len(keys) // 2


def test_the_whole_vocabulary_can_be_kept_at_a_temperature(home: Home, teacher: Path, few: Path) -> None:
    run, answers = captured(home, recipe_of(teacher, few, top_k=ENTRIES, temperature=3.0))
    ids = np.asarray(corpus_of(run)[3])[:LENGTH]
    kept, log_q, log_rest = answers.rows(ids)
    log_p = by_hand(teacher, ids, temperature=3.0)
    np.testing.assert_allclose(log_q, np.take_along_axis(log_p, kept, 1), atol=1.1e-3)
    assert (np.sort(kept, axis=1) == np.arange(ENTRIES)).all()
    assert (log_rest == -np.inf).all()


def test_drawn_answers_follow_from_text_and_seed_alone(home: Home, teacher: Path, few: Path, tmp_path: Path) -> None:
    recipe = recipe_of(teacher, few, tail="sample", top_k=12)
    run, one = captured(home, recipe)
    _, again = captured(home, recipe.model_copy(update={"out": str(tmp_path / "again")}))
    _, other = captured(home, recipe.model_copy(update={"out": str(tmp_path / "other"), "seed": 1}))
    assert one.manifest.mass_kept is None
    corpus, differing = corpus_of(run), 0
    for document, start, end in segments_of(corpus, LENGTH)[:10]:
        ids = np.asarray(corpus[document])[start:end]
        (kept, share, entropy), (kept_again, share_again, _) = one.rows(ids), again.rows(ids)
        log_p = by_hand(teacher, ids)
        np.testing.assert_allclose(entropy, -(np.exp(log_p) * log_p).sum(1), atol=1e-3)
        np.testing.assert_array_equal(kept, kept_again)
        np.testing.assert_array_equal(share, share_again)
        np.testing.assert_allclose(share.sum(1), 1, atol=1e-6)
        if key_of(ids) in other:
            differing += not np.array_equal(other.rows(ids)[0], kept)
    assert differing > 3


def test_rows_of_the_head_that_no_token_has_are_left_out(home: Home, few: Path, tmp_path: Path) -> None:
    padded = written(tmp_path / "padded", vocab_size=ENTRIES + 66)
    run, answers = captured(home, recipe_of(padded, few, top_k=30))
    assert answers.manifest.vocabulary == ENTRIES
    ids = np.asarray(corpus_of(run)[0])[:LENGTH]
    kept, log_q, _ = answers.rows(ids)
    log_p = by_hand(padded, ids, vocabulary=ENTRIES)
    np.testing.assert_allclose(np.exp(log_q), np.exp(np.take_along_axis(log_p, kept, 1)), rtol=1.1e-3)
    assert any("66 rows of its head that no token has" in notice.text for notice in events_of(run, ev.NoticeRaised))


def test_a_head_that_does_more_than_multiply_is_asked_through_its_model(
    home: Home, teacher: Path, few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "splits", lambda model: False)
    run, answers = captured(home, recipe_of(teacher, few))
    ids = np.asarray(corpus_of(run)[0])[:LENGTH]
    kept, log_q, _ = answers.rows(ids)
    np.testing.assert_allclose(np.exp(log_q), np.exp(np.take_along_axis(by_hand(teacher, ids), kept, 1)), rtol=1.1e-3)


def test_a_cache_made_before_is_found_again(home: Home, made: tuple[RunFolder, Path], teacher: Path, few: Path) -> None:
    recipe = recipe_of(teacher, few, top_k=5)
    first, answers = captured(home, recipe)
    changed = (answers.folder / "part-00000.bin").stat().st_mtime_ns
    second, found = captured(home, recipe)
    assert found.folder == answers.folder
    assert (answers.folder / "part-00000.bin").stat().st_mtime_ns == changed
    reasons = [
        choice.reason for run in (first, second) for choice in events_of(run, ev.ChoiceMade) if choice.name == "cache"
    ]
    assert reasons == ["nobody had kept these answers", "these answers were kept before"]


def test_a_cache_of_all_the_text_serves_every_seed(home: Home, teacher: Path, few: Path) -> None:
    first = finished(home, tiny_recipe(teacher, few, source="cache", top_k=20, tokens=1000))
    again = finished(home, tiny_recipe(teacher, few, source="cache", top_k=20, tokens=1000, seed=1))
    said = [history_of(run).choices["cache"] for run in (first, again)]
    assert [choice.reason for choice in said] == ["nobody had kept these answers", "these answers were kept before"]
    assert said[0].value == said[1].value
    assert curve_of(first) != curve_of(again)
    named = tiny_recipe(teacher, few, source="cache", cache=said[0].value, top_k=20, tokens=1000, seed=2)
    assert named.problems() == []
    finished(home, named)


def test_a_teacher_that_gives_nan_is_refused_with_the_document(home: Home, few: Path, tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    model = tiny_model(tie_word_embeddings=False)
    write_tokenizer(folder)
    found = AutoTokenizer.from_pretrained(folder)(few.read_text(encoding="utf-8")).input_ids
    with torch.no_grad():  # of a token of the text, but none that the look at the loaded model takes
        model.get_input_embeddings().weight[next(token for token in found if token % (ENTRIES // 16))] = torch.nan
    model.save_pretrained(folder)
    run = new_run(home, recipe_of(folder, few))
    assert work(run, "cpu") == FAILED
    failure = history_of(run).failure
    assert failure is not None
    assert "broken gives scores that are not numbers" in failure.what
    assert "document " in failure.what


# ------------------------------------------------------------------------------------------------- kills, flips, other hands


def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / folder.name))


def test_a_flipped_bit_anywhere_is_found(made: tuple[RunFolder, Path], tmp_path: Path) -> None:
    folder = copied(made[1], tmp_path)
    for shard in read_manifest(folder).shards[:2]:
        file = folder / shard.file
        data = bytearray(file.read_bytes())
        for place in [*range(0, len(data), 97), *range(len(data) - 80, len(data))]:
            data[place] ^= 1 << place % 8
            file.write_bytes(data)
            with pytest.raises(BadCache, match=f"{shard.file} is damaged"):
                Answers.open(folder)
            data[place] ^= 1 << place % 8
        file.write_bytes(data)
    Answers.open(folder)


def test_answers_that_change_while_they_are_read_are_refused(made: tuple[RunFolder, Path], tmp_path: Path) -> None:
    folder, corpus = copied(made[1], tmp_path), corpus_of(made[0])
    answers = Answers.open(folder)
    ids = np.asarray(corpus[0])[:LENGTH]
    entry = answers._index[answers._place(key_of(ids))]
    for shard in answers.manifest.shards:
        with (folder / shard.file).open("r+b") as stream:
            stream.seek(int(entry["at"]) + 5)
            stream.write(b"?!?!")
    with pytest.raises(BadCache, match="was changed since it was opened"):
        answers.rows(ids)


def test_a_missing_or_half_written_file_is_named(made: tuple[RunFolder, Path], tmp_path: Path) -> None:
    folder = copied(made[1], tmp_path)
    file = folder / "part-00001.bin"
    whole = file.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(BadCache, match=f"it has {size} bytes instead of {len(whole)}"):
            Answers.open(folder)
    file.unlink()
    with pytest.raises(BadCache, match=r"lacks its file part-00001\.bin"):
        Answers.open(folder)


def interrupted(
    made: tuple[RunFolder, Path], home: Home, tmp_path: Path, name: str, shards: int
) -> tuple[RunFolder, Path]:
    """A run and its cache as a kill leaves them after a few shards."""
    folder = copied(made[1], tmp_path / name)
    manifest = read_manifest(folder)
    fields = {
        k: v for k, v in json.loads((folder / "manifest.json").read_text()).items() if k not in ("checksum", "shards")
    }
    (folder / "manifest.json").unlink()
    (folder / UNFINISHED).write_text(json.dumps(fields))
    for shard in manifest.shards[shards:]:
        (folder / shard.file).unlink()
    recipe = made[0].recipe()
    return new_run(home, recipe.model_copy(update={"out": str(folder)})), folder


def same_answers(one: Path, other: Path, corpus) -> bool:
    first, second = Answers.open(one), Answers.open(other)
    pairs = (
        zip(first.rows(corpus[d][s:e]), second.rows(corpus[d][s:e]), strict=True)
        for d, s, e in segments_of(corpus, LENGTH)
    )
    return all(np.allclose(np.exp(a), np.exp(b), rtol=1.2e-3) for pair in pairs for a, b in list(pair)[1:])


def test_a_capture_killed_at_any_byte_is_unfinished_and_goes_on(
    made: tuple[RunFolder, Path], home: Home, tmp_path: Path
) -> None:
    whole = (made[1] / "part-00001.bin").read_bytes()
    for size in (0, 9, len(whole) // 3, len(whole) - 1):
        run, folder = interrupted(made, home, tmp_path, str(size), shards=2)
        (folder / "part-00001.bin").write_bytes(whole[:size])  # as a disk without order may leave it
        (folder / ".part-00002.bin.part").write_bytes(whole[: size // 2])
        kept = (folder / "part-00000.bin").stat().st_mtime_ns
        with pytest.raises(BadCache, match="is unfinished"):
            Answers.open(folder)
        assert work(run, "cpu") == FINISHED, history_of(run).failure
        assert (folder / "part-00000.bin").stat().st_mtime_ns == kept
        assert same_answers(folder, made[1], corpus_of(made[0]))
        assert read_manifest(folder).rows == read_manifest(made[1]).rows
        assert not list(folder.glob(".*"))


def test_an_unfinished_cache_of_other_answers_is_not_gone_on_with(
    made: tuple[RunFolder, Path], home: Home, tmp_path: Path
) -> None:
    other = written(tmp_path / "other-teacher", seed=9)
    run, folder = interrupted(made, home, tmp_path, "x", shards=2)
    changed = new_run(home, run.recipe().model_copy(update={"teacher": str(other)}))
    assert work(changed, "cpu") == FAILED
    failure = history_of(changed).failure
    assert failure is not None
    assert "another teacher fingerprint" in failure.what
    assert len(list(folder.glob("part-*.bin"))) == 2


def test_a_stop_keeps_what_was_answered(
    home: Home, teacher: Path, few: Path, made: tuple[RunFolder, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(capturing.TOKENS_AT_ONCE, "cpu", 200)
    run = new_run(home, recipe_of(teacher, few))
    about = capturing._Asked.about

    def stop_after_three(self: Any, batch: Any) -> Any:
        self.calls = getattr(self, "calls", 0) + 1
        if self.calls == 3:
            run.stop_request.write_text(KEEP)
        time.sleep(0.06)  # the disk is looked at 20 times a second
        return about(self, batch)

    monkeypatch.setattr(capturing._Asked, "about", stop_after_three)
    assert work(run, "cpu") == STOPPED
    [info] = [cache_info(folder) for folder in home.caches.iterdir()]
    assert info.unfinished == "Its making was interrupted, and can be resumed."
    assert info.bytes > 1000
    run.stop_request.unlink()
    monkeypatch.setattr(capturing._Asked, "about", about)
    assert work(run, "cpu") == FINISHED
    assert len(read_manifest(info.folder).shards) == 2
    assert same_answers(info.folder, made[1], corpus_of(made[0]))
    delete_cache(info.folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
def test_the_command_makes_a_cache_though_its_engine_is_killed(home: Home, teacher: Path, tmp_path: Path) -> None:
    data, out = write_data(tmp_path / "more.txt", 300), tmp_path / "the cache"
    environment = {**engine_environment(), "STILLROOM_HOME": str(home.root), "PYTHONUTF8": "1"}

    def stillroom(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "desktop_app", *arguments, "--json"]
        return subprocess.Popen(
            command, env=environment, cwd=REPOSITORY, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    asked = ["--teacher", str(teacher), "--data", str(data), "--top-k", "50", "--out", str(out), "--device", "cpu"]
    making = stillroom("cache", *asked)
    deadline = time.monotonic() + 120
    engine = None
    while engine is None and time.monotonic() < deadline:
        time.sleep(0.005)
        if (out / UNFINISHED).exists():
            [run] = map(RunFolder, home.runs.glob("[0-9]*"))
            engine = history_of(run).engine.pid
    assert engine is not None
    os.kill(engine, signal.SIGKILL)
    said = json.loads(making.communicate(timeout=120)[0].splitlines()[-1])
    assert (making.returncode, said["state"]) == (1, "crashed")
    assert cache_info(out).unfinished == "Its making was interrupted, and can be resumed."
    resumed = stillroom("resume", said["run"])
    results = json.loads(resumed.communicate(timeout=240)[0].splitlines()[-1])
    assert (resumed.returncode, results["cache"], results["top_k"]) == (0, str(out), 50)
    assert Answers.open(out).manifest.rows == results["rows"]
