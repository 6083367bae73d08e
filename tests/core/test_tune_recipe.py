"""A tuning says what stands against it before it starts, and proposes what its recipe leaves open, with reasons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.cli import main
from core.tune import PRESETS, TuneRecipe
from core.tune_proposals import learning_rate, proposals, trained_parameters

SAMPLE = Path(__file__).resolve().parents[2] / "resources" / "sample" / "stories-0.8M"
CHATS = [
    {"messages": [{"role": "user", "content": f"Hi {n}"}, {"role": "assistant", "content": "Hello!"}]}
    for n in range(30)
]
PAIRS = [{"prompt": f"Hi {n}", "chosen": "Hello!", "rejected": "Go away."} for n in range(30)]


def write(path: Path, rows: list) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    return write(tmp_path / "chats.json", CHATS)


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write(tmp_path / "pairs.json", PAIRS)


def recipe(data: Path, **changes) -> TuneRecipe:
    return TuneRecipe(model=str(SAMPLE), data=(str(data),), **changes)


def problems(data: Path, **changes) -> dict[str, str]:
    return {problem.field: problem.text for problem in recipe(data, **changes).problems()}


def test_a_sound_recipe_has_nothing_against_it(chats, pairs):
    assert problems(chats) == {}
    assert problems(pairs, objective="dpo") == {}


@pytest.mark.parametrize(
    ("field", "words", "changes"),
    [
        ("rank", "of rank 0 has nothing to learn", {"rank": 0}),
        ("targets", "W_pack matches no layer of stories-0.8M. It has", {"targets": ("q_proj", "W_pack")}),
        ("steps", "said twice, in epochs and in steps", {"epochs": 1, "steps": 5}),
        ("objective", "pairs of a better and a worse answer, and line 1 of chats.json is none", {"objective": "dpo"}),
        ("teacher", "ORPO has no reference model", {"objective": "orpo", "teacher": str(SAMPLE)}),
        ("method", "QLoRA needs an NVIDIA GPU, not cpu", {"method": "qlora", "device": "cpu"}),
        ("template", "There is no template chatlm", {"template": "chatlm"}),
        ("sequence_length", "longer than the model's context of 512", {"sequence_length": 9999}),
        ("adapter", "Full tuning makes no adapter", {"method": "full", "adapter": str(SAMPLE)}),
        ("merge", "leaves nothing to merge", {"method": "full", "merge": True}),
        ("model", "is no adapter: it has no adapter_config.json", {"adapter": str(SAMPLE)}),
        ("out", "is there already", {"out": str(SAMPLE)}),
    ],
)
def test_what_can_not_be_is_said_in_a_sentence_beside_its_field(chats, field, words, changes):
    assert words in problems(chats, **changes)[field]


def test_pairs_are_not_for_answers_and_conversations_without_an_assistant_teach_nothing(pairs, tmp_path):
    assert "Choose the objective dpo or orpo" in problems(pairs)["objective"]
    muted = [{"messages": [{**turn, "train": False} for turn in row["messages"]]} for row in CHATS]
    assert "answer of the assistant to learn" in problems(write(tmp_path / "mute.json", muted))["data"]


def test_placeholders_that_nobody_fills_are_named(tmp_path):
    rows = [{"instruction": f"hi {n}", "input": "", "output": "I am {{name}}, by {{author}}."} for n in range(9)]
    data = write(tmp_path / "identity.json", rows)
    assert "{{name}}" in problems(data)["persona_name"]
    assert "{{author}}" in problems(data, persona_name="Ada")["persona_author"]
    assert problems(data, persona_name="Ada", persona_author="us") == {}


def test_a_broken_row_is_named_or_skipped_on_wish(tmp_path):
    file = tmp_path / "broken.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in CHATS[:3]) + '{"messages": 3}\n')
    assert "ine 4" in problems(file)["data"]
    assert problems(file, skip_broken=True) == {}


def test_the_rate_follows_method_rank_size_and_objective(chats):
    full, _ = learning_rate(recipe(chats, method="full"), 7_000_000_000)
    lora, words = learning_rate(recipe(chats), 7_000_000_000)
    assert full == pytest.approx(2e-5)
    assert lora == pytest.approx(2e-4)
    assert "ten times" in words
    assert learning_rate(recipe(chats, rank=64), 7_000_000_000)[0] == pytest.approx(1e-4)
    assert learning_rate(recipe(chats), 3_000_000)[0] > lora
    assert learning_rate(recipe(chats, objective="dpo"), 7_000_000_000)[0] == pytest.approx(6e-6)


def test_what_is_proposed_is_counted_on_the_model_itself(chats):
    found = proposals(recipe(chats))
    assert set(str(found["targets"].value).split(", ")) == {
        "q_proj",
        "k_proj",
        "v_proj",
        "o_proj",
        "gate_proj",
        "up_proj",
        "down_proj",
    }
    assert found["template"].value == "plain"
    layers = 2 * (128 + 128) + 2 * (128 + 64) + 3 * (128 + 336)  # q and o, k and v, three of the feed-forward network
    assert trained_parameters(recipe(chats), SAMPLE) == 3 * 16 * layers


def test_the_command_says_a_dry_run_as_json_and_takes_the_presets(chats, pairs, tmp_path, capsys):
    flags = ["tune", "--model", str(SAMPLE), "--home", str(tmp_path / "home"), "--dry-run", "--json"]

    def dry(*more: str) -> dict:
        assert main([*flags, *more]) == 0
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    said = dry("--data", str(chats), "--preset", "recover", "--lr", "1e-3", "--out", str(tmp_path / "out"))
    assert said["recipe"]["rank"] == PRESETS["recover"].fields["rank"]
    assert said["recipe"]["learning_rate"] == 1e-3
    assert said["choices"]["targets"]["reason"].startswith("all linear layers")
    assert dry("--data", str(chats), "--preset", "minichat")["recipe"]["objective"] == "sft"
    assert dry("--data", str(pairs), "--preset", "minichat", "--steps", "5")["recipe"]["objective"] == "dpo"


def test_a_second_run_from_a_recipe_file_takes_flags_on_top(chats, tmp_path, capsys):
    file = tmp_path / "recipe.json"
    file.write_text(recipe(chats, rank=32).model_dump_json())
    assert (
        main(["tune", "--recipe", str(file), "--method", "dora", "--home", str(tmp_path), "--dry-run", "--json"]) == 0
    )
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["recipe"]
    assert (said["rank"], said["method"]) == (32, "dora")
