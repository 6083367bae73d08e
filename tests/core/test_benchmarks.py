"""Benchmarks are found in the folders people have, in the layouts that they have them in, and wrong files are named by row and field."""

from __future__ import annotations

import csv
import gzip
import json
import zipfile
from pathlib import Path

import pytest

from core.benchmark_files import Found, find
from core.benchmarks import PRESETS, chance_of, higher_is_better, known, main_metric, needs_consent, parse_tasks
from core.errors import BadData, BadRecipe
from core.evaluate import EvaluateRecipe
from core.pairs import Pair, holds_pairs, read_pairs

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "eval"

ARC_ROW = {
    "instruction": "Please choose the correct answer to the question: What is wet?\n\nAnswer1: fire Answer2: the sea Answer3: sand"
    "\n\nAnswer format: answer1/answer2/answer3",
    "input": "",
    "output": "the correct answer is answer2",
    "answer": "answer2",
}


def write_json(file: Path, rows: list) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def asked(found: Found | None) -> list[dict]:
    assert found is not None
    return list(found.rows(found.asked))


def test_a_word_is_a_task_its_examples_or_a_preset() -> None:
    assert parse_tasks(["arc_easy", "gsm8k_cot@8"]) == {"arc_easy": None, "gsm8k_cot": 8}
    assert parse_tasks(["minima-six"]) == {
        "mmlu": 5,
        "ceval-valid": 5,
        "drop": 3,
        "bbh": 3,
        "gsm8k_cot": 8,
        "humaneval": 0,
    }
    assert all(parse_tasks([name]) for name in PRESETS)
    for wrong in ("@3", "mmlu@five", "mmlu@"):
        with pytest.raises(BadRecipe, match="no task"):
            parse_tasks([wrong])
    with pytest.raises(BadRecipe, match="different few-shot"):
        parse_tasks(["mmlu@5", "mmlu@0"])


def test_the_facts_of_a_group_are_those_of_its_tasks() -> None:
    assert known("mmlu_anatomy") is known("mmlu")
    assert known("mmlu_anatomy").chance == 0.25
    assert known("mmlux") is None
    assert chance_of("arc_challenge", "acc") == 0.25
    assert chance_of("gsm8k", "exact_match,strict-match") == 0
    assert chance_of("blimp_causative", "f1") is None
    assert main_metric("arc_challenge", ["acc", "acc_stderr", "acc_norm"]) == "acc_norm"
    assert (
        main_metric("gsm8k", ["exact_match,strict-match", "exact_match,strict-match_stderr"])
        == "exact_match,strict-match"
    )
    assert main_metric("unheard_of", ["f1_stderr", "f1"]) == "f1"
    assert higher_is_better("acc,none")
    assert not higher_is_better("perplexity")


def test_programs_are_run_only_with_consent(tmp_path) -> None:
    assert needs_consent("humaneval")
    assert needs_consent("mbpp_plus")
    assert not needs_consent("humanevalx")
    recipe = EvaluateRecipe(model=str(tmp_path), tasks=("humaneval",))
    (problem,) = recipe.problems()
    assert problem.field == "run_code"
    assert "--run-code" in problem.text
    assert not EvaluateRecipe(model=str(tmp_path), tasks=("humaneval",), run_code=True).problems()


def test_choices_inside_the_text_become_the_hubs_fields(tmp_path) -> None:
    write_json(tmp_path / "arc" / "arc_easy_test.json", [ARC_ROW])
    rows = asked(find(tmp_path, "allenai/ai2_arc", "ARC-Easy", "test", "train"))
    assert rows == [
        {
            "id": "1",
            "question": "What is wet?",
            "choices": {"text": ["fire", "the sea", "sand"], "label": ["A", "B", "C"]},
            "answerKey": "B",
        }
    ]
    assert find(tmp_path, "allenai/ai2_arc", "ARC-Challenge", "test", None) is None
    # the folder that is named may be the benchmark's own
    assert asked(find(tmp_path / "arc", "allenai/ai2_arc", "ARC-Easy", "test", None)) == rows


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"answer": "answer4"}, "answer"),
        ({"answer": None}, "answer"),
        ({"instruction": "What is wet?"}, "instruction"),
    ],
)
def test_a_row_that_is_laid_out_otherwise_is_named_with_its_field(tmp_path, change: dict, field: str) -> None:
    write_json(tmp_path / "arc_easy_test.json", [ARC_ROW, ARC_ROW | change])
    with pytest.raises(BadData, match=rf"arc_easy_test\.json, row 2: the field {field}"):
        asked(find(tmp_path, "allenai/ai2_arc", "ARC-Easy", "test", None))


def test_a_csv_without_a_head_is_read_and_a_short_row_is_named(tmp_path) -> None:
    for split, rows in {
        "test": [["Why?", "a", "b", "c", "d", "C"]],
        "dev": [["How, then?", "e", "f", "g", "h", "A"]],
    }.items():
        (tmp_path / split).mkdir()
        with (tmp_path / split / f"law_{split}.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)
    found = find(tmp_path, "cais/mmlu", "law", "test", "dev")
    assert asked(found) == [{"question": "Why?", "subject": "law", "choices": ["a", "b", "c", "d"], "answer": 2}]
    assert next(iter(found.rows(found.examples)))["question"] == "How, then?"
    (tmp_path / "test" / "law_test.csv").write_text("Why?,a,b,C\n")
    with pytest.raises(BadData, match="row 1"):
        asked(find(tmp_path, "cais/mmlu", "law", "test", "dev"))
    assert find(tmp_path, "cais/mmlu", "anatomy", "test", "dev") is None


def test_packed_lines_are_read_and_broken_ones_are_named(tmp_path) -> None:
    row = dict.fromkeys(("task_id", "prompt", "entry_point", "canonical_solution", "test"), "x")
    with gzip.open(tmp_path / "HumanEval.jsonl.gz", "wt") as stream:
        stream.write(json.dumps(row) + "\n")
    assert asked(find(tmp_path, "openai/openai_humaneval", None, "test", None)) == [row]
    (tmp_path / "HumanEval.jsonl.gz").write_bytes(b"not packed")
    with pytest.raises(BadData, match="no JSON"):
        asked(find(tmp_path, "openai/openai_humaneval", None, "test", None))


@pytest.mark.parametrize(
    "place", ["ai2_arc", "allenai/ai2_arc", "allenai___ai2_arc", "datasets--allenai--ai2_arc/snapshots/3f2a"]
)
def test_the_hubs_own_files_are_found_under_every_name_that_tools_give_the_folder(tmp_path, place: str) -> None:
    for subset in ("ARC-Easy", "ARC-Challenge"):
        for split in ("train", "validation", "test"):
            file = tmp_path / place / subset / f"{split}-00000-of-00001.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    found = find(tmp_path, "allenai/ai2_arc", "ARC-Easy", "test", "train")
    assert found is not None
    assert found.layout is None
    assert found.format == "parquet"
    assert [file.parent.name + "/" + file.name[:5] for file in (*found.asked, *found.examples)] == [
        "ARC-Easy/test-",
        "ARC-Easy/train",
    ]


def test_the_hubs_own_rows_are_not_taken_for_another_layout_of_the_same_name(tmp_path) -> None:
    hub = {"goal": "Open a jar", "sol1": "turn the lid", "sol2": "shout at it", "label": 0}
    write_json(tmp_path / "piqa" / "validation.json", [hub])
    found = find(tmp_path, "baber/piqa", None, "validation", "train")
    assert found is not None
    assert (found.layout, found.format) == (None, "json")


def test_a_folder_without_the_split_that_is_asked_for_has_not_the_task(tmp_path) -> None:
    (tmp_path / "hellaswag").mkdir()
    (tmp_path / "hellaswag" / "train.jsonl").touch()
    assert find(tmp_path, "Rowan/hellaswag", None, "validation", "train") is None
    (tmp_path / "hellaswag" / "val.jsonl").touch()
    found = find(tmp_path, "Rowan/hellaswag", None, "validation", "train")
    assert found is not None
    assert [file.name for file in found.asked] == ["val.jsonl"]


def test_pairs_come_from_files_folders_and_archives_alike(tmp_path) -> None:
    lines = [json.dumps({"sentence_good": f"good {n}", "sentence_bad": f"bad {n}", "UID": "x"}) for n in range(3)]
    (tmp_path / "sets").mkdir()
    for name in ("one", "two"):
        (tmp_path / "sets" / f"{name}.jsonl").write_text("\n".join(lines))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name in ("one", "two"):
            archive.write(tmp_path / "sets" / f"{name}.jsonl", f"data/{name}.jsonl")
    pairs = [Pair("good 0", "bad 0"), Pair("good 1", "bad 1")]
    assert read_pairs(tmp_path / "sets", 2) == read_pairs(tmp_path / "all.zip", 2) == {"one": pairs, "two": pairs}
    assert len(read_pairs(tmp_path / "sets" / "one.jsonl")["one"]) == 3
    (tmp_path / "archives").mkdir()
    assert not holds_pairs(tmp_path / "archives")
    (tmp_path / "all.zip").rename(tmp_path / "archives" / "all.zip")
    assert holds_pairs(tmp_path / "archives")
    assert read_pairs(tmp_path / "archives", 2) == {"one": pairs, "two": pairs}


@pytest.mark.parametrize(
    ("line", "words"),
    [("{}", "sentence_good"), ("{", "no JSON"), ('{"sentence_good": "a", "sentence_bad": 3}', "sentence_bad")],
)
def test_a_line_that_is_no_pair_is_named(tmp_path, line: str, words: str) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text('{"sentence_good": "a", "sentence_bad": "b"}\n' + line)
    with pytest.raises(BadData, match=rf"line 2.*{words}"):
        read_pairs(file)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared benchmark files do not stand beside the project")
@pytest.mark.parametrize(
    ("repository", "name", "split", "count"),
    [
        ("allenai/ai2_arc", "ARC-Easy", "test", 2376),
        ("allenai/ai2_arc", "ARC-Challenge", "test", 1172),
        ("baber/piqa", None, "validation", 1838),
        ("aps/super_glue", "boolq", "validation", 3270),
        ("openai/gsm8k", "main", "test", 1319),
        ("openai/openai_humaneval", None, "test", 164),
        ("cais/mmlu", "anatomy", "test", 135),
        ("SaylorTwift/bbh", "hyperbaton", "test", 250),
        ("nyu-mll/blimp", "causative", "train", 1000),
    ],
)
def test_every_row_of_the_shared_files_is_understood(repository: str, name: str | None, split: str, count: int) -> None:
    assert len(asked(find(SHARED, repository, name, split, "train"))) == count
