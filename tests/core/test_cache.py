"""Caches as the light rooms see them: what a recipe may ask, what a folder holds, and why a cache can't serve a distillation."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.cache import (
    MANIFEST,
    UNFINISHED,
    BadCache,
    CacheFields,
    CacheRecipe,
    Manifest,
    Shard,
    cache_info,
    cache_problems,
    caches,
    data_files,
    delete_cache,
    file_fingerprint,
    holding,
    read_manifest,
    teacher_fingerprint,
    write_manifest,
)
from core.cli import main
from core.distill import DistillRecipe
from core.files import write_json
from core.home import Home
from core.recipe import Problem, parse_recipe
from core.shapes import shape_of
from core.tokenizer import tokenizer_identity

ROOT = Path(__file__).resolve().parents[2]
TEACHER = ROOT / "resources" / "sample" / "stories-0.8M"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("STILLROOM_HOME", str(tmp_path / "home"))
    return Home.find()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "stories.txt"
    file.write_text("Once there was a still.\n", encoding="utf-8")
    return file


@pytest.fixture
def fields(text: Path) -> CacheFields:
    return CacheFields(
        teacher=str(TEACHER),
        teacher_name=TEACHER.name,
        teacher_fingerprint=teacher_fingerprint(TEACHER),
        tokenizer=tokenizer_identity(TEACHER),
        start=0,
        end=1,
        vocabulary=2048,
        top_k=50,
        sequence_length=512,
        longest=600,
        data=data_files((str(text),)),
        created=1.0,
    )


def finished(folder: Path, fields: CacheFields, content: bytes = b"answers") -> Path:
    """A cache whose one shard is no real one: nothing here reads answers."""
    folder.mkdir(parents=True)
    (folder / "part-00000.bin").write_bytes(content)
    shard = Shard(file="part-00000.bin", bytes=len(content), blake2b="0" * 64, segments=1)
    counts: dict[str, Any] = {"documents": 3, "tokens": 1200, "rows": 1000, "bytes": len(content), "mass_kept": 0.97}
    write_manifest(folder, Manifest(**fields.model_dump(), **counts, shards=(shard,)))
    return folder


def unfinished(folder: Path, fields: CacheFields) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / UNFINISHED, fields.model_dump(mode="json"))
    return folder


def texts(problems: list[Problem], field: str) -> str:
    return " ".join(problem.text for problem in problems if problem.field == field)


# ------------------------------------------------------------------------------------------------------------ the recipe


def test_a_cache_can_be_asked_for_and_read_back(text: Path) -> None:
    recipe = CacheRecipe(teacher=str(TEACHER), data=(str(text),))
    assert recipe.problems() == []
    assert recipe.title() == "answers of stories-0.8M on stories.txt"
    assert parse_recipe(json.loads(recipe.model_dump_json())) == recipe


def test_what_a_recipe_names_must_be_there(tmp_path: Path) -> None:
    problems = CacheRecipe(teacher=str(tmp_path / "none"), data=(str(tmp_path / "no.txt"),)).problems()
    assert {problem.field for problem in problems} == {"teacher", "data"}
    assert str(tmp_path / "none") in texts(problems, "teacher")


def test_more_entries_than_the_vocabulary_has_are_refused_before_the_run(text: Path) -> None:
    recipe = CacheRecipe(teacher=str(TEACHER), data=(str(text),), top_k=2049)
    assert "top_k 2049 is more than the 2048 entries" in texts(recipe.problems(), "top_k")
    assert CacheRecipe(teacher=str(TEACHER), data=(str(text),), top_k=2048).problems() == []


def test_a_sequence_longer_than_the_teachers_context_is_refused(text: Path) -> None:
    recipe = CacheRecipe(teacher=str(TEACHER), data=(str(text),), sequence_length=100_000)
    assert "context" in texts(recipe.problems(), "sequence_length")


def test_nothing_is_overwritten_but_an_unfinished_cache_of_the_same_answers_is_gone_on_with(
    text: Path, tmp_path: Path, fields: CacheFields
) -> None:
    def why(out: Path, **changes: Any) -> str:
        return texts(CacheRecipe(teacher=str(TEACHER), data=(str(text),), out=str(out), **changes).problems(), "out")

    assert why(tmp_path / "new") == ""
    (tmp_path / "empty").mkdir()
    assert why(tmp_path / "empty") == ""
    assert "nothing is overwritten" in why(tmp_path)
    assert "nothing is overwritten" in why(finished(tmp_path / "done", fields))
    begun = unfinished(tmp_path / "begun", fields)
    assert why(begun) == ""
    assert "top k 50" in why(begun, top_k=20)
    assert "temperature 1.0" in why(begun, temperature=2.0)


def test_a_cache_reads_the_text_as_the_distillation_it_is_for(text: Path) -> None:
    distillation = DistillRecipe(
        teacher=str(TEACHER), student="0.5x", data=(str(text),), tokens=5000, seed=3, separator="--", top_k=20,
        temperature=2.0, sequence_length=64, validation_tokens=128, answers_only=True, tail="sample",
    )  # fmt: skip
    reading = CacheRecipe.of(distillation).distillation()
    for name in ("data", "tokens", "seed", "separator", "sequence_length", "validation_tokens", "answers_only"):
        assert getattr(reading, name) == getattr(distillation, name)
    cache = CacheRecipe.of(distillation)
    assert (cache.top_k, cache.tail, cache.temperature) == (20, "sample", 2.0)


# -------------------------------------------------------------------------------------------------------------- folders


def test_a_finished_cache_says_what_it_holds(tmp_path: Path, fields: CacheFields) -> None:
    folder = finished(tmp_path / "cache", fields)
    manifest = read_manifest(folder)
    assert (manifest.rows, manifest.top_k, manifest.teacher_fingerprint) == (1000, 50, fields.teacher_fingerprint)
    info = cache_info(folder)
    assert info.usable
    assert (info.tokens, info.bytes, info.bytes_per_token, info.mass_kept) == (1200, 7, 0.007, 0.97)
    assert not (folder / UNFINISHED).exists()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: (folder / MANIFEST).unlink(), "is no cache of answers"),
        (lambda folder: shutil.rmtree(folder), "There is no folder"),
        (lambda folder: (folder / MANIFEST).write_text('{"version": 1, "top'), "manifest.json is damaged"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), "no JSON object"),
        (lambda folder: edit(folder, version=3), "version 3; this Stillroom reads up to 2"),
        (lambda folder: edit(folder, tail="sample"), "older Stillroom: .* lacks the teacher's entropy"),
        (lambda folder: edit(folder, top_k=49), "its checksum is not that of its contents"),
        (lambda folder: edit(folder, rows="many"), "its field rows"),
    ],
)
def test_a_manifest_that_cant_be_used_is_told_in_words(
    tmp_path: Path, fields: CacheFields, harm: Callable[[Path], None], said: str
) -> None:
    folder = finished(tmp_path / "cache", fields)
    harm(folder)
    with pytest.raises(BadCache, match=said) as caught:
        read_manifest(folder)
    assert caught.value.way_out


def edit(folder: Path, **changes: Any) -> None:
    raw = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    (folder / MANIFEST).write_text(json.dumps(raw | changes), encoding="utf-8")


def test_all_caches_are_listed_and_those_that_cant_be_used_say_why(home: Home, fields: CacheFields) -> None:
    assert caches(home) == []
    finished(home.caches / "good", fields.model_copy(update={"created": 5.0}))
    finished(home.caches / "half", fields)
    (home.caches / "half" / "part-00000.bin").write_bytes(b"ans")
    unfinished(home.caches / "begun", fields)
    (home.caches / "stray").mkdir()
    found = {info.name: info for info in caches(home)}
    assert next(info.name for info in caches(home)) == "good"
    assert found["good"].usable
    assert found["half"].broken == "part-00000.bin is missing or not whole."
    assert found["begun"].unfinished == "Its making was interrupted, and can be resumed."
    assert "is no cache" in str(found["stray"].broken)
    with holding(home.caches / "begun"):
        assert cache_info(home.caches / "begun").unfinished == "It is being made now."


def test_only_a_cache_can_be_deleted_and_not_while_it_is_made(home: Home, fields: CacheFields) -> None:
    folder = finished(home.caches / "good", fields)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(BadCache, match=r"it holds notes\.txt"):
        delete_cache(folder)
    (folder / "notes.txt").unlink()
    with holding(folder), pytest.raises(BadCache, match="being made by another run"):
        delete_cache(folder)
    delete_cache(folder)
    assert list(home.caches.iterdir()) == []
    with pytest.raises(BadCache, match="no manifest"):
        delete_cache(home.runs)


def test_the_command_lists_caches_and_deletes_them(
    home: Home, fields: CacheFields, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(home.caches / "good", fields)
    finished(home.caches / "other", fields)
    assert main(["caches"]) == 0
    assert "97.00%" in capsys.readouterr().out
    assert main(["caches", "--delete", "good", "--delete", str(home.caches / "other"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer == {"caches": [], "deleted": [str(home.caches / "good"), str(home.caches / "other")]}


def test_the_command_to_make_one_says_what_is_missing(
    home: Home, text: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "--data", str(text), "--json"]) == 2
    assert "--teacher is missing" in json.loads(capsys.readouterr().out)["error"]
    assert main(["cache", "--teacher", str(TEACHER), "--data", str(text), "--top-k", "3000", "--json"]) == 2
    assert "more than the 2048 entries" in json.loads(capsys.readouterr().out)["error"]


# --------------------------------------------------------------------------------------------------------- fingerprints


def test_the_fingerprint_of_a_teacher_is_that_of_every_weight_and_the_config(tmp_path: Path) -> None:
    copy = tmp_path / "another name"
    shutil.copytree(TEACHER, copy)
    assert teacher_fingerprint(copy) == teacher_fingerprint(TEACHER)
    weights = copy / "model.safetensors"
    data = bytearray(weights.read_bytes())
    for place in (len(data) // 3 + 7, len(data) - 1):
        data[place] ^= 1
        weights.write_bytes(data)
        assert teacher_fingerprint(copy) != teacher_fingerprint(TEACHER)
        data[place] ^= 1
    weights.write_bytes(data)
    (copy / "config.json").write_text((copy / "config.json").read_text() + " ")
    assert teacher_fingerprint(copy) != teacher_fingerprint(TEACHER)


def test_of_a_very_large_file_the_size_and_stretches_from_end_to_end_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.cache.WHOLE_BYTES", 1000)
    monkeypatch.setattr("core.cache.SAMPLE_BYTES", 16)
    file = tmp_path / "large.bin"
    data = bytearray(range(256)) * 40
    file.write_bytes(data)
    whole = file_fingerprint(file)
    for place in (0, (len(data) - 16) * 100 // 255, len(data) - 1):
        changed = bytearray(data)
        changed[place] ^= 255
        file.write_bytes(changed)
        assert file_fingerprint(file) != whole
    file.write_bytes(data + b"\0")
    assert file_fingerprint(file) != whole


# ------------------------------------------------------------------------------------------- does it serve a distillation


def problems(text: Path, fields: CacheFields, **changes: Any) -> list[Problem]:
    asked: dict[str, Any] = {
        "teacher": str(TEACHER), "student": "0.5x", "data": (str(text),), "tokens": 5000, "source": "cache",
    }  # fmt: skip
    return cache_problems(DistillRecipe(**(asked | changes)), fields, teacher_fingerprint(TEACHER))


def test_a_cache_of_the_same_teacher_and_text_serves_any_student_and_budget(text: Path, fields: CacheFields) -> None:
    assert problems(text, fields) == []
    assert problems(text, fields, student="0.3x", tokens=10**9, objective="jsd", top_k=7) == []
    assert problems(text, fields.model_copy(update={"every_seed": True}), seed=5) == []


@pytest.mark.parametrize(
    ("cache", "recipe", "field", "said"),
    [
        ({"teacher_fingerprint": "0"}, {}, "cache", "of another teacher, stories-0.8M"),
        ({"temperature": 2.0}, {}, "temperature", "made at temperature 2, the recipe says 1"),
        ({"tail": "sample"}, {"objective": "jsd"}, "objective", "biased on the cache's classes drawn at random"),
        ({}, {"objective": "sinkhorn"}, "objective", "needs more of the teacher than a cache keeps"),
        ({}, {"sequence_length": 256}, "sequence_length", "cut at 512 tokens, the recipe cuts them at 256"),
        ({}, {"seed": 1}, "seed", "seed 1 reads others"),
        ({"budget": 4000}, {}, "tokens", "a budget of 4000 tokens reads"),
        ({"separator": "--"}, {}, "separator", "parts documents at --"),
        ({"answers_only": True}, {}, "answers_only", "documents without answers"),
        ({"data": ()}, {}, "data", "is not the text that the cache was made of"),
    ],
)
def test_each_mismatch_is_named_with_a_way_out(
    text: Path, fields: CacheFields, cache: dict[str, Any], recipe: dict[str, Any], field: str, said: str
) -> None:
    found = problems(text, fields.model_copy(update=cache), **recipe)
    assert [problem.field for problem in found] == [field]
    assert said in found[0].text
    assert "hoose" in found[0].text or "make" in found[0].text


def test_another_tokenizer_and_a_smaller_vocabulary_are_named(text: Path, fields: CacheFields) -> None:
    other = fields.tokenizer.model_copy(update={"eos": "<end>"})
    assert "their eos tokens differ" in texts(problems(text, fields.model_copy(update={"tokenizer": other})), "cache")
    large = fields.model_copy(update={"vocabulary": 4096})
    shape = json.loads((TEACHER / "config.json").read_text(encoding="utf-8"))
    assert shape["vocab_size"] == 2048
    assert "smaller than the cache's of 4096" in texts(problems(text, large, shape=shape_of(shape)), "student")


def test_the_same_text_under_another_name_is_known_and_changed_text_is_not(text: Path, fields: CacheFields) -> None:
    moved = text.with_name("moved.txt")
    shutil.copy(text, moved)
    assert problems(moved, fields) == []
    moved.write_text("Once there was a stall.\n", encoding="utf-8")
    assert texts(problems(moved, fields), "data")


def test_documents_that_nobody_cuts_may_be_read_at_any_length(text: Path, fields: CacheFields) -> None:
    short = fields.model_copy(update={"longest": 100})
    assert problems(text, short, sequence_length=256) == []


def test_drawn_classes_are_of_a_newer_version_and_those_without_entropy_are_not_gone_on_with(
    tmp_path: Path, fields: CacheFields
) -> None:
    assert fields.version == 1  # caches with the mass of the rest are what they were
    drawn = CacheFields(**fields.model_dump(exclude={"version", "tail"}), tail="sample")
    assert drawn.version == 2
    assert cache_info(finished(tmp_path / "new", drawn)).usable
    old = drawn.model_copy(update={"version": 1})
    for folder in (finished(tmp_path / "old", old), unfinished(tmp_path / "begun", old)):
        assert "lacks the teacher's entropy" in (cache_info(folder).broken or "")
        delete_cache(folder)
    assert old.folder_name() != drawn.folder_name()  # so a run that names no cache makes a new one


def test_names_of_folders_tell_caches_apart(fields: CacheFields) -> None:
    name = fields.folder_name()
    assert name.startswith(f"stories-0.8M-{fields.teacher_fingerprint[:8]}-k50-")
    assert fields.model_copy(update={"created": 9.0, "teacher": "/elsewhere"}).folder_name() == name
    whole = fields.model_copy(update={"every_seed": True})
    assert whole.folder_name() == whole.model_copy(update={"seed": 1}).folder_name() != name
    drawn = {"every_seed": True, "tail": "sample"}  # whose classes follow from the seed
    assert len({fields.model_copy(update={**drawn, "seed": seed}).folder_name() for seed in (0, 1)}) == 2
    for change in ({"seed": 1}, {"sequence_length": 64}, {"temperature": 2.0}, {"tail": "sample"}, {"budget": 9}):
        assert fields.model_copy(update=change).folder_name() != name


def test_caches_are_listed_without_torch_or_numpy() -> None:
    code = "import sys, core.cache; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'PySide6')))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
