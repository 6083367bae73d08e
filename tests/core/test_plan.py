"""From a wish to a settled recipe: targets read, teachers ranked, shapes found, and what can't work refused in time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

import core.settle
import core.target
import core.teachers
from core import events as ev
from core.cache import CacheRecipe, Manifest, Shard, data_files, teacher_fingerprint, write_manifest
from core.chain import ChainRecipe
from core.devices import Device
from core.distill import DistillRecipe
from core.errors import BadModel, BadRecipe
from core.estimate import Figure
from core.evaluate import EvaluateRecipe
from core.home import Home
from core.journal import JournalWriter
from core.measure import MeasureRecipe
from core.models import entry_of
from core.objectives import OBJECTIVES
from core.plan import Plan, beside, parse_target, plan, rank_teachers, settle
from core.runs import new_run
from core.settle import settle_any
from core.shapes import config_for, count_parameters, shape_of, validate_cut
from core.tensors import expected_tensors
from core.tokenizer import tokenizer_identity
from core.write import WriteRecipe

CPU = Device("cpu", "a CPU", 16 * 2**30, 8 * 2**30, False, "", cores=4)


def llama(hidden: int = 192, layers: int = 6, **changes: Any) -> dict[str, Any]:
    sizes = {"hidden_size": hidden, "num_hidden_layers": layers, "vocab_size": 512, "num_attention_heads": 6}
    sizes |= {"num_key_value_heads": 2, "head_dim": 32, "intermediate_size": 512, "max_position_embeddings": 256}
    return {"model_type": "llama", "tie_word_embeddings": True} | sizes | changes


def save(folder: Path, config: dict[str, Any], letters: str = "abcdefgh", weights: bool = True) -> Path:
    """A model folder with weights of zero and a tokenizer of single letters."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer = Tokenizer(models.WordLevel({letter: id_ for id_, letter in enumerate([*letters, "?"])}, "?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    if weights:
        _write_zeros(
            folder / "model.safetensors", expected_tensors(config) if "hidden_size" in config else {"w": (9, 9)}
        )
    return folder


def _write_zeros(file: Path, tensors: dict[str, tuple[int, ...]]) -> None:
    header, at = {}, 0
    for name, dims in tensors.items():
        size = 2
        for dim in dims:
            size *= dim
        named = "lm_head.weight" if name == "head" else name if name == "w" else f"model.{name}"
        header[named] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    with file.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        stream.truncate(8 + len(text) + at)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Hub cache, no sample family and one CPU, whatever machine this is."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(core.teachers, "sample_teachers", list)
    monkeypatch.setattr(core.target, "devices", lambda: [CPU])


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "a home, ünïcode")


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return save(tmp_path / "teacher", llama())


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text.txt"
    file.write_text("Once upon a time.\n", encoding="utf-8")
    return file


def size_of(folder: Path) -> int:
    return count_parameters(json.loads((folder / "config.json").read_text())).total


# --- targets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wish", "parameters"),
    [
        ("0.4x", 400_000),
        ("40%", 400_000),
        ("1X", 1_000_000),
        ("1.3M", 1_300_000),
        ("3B", 3_000_000_000),
        ("350000", 350_000),
        ("350,000", 350_000),
        ("800K", 800_000),
        ("2GB", 1_000_000_000),
        ("2 GB@fp32", 500_000_000),
        ("500MB@bf16", 250_000_000),
        ("1GiB@float16", 2**29),
        ("2GB@int8", 1_882_352_941),  # 34 bytes for 32 parameters
        ("2GB@int4", 3_555_555_556),  # 18 bytes for 32 parameters
    ],
)
def test_a_target_becomes_parameters(wish: str, parameters: int) -> None:
    assert parse_target(wish).parameters(teacher_params=1_000_000) == parameters


@pytest.mark.parametrize(
    "wish", ["", "big", "-3", "0", "0x", "1.5x", "400%", "0GB", "2GB@int3", "3X4", "30tok", "./nowhere", "not/known"]
)
def test_a_wish_without_meaning_is_refused_with_examples(wish: str) -> None:
    with pytest.raises(BadRecipe) as caught:
        parse_target(wish)
    assert caught.value.way_out


def test_a_share_needs_a_teacher() -> None:
    with pytest.raises(BadRecipe, match=r"0\.4x is a share of the teacher"):
        parse_target("0.4x").parameters()


def test_a_speed_depends_on_the_memory_of_the_machine() -> None:
    slow, fast = (Figure(value=value, low=value, high=value, reason="told") for value in (10e9, 100e9))
    target = parse_target("30tok/s")
    assert target.parameters(bandwidth=fast) == pytest.approx(10 * target.parameters(bandwidth=slow))
    assert parse_target("30 tokens/s@int4").parameters(bandwidth=slow) > 3 * target.parameters(bandwidth=slow)
    assert "memory is the limit" in target.explained(bandwidth=slow)[1]


def test_a_folder_is_a_target_of_its_own_size(teacher: Path) -> None:
    target = parse_target(str(teacher))
    assert target.kind == "folder"
    assert target.parameters() == size_of(teacher)


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_plan_needs_no_teacher_and_nothing_at_hand(home: Home) -> None:
    made = json.loads(json.dumps(plan(home, parse_target("3B")).model_dump(mode="json")))
    assert made["student_params"] == 3_000_000_000
    assert made["teacher_params"] == 7_500_000_000
    assert made["band"] == [6_000_000_000, 9_990_000_000]
    assert made["affine_params"] is None
    assert made["extrapolated"] is True
    assert made["candidates"] == []
    assert made["teacher"] is None
    assert "arXiv" in made["source"]
    assert made["estimate"]["memory_bytes"] > 16 * 3_000_000_000
    assert any("stands in" in assumption for assumption in made["estimate"]["assumptions"])
    assert [problem["field"] for problem in made["problems"]] == ["device"]  # 8 GB are not enough


def test_the_fitted_line_is_shown_inside_the_fitted_range(home: Home) -> None:
    assert plan(home, parse_target("100M")).affine_params == pytest.approx(238_302_000)


def test_a_plan_loads_neither_torch_nor_transformers(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from core.home import Home; from core.plan import plan, parse_target; "
        f"plan(Home.find({str(tmp_path / 'h')!r}), parse_target('3B')); "
        "print([m for m in ('torch', 'transformers', 'numpy', 'huggingface_hub') if m in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


def test_teachers_at_hand_are_ranked_by_the_law(home: Home, tmp_path: Path) -> None:
    right = save(tmp_path / "right", llama())
    student = round(size_of(right) / 2.5)
    small = save(tmp_path / "small", llama(hidden=64, layers=2))
    large = save(tmp_path / "large", llama(hidden=576, layers=12))
    made = plan(home, parse_target(str(student)), at_hand=[large, small, entry_of(right)])
    assert [found.name for found in made.candidates] == ["right", "large", "small"]
    assert [found.badge for found in made.candidates] == ["in the band", "the curse", "weak teacher"]
    assert made.candidates[0].distance == pytest.approx(0, abs=1e-5)
    assert made.shapes  # as if the one in the band taught
    assert made.teacher is None


def test_models_that_cannot_teach_are_not_offered(tmp_path: Path) -> None:
    good = save(tmp_path / "good", llama())
    empty = save(tmp_path / "config only", llama(), weights=False)
    quantized = save(tmp_path / "quantized", llama(quantization_config={"quant_method": "gptq"}))
    broken = save(tmp_path / "broken", llama())
    (broken / "config.json").write_text("{", encoding="utf-8")
    models_there = [good, empty, quantized, broken, tmp_path / "absent", good, entry_of(broken)]
    assert [found.path for found in rank_teachers(models_there, 10_000)] == [good]


def test_the_hub_cache_and_students_of_earlier_runs_are_at_hand(home: Home, tmp_path: Path) -> None:
    save(tmp_path / "hub" / "models--some--model" / "snapshots" / "abc", llama())
    save(home.runs / "a run" / "artifacts" / "student", llama(layers=5))
    names = {found.name for found in plan(home, parse_target("100K")).candidates}
    assert names == {"some/model", "a run"}


def test_a_teacher_of_the_same_tokenizer_goes_first(home: Home, tmp_path: Path) -> None:
    student = save(tmp_path / "student", llama(hidden=96, layers=3))
    ideal = save(tmp_path / "ideal but foreign", llama(hidden=160, layers=5), letters="hgfedcba")
    kin = save(tmp_path / "kin", llama(hidden=384))
    made = plan(home, parse_target(str(student)), at_hand=[ideal, kin])
    assert made.init == "existing"
    assert [found.same_tokenizer for found in made.candidates] == [True, False]
    assert made.candidates[0].distance > made.candidates[1].distance


@pytest.mark.parametrize("init", ["prune", "masks", "scratch"])
def test_shapes_for_a_teacher_come_within_two_per_cent(home: Home, teacher: Path, init: Any) -> None:
    made = plan(home, parse_target("0.4x"), teacher, init=init)
    assert made.teacher is not None
    assert made.teacher.badge == "in the band"
    assert made.shapes[0].parameters == pytest.approx(0.4 * size_of(teacher), rel=0.02)
    assert made.estimate.choices.sequence_length == 256
    assert made.problems == ()


def test_a_small_teacher_is_a_problem_that_names_both_sizes(home: Home, teacher: Path) -> None:
    made = plan(home, parse_target("10M"), teacher)
    assert [problem.field for problem in made.problems] == ["teacher"]
    assert "10M" in made.problems[0].text
    assert made.teacher is not None
    assert made.teacher.badge == "weak teacher"


def test_a_huge_teacher_brings_assistants(home: Home, tmp_path: Path) -> None:
    teacher = save(tmp_path / "big", llama(hidden=768, layers=12, intermediate_size=2048))
    made = plan(home, parse_target("0.05x"), teacher)
    assert made.teacher is not None
    assert made.teacher.badge == "the curse"
    assert made.assistants.sizes[0] == pytest.approx(2.5 * made.student_params, rel=0.01)


def test_a_device_that_is_not_there_is_refused(home: Home) -> None:
    with pytest.raises(BadRecipe, match="no cuda:3 on this machine"):
        plan(home, parse_target("3B"), device="cuda:3")


def test_the_text_at_hand_counts_for_the_disk(home: Home, teacher: Path, text: Path) -> None:
    made: Plan = plan(home, parse_target("0.4x"), teacher, data=[str(text)], tokens=10**6)
    assert made.tokens == 10**6
    assert next(part.bytes for part in made.estimate.disk if part.name == "tokens") == text.stat().st_size


# --- settling ---------------------------------------------------------------------------------------------------------


def recipe_for(teacher: Path | None, text: Path, **changes: Any) -> DistillRecipe:
    raw = {"teacher": teacher and str(teacher), "student": "0.4x", "data": (str(text),), "tokens": 10_000}
    return DistillRecipe.model_validate(raw | changes)


@pytest.mark.parametrize("init", ["prune", "masks", "inherit", "scratch"])
def test_settling_gives_an_exact_shape_and_then_changes_nothing(teacher: Path, text: Path, init: str) -> None:
    recipe = recipe_for(teacher, text, init=init)
    settled = settle(recipe)
    assert settled.shape is not None
    assert settle(settled) == settled == settle(recipe)
    assert settled.model_copy(update={"shape": None}) == recipe


@pytest.mark.parametrize("share", ["0.3x", "0.5x", "0.77x", "1x", "150K"])
def test_a_pruned_shape_can_be_cut_from_its_teacher(teacher: Path, text: Path, share: str) -> None:
    config = llama()
    settled = settle(recipe_for(teacher, text, student=share))
    assert settled.shape is not None
    assert validate_cut(shape_of(config), settled.shape) == []
    asked = parse_target(share).parameters(size_of(teacher))
    assert count_parameters(config_for(config, settled.shape)).total == pytest.approx(asked, rel=0.02)


def test_an_inheriting_student_has_the_nearest_number_of_whole_layers(teacher: Path, text: Path) -> None:
    settled = settle(recipe_for(teacher, text, init="inherit", student="0.5x"))
    assert settled.shape == shape_of(llama(layers=3))


def test_paths_become_absolute(teacher: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(teacher.parent)
    settled = settle(recipe_for(Path("teacher"), Path("text.txt"), out="made here"))
    assert settled.teacher == str(teacher)
    assert settled.data == (str(text),)
    assert settled.out == str(teacher.parent / "made here")


def test_a_name_on_the_hub_becomes_the_cached_folder(tmp_path: Path, text: Path) -> None:
    folder = save(tmp_path / "hub" / "models--some--model" / "snapshots" / "abc", llama())
    assert settle(recipe_for(Path("some/model"), text)).teacher == str(folder)


def test_a_folder_as_the_student_is_an_existing_one(teacher: Path, tmp_path: Path, text: Path) -> None:
    student = save(tmp_path / "student", llama(hidden=96))
    settled = settle(recipe_for(teacher, text, student=str(student)))
    assert (settled.init, settled.shape) == ("existing", None)
    assert settle(settled) == settled


def test_a_folder_without_weights_gives_its_shape(teacher: Path, tmp_path: Path, text: Path) -> None:
    config = llama(hidden=96)
    described = save(tmp_path / "described", config, weights=False)
    settled = settle(recipe_for(teacher, text, student=str(described), init="scratch"))
    assert (settled.init, settled.shape) == ("scratch", shape_of(config))
    with pytest.raises(BadModel, match="no weights"):
        settle(recipe_for(teacher, text, student=str(described), init="existing"))


def refusal(recipe: DistillRecipe) -> str:
    with pytest.raises(BadRecipe) as caught:
        settle(recipe)
    return str(caught.value)


@pytest.mark.parametrize("init", ["prune", "scratch"])
def test_a_teacher_smaller_than_its_student_is_refused(teacher: Path, text: Path, init: str) -> None:
    said = refusal(recipe_for(teacher, text, student="10M", init=init))
    assert "teacher has 2.46M parameters, fewer than the student's 10M" in said
    assert "about 25M" in said


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A student of another tokenizer than the teacher's."""
    return save(tmp_path / "foreign", llama(hidden=96), letters="hgfedcba")


def test_texts_are_compared_where_the_tokenizers_differ(home: Home, teacher: Path, foreign: Path, text: Path) -> None:
    settled = settle(recipe_for(teacher, text, student=str(foreign)))
    assert settled.objective == "gold"
    assert settle(settled) == settled
    assert settle(recipe_for(teacher, text, student=str(foreign), use_teacher=False)).objective == "forward_kl"
    made = plan(home, parse_target(str(foreign)), teacher, data=[str(text)])
    assert made.objective == "gold"
    assert "different tokenizers" in made.objective_sentence
    assert (made.pair[0].what, made.pair[0].verdict) == ("tokenizer", "warning")
    assert made.problems == ()
    against = {choice.name: choice.why_not for choice in made.objectives}
    assert [name for name, why in against.items() if why is None] == ["uld", "gold"]
    assert "Choose Aligned texts (GOLD) or Universal logits (ULD)" in str(against["jsd"])


@pytest.mark.parametrize("changes", [{"objective": "jsd"}, {"source": "cache"}, {"source": "on-policy"}], ids=str)
def test_distributions_of_different_tokenizers_are_not_compared(
    teacher: Path, foreign: Path, text: Path, changes: dict[str, Any]
) -> None:
    said = refusal(recipe_for(teacher, text, student=str(foreign), **changes))
    assert "objective: foreign and its teacher teacher have different tokenizers" in said
    assert "Choose Aligned texts (GOLD) or Universal logits (ULD)" in said


def test_states_of_different_tokenizers_are_not_compared(teacher: Path, foreign: Path, text: Path) -> None:
    assert "hidden_weight: foreign" in refusal(recipe_for(teacher, text, student=str(foreign), hidden_weight=1.0))


# --- what stands against an objective, a source, teachers or devices --------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        (
            {"on_policy_share": 0.7},
            "on_policy_share",
            "means nothing with the source “Text, with the teacher beside” (corpus)",
        ),
        (
            {"on_policy_share": 0.7, "source": "cache"},
            "on_policy_share",
            "a cache has no answers to what it would write",
        ),
        ({"new_tokens": 20}, "new_tokens", "Choose “The student's own words” (on-policy)"),
        ({"teacher_mix": 0.2}, "teacher_mix", "Choose “The student's own words” (on-policy)"),
        ({"cache": "kept", "source": "on-policy"}, "cache", "That needs the teacher itself"),
        ({"cache": "kept"}, "cache", "the source is “Text, with the teacher beside” (corpus)"),
        ({"cache": "nowhere", "source": "cache"}, "cache", "There is no folder"),
        ({"source": "cache", "objective": "sinkhorn"}, "objective", "more of the teacher than a cache keeps"),
        ({"source": "cache", "objective": "jsd", "tail": "sample"}, "tail", "biased on classes drawn at random"),
        ({"source": "cache", "top_k": 600}, "top_k", "more than the 9 that teacher has"),
        ({"source": "on-policy", "objective": "gold"}, "source", "reads the text as it stands"),
        ({"answers_only": True}, "answers_only", "has no answers to learn"),
        ({"chunk_rows": 10**9}, "chunk_rows", "65,536 at most"),
        ({"teacher_weights": (0.5, 0.5)}, "teacher_weights", "2 weights for 1 teachers"),
        ({"teacher_device": "cuda:7"}, "teacher_device", "no cuda:7 on this machine"),
        ({"measure_every": 9, "measure_skills": 1, "measure_device": "cuda:7"}, "measure_device", "no cuda:7"),
        ({"processes": 2}, "launch", "started by accelerate"),
        (
            {"processes": 2, "launch": "accelerate", "strategy": "fsdp", "source": "on-policy"},
            "strategy",
            "must be whole in each process",
        ),
        ({"processes": 2, "launch": "accelerate", "teacher_device": "cpu"}, "teacher_device", "beside 2 processes"),
        ({"teacher_precision": "int8"}, "teacher_precision", "can't be cut out of weights in int8"),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_said_before_the_run(
    teacher: Path, text: Path, changes: dict[str, Any], field: str, words: str
) -> None:
    said = refusal(recipe_for(teacher, text, **changes))
    assert any(line.startswith(f"{field}: ") and words in line for line in said.splitlines()), said


def test_weights_of_teachers_are_numbers(teacher: Path, text: Path) -> None:
    with pytest.raises(ValueError, match="finite number"):
        recipe_for(teacher, text, teacher_weights=(float("nan"),))


def test_a_quantized_teacher_needs_its_package(teacher: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recipe_for(teacher, text, init="scratch", teacher_precision="int4")
    monkeypatch.setattr(core.settle, "find_spec", lambda name: None)
    assert "pip install bitsandbytes" in refusal(asked)
    monkeypatch.setattr(core.settle, "find_spec", lambda name: object())
    assert settle(asked).teacher_precision == "int4"


def test_states_of_an_unknown_architecture_are_not_followed(tmp_path: Path, text: Path) -> None:
    unknown = save(tmp_path / "unknown", {"model_type": "mamba3", "vocab_size": 9})
    student = save(tmp_path / "a copy", {"model_type": "mamba3", "vocab_size": 9})
    said = refusal(recipe_for(unknown, text, student=str(student), objective="hidden"))
    assert "objective: The parts of unknown (mamba3) are not known here" in said
    assert "relation_weight: " in refusal(recipe_for(unknown, text, student=str(student), relation_weight=1.0))


def test_further_teachers_become_whole_paths_and_are_looked_at(
    teacher: Path, tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = save(tmp_path / "second", llama(layers=5))
    small = save(tmp_path / "small", llama(hidden=48, layers=1))
    other = save(tmp_path / "other", llama(), letters="hgfedcba")
    monkeypatch.chdir(tmp_path)
    settled = settle(recipe_for(teacher, text, more_teachers=("second",)))
    assert settled.more_teachers == (str(second),)
    for name, words in ((small, "fewer than the student's"), (other, "another tokenizer"), (teacher, "named twice")):
        said = refusal(recipe_for(teacher, text, more_teachers=(str(name),)))
        assert said.startswith("more_teachers: ")
        assert words in said
    with pytest.raises(BadModel, match="nowhere"):
        settle(recipe_for(teacher, text, more_teachers=("./nowhere",)))


def kept_answers(folder: Path, teacher: Path, text: Path, **changes: Any) -> Path:
    """A cache of the teacher's answers to the text, whose one shard is no real one: nothing here reads answers."""
    folder.mkdir(parents=True)
    (folder / "part-00000.bin").write_bytes(b"answers")
    fields: dict[str, Any] = {
        "teacher": str(teacher),
        "teacher_name": teacher.name,
        "teacher_fingerprint": teacher_fingerprint(teacher),
        "tokenizer": tokenizer_identity(teacher),
        "start": None,
        "end": None,
        "vocabulary": 9,
        "top_k": 5,
        "sequence_length": 256,
        "longest": 20,
        "data": data_files((str(text),)),
        "created": 1.0,
        "documents": 3,
        "tokens": 1200,
        "rows": 1000,
        "bytes": 7,
        "shards": (Shard(file="part-00000.bin", bytes=7, blake2b="0" * 64, segments=1),),
    }
    write_manifest(folder, Manifest.model_validate(fields | changes))
    return folder


def test_a_named_cache_must_be_of_this_teacher_and_this_text(
    teacher: Path, tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_answers(tmp_path / "kept", teacher, text)
    monkeypatch.chdir(tmp_path)
    asked = recipe_for(teacher, text, source="cache", cache="kept", top_k=5)
    assert settle(asked).cache == str(tmp_path / "kept")
    retrained = save(tmp_path / "retrained", llama(layers=5))
    assert "cache: The cache is of another teacher" in refusal(asked.model_copy(update={"teacher": str(retrained)}))
    assert "temperature: " in refusal(asked.model_copy(update={"temperature": 2.0}))
    (tmp_path / "kept" / "manifest.json").write_text("{}")
    assert "cache: " in refusal(asked)
    text.write_text("Something else altogether.\n", encoding="utf-8")
    kept_answers(tmp_path / "older", teacher, text)
    text.write_text("Something else again, and longer.\n", encoding="utf-8")
    assert "data: " in refusal(asked.model_copy(update={"cache": "older"}))


def test_answers_that_are_kept_already_cost_nothing_more(home: Home, teacher: Path, tmp_path: Path, text: Path) -> None:
    asked: dict[str, Any] = {"data": [str(text)], "tokens": 10**6, "source": "cache", "top_k": 5}
    first = plan(home, parse_target("0.4x"), teacher, **asked)
    kept_answers(home.caches / "made before", teacher, text)
    again = plan(home, parse_target("0.4x"), teacher, **asked)
    assert "capture" in {part.name for part in first.estimate.time}
    assert "capture" not in {part.name for part in again.estimate.time}
    assert again.estimate.disk_bytes < first.estimate.disk_bytes


def test_a_plan_compares_every_source_and_objective(home: Home, teacher: Path, text: Path) -> None:
    made = plan(home, parse_target("0.4x"), teacher, data=[str(text)], tokens=10**6, top_k=5)
    assert [choice.name for choice in made.sources] == ["corpus", "cache", "on-policy"]
    corpus, cache, written = made.sources
    assert (corpus.seconds, corpus.memory_bytes) == (made.estimate.seconds, made.estimate.memory_bytes)
    assert cache.memory_bytes < corpus.memory_bytes
    assert cache.disk_bytes > corpus.disk_bytes
    assert written.seconds > corpus.seconds
    assert [choice.why_not for choice in (*made.sources, *made.objectives)] == [None] * 17
    assert {choice.name for choice in made.objectives} == set(OBJECTIVES)
    sinkhorn = next(choice for choice in made.objectives if choice.name == "sinkhorn")
    assert sinkhorn.seconds > corpus.seconds


def test_a_plan_says_why_a_choice_cannot_be_had(home: Home, teacher: Path, text: Path) -> None:
    made = plan(home, parse_target("0.4x"), teacher, data=[str(text)], objective="sinkhorn")
    against = {choice.name: choice.why_not for choice in made.sources}
    assert against["corpus"] is against["on-policy"] is None
    assert "Sinkhorn needs more of the teacher than a cache keeps" in str(against["cache"])
    cached = plan(home, parse_target("0.4x"), teacher, data=[str(text)], source="cache", top_k=5)
    reasons = {choice.name: choice.why_not for choice in cached.objectives}
    assert reasons["jsd"] is None
    assert "more of the teacher" in str(reasons["hidden"])


def test_a_trouble_elsewhere_stands_against_no_choice(home: Home, teacher: Path) -> None:
    made = plan(home, parse_target("0.4x"), teacher, on_policy_share=0.7, sequence_length=300, top_k=5)
    assert {problem.field for problem in made.problems} == {"on_policy_share", "sequence_length"}
    assert {choice.why_not for choice in (*made.sources, *made.objectives)} == {None}


def test_a_measured_speed_is_carried_over_to_the_other_choices(home: Home, teacher: Path, text: Path) -> None:
    asked: dict[str, Any] = {"data": [str(text)], "tokens": 10**7}
    reckoned = plan(home, parse_target("0.4x"), teacher, **asked)
    slow = reckoned.estimate.tokens_per_second / 10
    measured = plan(home, parse_target("0.4x"), teacher, **asked, measured_tokens_per_second=slow)
    assert measured.estimate.tokens_per_second == pytest.approx(slow)
    for before, after in zip(reckoned.sources, measured.sources, strict=True):
        assert 3 * before.seconds < after.seconds < 10.1 * before.seconds


def test_a_folder_that_is_no_teacher_is_a_problem_of_the_plan(home: Home, teacher: Path, tmp_path: Path) -> None:
    made = plan(home, parse_target("0.4x"), teacher, more_teachers=(str(tmp_path / "none"),))
    assert [problem.field for problem in made.problems] == ["more_teachers"]


def test_a_sequence_beyond_the_context_is_refused(teacher: Path, text: Path) -> None:
    assert "300 positions are more than the 256" in refusal(recipe_for(teacher, text, sequence_length=300))


def test_an_unknown_architecture_can_teach_but_not_be_cut(tmp_path: Path, text: Path) -> None:
    unknown = save(tmp_path / "unknown", {"model_type": "mamba3", "vocab_size": 9})
    assert "prune can't make a student of the architecture mamba3" in refusal(recipe_for(unknown, text))
    student = save(tmp_path / "a copy", {"model_type": "mamba3", "vocab_size": 9})
    assert settle(recipe_for(unknown, text, student=str(student))).init == "existing"


def test_code_that_comes_with_a_model_is_refused_until_allowed(tmp_path: Path, text: Path) -> None:
    folder = save(tmp_path / "with code", llama(auto_map={"AutoModelForCausalLM": "own.Model"}))
    with pytest.raises(BadModel, match="code of its own"):
        settle(recipe_for(folder, text))
    assert settle(recipe_for(folder, text, allow_remote_code=True)).shape is not None


def test_a_quantized_teacher_is_not_cut(tmp_path: Path, text: Path) -> None:
    folder = save(tmp_path / "quantized", llama(quantization_config={"quant_method": "gptq"}))
    assert "quantized (gptq)" in refusal(recipe_for(folder, text))


def test_a_shape_left_from_another_target_is_refused(teacher: Path, text: Path) -> None:
    settled = settle(recipe_for(teacher, text))
    assert "Leave the shape out" in refusal(settled.model_copy(update={"student": "0.8x"}))
    wide = shape_of(llama(hidden=384))
    assert "can't be cut from teacher" in refusal(settled.model_copy(update={"shape": wide}))


def test_all_that_is_missing_is_said_at_once(text: Path) -> None:
    said = refusal(recipe_for(None, text))
    assert "teacher: prune cuts the student out of a teacher" in said
    assert "student: There is no folder 0.4x" in said


def test_an_existing_model_must_be_named(teacher: Path, text: Path) -> None:
    assert "0.4x is no model folder" in refusal(recipe_for(teacher, text, init="existing"))


def test_a_device_that_is_not_there_is_refused_before_a_run_is_made(teacher: Path, text: Path) -> None:
    assert "no gpu on this machine. There is cpu; auto chooses" in refusal(recipe_for(teacher, text, device="gpu"))
    assert settle(recipe_for(teacher, text, device="cpu")).device == "cpu"


def test_a_described_student_of_another_vocabulary_is_refused(teacher: Path, tmp_path: Path, text: Path) -> None:
    described = save(tmp_path / "described", llama(hidden=96, vocab_size=700), weights=False)
    said = refusal(recipe_for(teacher, text, student=str(described), init="scratch"))
    assert "vocabulary of 700" in said
    assert "vocab_size" in said


def test_paths_in_a_recipe_file_are_read_from_its_folder(
    tmp_path: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sub"
    save(folder / "teacher", llama())
    save(tmp_path / "teacher", llama(layers=2))
    (folder / "0.4x").mkdir()  # a size all the same
    save(tmp_path / "hub" / "models--some--model" / "snapshots" / "abc", llama())
    monkeypatch.chdir(tmp_path)
    asked = recipe_for(Path("teacher"), Path("t.txt"), out="../out", cache="kept", more_teachers=("teacher",))
    placed = beside(asked, Path("sub"))
    assert (placed.cache, placed.more_teachers) == (str(folder / "kept"), (str(folder / "teacher"),))
    assert placed.teacher == str(folder / "teacher")
    assert (placed.student, placed.data) == ("0.4x", (str(folder / "t.txt"),))
    assert placed.out == str(folder / "../out")
    assert beside(recipe_for(Path("some/model"), text), folder).teacher == "some/model"
    assert beside(recipe_for(None, text, student="teacher"), folder).student == str(folder / "teacher")
    assert beside(recipe_for(Path("absent"), text), folder).teacher == str(folder / "absent")


def test_every_kind_of_recipe_is_read_from_its_folder_and_settled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sub"
    save(folder / "teacher", llama())
    (folder / "t.txt").write_text("Once.\n", encoding="utf-8")
    hub = save(tmp_path / "hub" / "models--some--model" / "snapshots" / "abc", llama())
    monkeypatch.chdir(tmp_path)
    fields: dict[str, Any] = {"teacher": "teacher", "data": ("t.txt",)}
    asked = [
        CacheRecipe(**fields, out="kept", top_k=5),
        WriteRecipe(**fields, out="w.jsonl", tokens=100),
        EvaluateRecipe(**fields, model="teacher"),
        MeasureRecipe(of=DistillRecipe(**fields, student="0.4x", tokens=1000)),
        ChainRecipe(of=DistillRecipe(**fields, student="0.1x", tokens=90_000, out="student")),
    ]
    for recipe in asked:
        settled = settle_any(beside(recipe, Path("sub")))
        inner = inner_of(settled)
        assert (inner.teacher, inner.data) == (str(folder / "teacher"), (str(folder / "t.txt"),)), recipe.kind
        assert settle_any(settled) == settled
        for name in ("out", "model"):
            assert Path(getattr(inner, name, None) or folder / "none").parent == folder
        of_hub: dict[str, Any] = {"teacher": "some/model"}
        if inner is not settled:
            of_hub = {"of": inner_of(recipe).model_copy(update=of_hub)}
        found = settle_any(beside(recipe.model_copy(update=of_hub), Path("sub")))
        assert inner_of(found).teacher == str(hub)


def inner_of(recipe: Any) -> Any:
    return recipe.of if isinstance(recipe, MeasureRecipe | ChainRecipe) else recipe


def test_a_student_that_is_half_written_is_not_at_hand(home: Home) -> None:
    save(home.runs / "a run" / "artifacts" / ".student.part", llama())
    assert core.teachers.models_at_hand(home) == []


# --- the user's own runs ----------------------------------------------------------------------------------------------


def finished(home: Home, text: str, student: int, teacher: int, bits: float | None, **changes: Any) -> None:
    recipe = DistillRecipe.model_validate(
        {"teacher": "/t", "student": "0.4x", "data": (text,), "tokens": 100, "name": "own"} | changes
    )
    with JournalWriter(new_run(home, recipe).journal) as journal:
        after = {"bits_per_byte": bits}
        journal.append(
            ev.RunFinished({"parameters": student, "teacher_parameters": teacher, "after": after, "steps": 1})
        )


def test_own_runs_refit_the_law(home: Home) -> None:
    assert plan(home, parse_target("1M")).own_runs == 0
    for student in (100_000, 200_000):
        for ratio in (2, 3, 4):
            finished(home, "/mine.txt", student, ratio * student, 1 + abs(ratio - 3) / 10)
    made = plan(home, parse_target("1M"))
    assert (made.own_runs, made.own_law) == (6, None)
    assert "Run 1 more student size" in made.own_law_sentence
    for ratio in (2, 3, 4):
        finished(home, "/mine.txt", 400_000, ratio * 400_000, 1 + abs(ratio - 3) / 10)
    finished(home, "/other.txt", 400_000, 9 * 400_000, 0.1)
    finished(home, "/mine.txt", 400_000, 9 * 400_000, 0.1, use_teacher=False)
    finished(home, "/mine.txt", 400_000, 9 * 400_000, None)
    made = plan(home, parse_target("1M"))
    assert made.own_law is not None
    assert (made.own_runs, made.own_law.ratio) == (9, pytest.approx(3))
    assert "3.00 times the student" in made.own_law_sentence
    assert made.model_dump(mode="json")["own_law"]["n"] == 3


def test_own_runs_that_cannot_be_read_do_not_stop_a_plan(home: Home) -> None:
    finished(home, "/mine.txt", 100, 250, 1.0)
    finished(home, "/mine.txt", 100, 300, 1.0)
    next(home.runs.glob("*/recipe.json")).write_text("{")
    assert plan(home, parse_target("1M")).own_runs == 1
