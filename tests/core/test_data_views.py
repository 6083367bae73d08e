"""Data as a model will see it, data sets at hand, and the commands that scripts rely on."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

from core.cli import main
from core.data.examples import Example, Turn, examples
from core.data.preview import preview
from core.data.rendering import ChatTemplate, Reader, TemplateTrouble
from core.data.writing import line_of, row_of
from core.documents import document_of
from core.errors import BadData, LibraryTrouble
from core.home import Home
from core.library import Library
from core.prepare import PrepareRecipe
from core.runs import new_run
from core.survey import SurveyRecipe

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MARKED = (
    "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}!{% endgeneration %}{% else %}{{ m.content }}{% endif %}\n{% endfor %}"
)
NO_SYSTEM = "{% for m in messages if m.role != 'system' %}[{{ m.content }}]{% endfor %}"
TURNS = (
    Turn("system", "Be brief."),
    Turn("user", "Hi."),
    Turn("assistant", "Good.", True),
    Turn("user", "And?"),
    Turn("assistant", "Well.", True),
)


def learnt(template: str, turns: tuple[Turn, ...] = TURNS) -> list[str]:
    rendered = ChatTemplate(template).render(turns)
    return [rendered.text[start:end] for start, end in rendered.learnt]


def test_what_is_learnt_is_what_the_answers_add_to_the_text() -> None:
    assert learnt(CHATML) == ["Good.<|im_end|>\n", "Well.<|im_end|>\n"]
    assert learnt(MARKED) == ["Good.!", "Well.!"]
    assert learnt(NO_SYSTEM) == ["[Good.]", "[Well.]"]
    unlearnt = (*TURNS[:2], Turn("assistant", "Good.", False), *TURNS[3:])
    assert learnt(CHATML, unlearnt) == ["Well.<|im_end|>\n"]
    assert learnt(MARKED, unlearnt) == ["Well.!"]


def test_a_template_that_writes_earlier_turns_otherwise_still_shows_what_is_learnt() -> None:
    counted = "{% for m in messages %}{{ loop.revindex }} {{ m.content }};{% endfor %}"
    assert learnt(counted) == ["Good.", "Well."]


def test_a_template_that_drops_the_system_prompt_says_so() -> None:
    assert ChatTemplate(NO_SYSTEM).render(TURNS).notes == ("The template drops or changes the system prompt.",)
    assert ChatTemplate(CHATML).render(TURNS).notes == ()


def test_a_template_that_is_broken_or_refuses_is_named() -> None:
    with pytest.raises(TemplateTrouble, match="broken in line 1"):
        ChatTemplate("{% for %}")
    refusing = ChatTemplate("{{ raise_exception('Roles must alternate') }}")
    with pytest.raises(TemplateTrouble, match="Roles must alternate"):
        refusing.render(TURNS)
    with pytest.raises(TemplateTrouble):  # what a downloaded template says is not trusted with this machine
        ChatTemplate("{{ ''.__class__.__mro__[1].__subclasses__() }}").render(TURNS)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A tokenizer of words with the tokens of ChatML, and a template; no weights."""
    folder = tmp_path / "model"
    folder.mkdir()
    words = ["[UNK]", "Hi", "Good", ".", "user", "assistant"]
    tokenizer = Tokenizer(models.WordLevel({word: number for number, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(CHATML, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"eos_token": "<|im_end|>"}', encoding="utf-8")
    return folder


@pytest.fixture
def chats(tmp_path: Path) -> Path:
    file = tmp_path / "chats.jsonl"
    rows = [
        {"messages": [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Good."}]},
        {"text": "Hi"},
    ]
    file.write_text("\n".join([*map(json.dumps, rows), "torn"]), encoding="utf-8")
    return file


def test_a_preview_shows_special_tokens_and_what_is_learnt(model: Path, chats: Path) -> None:
    chat, text, torn = preview([str(chats)], Reader.of(model), context=5)
    assert [(piece.text, piece.special, piece.learnt) for piece in chat.segments] == [
        ("<|im_start|>", True, False),
        ("user\nHi.", False, False),
        ("<|im_end|>", True, False),
        ("\n", False, False),
        ("<|im_start|>", True, False),
        ("assistant\n", False, False),
        ("Good.", False, True),
        ("<|im_end|>", True, True),
        ("\n", False, True),
    ]
    assert (chat.tokens, chat.learnt_tokens) == (10, 3)
    assert "5 of its 10 tokens are beyond the context of 5" in chat.notes[0]
    assert (text.kind, text.tokens) == ("text", 1)
    assert "Line 3" in torn.notes[0]
    assert "not valid JSON" in torn.notes[0]


def test_a_picked_template_takes_the_place_of_the_models_own(model: Path, chats: Path) -> None:
    [shown] = preview([str(chats)], Reader.of(model, "plain"), count=1)
    assert "User: Hi.\nAssistant: Good." in "".join(piece.text for piece in shown.segments).replace("\nA", "\nA")


EVERY_SPELLING: list[dict[str, Any]] = [
    {"text": "Once."},
    {"instruction": "Add.", "input": "1 2", "output": "3", "id": "a"},
    {"system": "s", "history": [["a", "b"]], "instruction": "c", "output": "d"},
    {"question": "Why?", "answer": "So."},
    {"prompt": "Once upon a ti", "completion": "me"},
    {"prompt": [{"role": "user", "content": "a"}], "chosen": "b", "rejected": "c"},
    {"turns": ["One?", "Two?"], "category": "generic"},
    {
        "messages": [
            {"role": "user", "content": "a", "loss_weight": 1.0},
            {"role": "assistant", "content": "b", "loss_weight": 0.0},
            {"role": "assistant", "content": "c"},
        ],
        "tools": "[]",
    },
]


@pytest.mark.parametrize("row", EVERY_SPELLING)
def test_a_written_row_reads_as_the_same_example(tmp_path: Path, row: dict[str, Any]) -> None:
    def read(content: bytes) -> Example:
        (tmp_path / "a.jsonl").write_bytes(content)
        [example] = examples([str(tmp_path / "a.jsonl")])
        return example

    first = read(line_of(row))
    again = read(line_of(row_of(first)))
    assert again == first
    assert document_of(again, prompts=True) == document_of(first, prompts=True)


# --- the shelf and the command line -----------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("STILLROOM_HOME", str(tmp_path / "home"))
    return Home.find()


def answer(capsys: pytest.CaptureFixture[str], *command: str, code: int = 0) -> dict[str, Any]:
    assert main([*command, "--json"]) == code
    value = json.loads(capsys.readouterr().out)
    assert isinstance(value, dict)
    return value


def test_inspect_answers_scripts(home: Home, chats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = answer(capsys, "data", "inspect", str(chats))
    assert (found["format"], found["kind"], found["container"]) == ("messages", "conversation", "jsonl")
    assert (found["documents"], found["exact"], found["broken"], found["columns"]) == (2, True, 1, ["messages", "text"])
    assert found["bytes"] == chats.stat().st_size
    assert {problem["count"] for problem in found["problems"]} == {1, 2}
    assert "no file or folder" in answer(capsys, "data", "inspect", "nowhere", code=2)["error"]
    assert main(["data", "inspect", str(chats)]) == 0
    assert "not valid JSON" in capsys.readouterr().out


def test_preview_prints_conversations(home: Home, model: Path, chats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "preview", str(chats), "--rows", "1"]) == 0
    assert "User:\nHi.\nAssistant:\n⟦Good.⟧" in capsys.readouterr().out
    assert "no column" not in answer(capsys, "data", "preview", str(chats))["rows"][0]["notes"]
    assert "way_out" in answer(capsys, "data", "preview", str(chats), "--template", "chatml", code=2)


def test_data_is_added_listed_and_forgotten(home: Home, chats: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [added] = answer(capsys, "data", "add", str(chats))["data"]
    assert (added["name"], added["format"], added["documents"], added["source"]) == (
        "chats.jsonl",
        "messages",
        2,
        "added",
    )
    home.library.unlink()
    [listed] = answer(capsys, "data", "list")["data"]
    assert listed == added
    chats.unlink()
    [gone] = answer(capsys, "data", "list")["data"]
    assert "no file or folder" in gone["broken"]
    assert answer(capsys, "data", "forget", str(chats))["data"] == []
    assert "was not added" in answer(capsys, "data", "forget", str(chats), code=2)["error"]
    with pytest.raises(BadData), Library(home) as library:
        library.add_data(chats)
    home.data_sets.write_text("{", encoding="utf-8")
    with pytest.raises(LibraryTrouble, match=r"data\.json can't be read"), Library(home) as library:
        library.refresh_data()


def test_changed_data_is_looked_into_again_and_unchanged_data_is_not(
    home: Home, chats: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Library(home) as library:
        library.add_data(chats)
        library.refresh_data()
        before = library.data_sets()
        with monkeypatch.context() as patched:
            patched.setattr("core.library.data_row", None)
            library.refresh_data()
        assert library.data_sets() == before
        chats.write_text('{"text": "one"}\n', encoding="utf-8")
        os.utime(chats, (1, 1))
        library.refresh_data()
        [after] = library.data_sets()
    assert (after.format, after.documents) == ("text", 1)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"weights": (1.0,)}, "1 shares for 2 sources"),
        ({"weights": (0.0, 0.0)}, "not all of them are 0"),
        ({"weights": (-1.0, 2.0)}, "numbers from 0"),
        ({"validation": 0.6, "test": 0.5}, "Nothing is left"),
        ({"keep": ("(",)}, "no regular expression"),
        ({"least_characters": 9, "most_characters": 3}, "at least 9 and at most 3"),
        ({"least_tokens": 3}, "Choose a model"),
        ({"weigh_by": "tokens"}, "Choose a model"),
        ({"labelled": "nowhere.jsonl"}, "no file nowhere"),
        ({"repeat": True}, "nothing need be repeated"),
        ({"columns": ("text",)}, "which column is which"),
        ({"columns": ("body=text",)}, "no field 'body'"),
        ({"data": ("nowhere", "here")}, "no file or folder nowhere"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused_in_words(chats: Path, fields: dict[str, Any], said: str) -> None:
    recipe = PrepareRecipe(**({"data": (str(chats), str(chats))} | fields))
    assert said in " ".join(problem.text for problem in recipe.problems())
    assert not PrepareRecipe(data=(str(chats),)).problems()


def test_what_stands_in_the_way_is_said_before_the_work(tmp_path: Path, chats: Path, model: Path) -> None:
    assert "there already" in PrepareRecipe(data=(str(chats),), out=str(model)).problems()[0].text
    (tmp_path / "empty").mkdir()
    assert not PrepareRecipe(data=(str(chats),), out=str(tmp_path / "empty")).problems()
    assert "no tokenizer.json" in SurveyRecipe(data=(str(chats),), model=str(tmp_path)).problems()[0].text
    assert "needs a model" in SurveyRecipe(data=(str(chats),), template="plain").problems()[0].text


def test_the_commands_write_the_recipes(home: Home, model: Path, chats: Path, capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("core.runner.ensure_runner", lambda home: None)
    command = ["data", "prepare", str(chats), str(chats), "--weights", "0.7,0.3", "--map", "text=body", "--keep", "a"]
    made = answer(capsys, *command, "--total", "1K", "--detach")
    recipe = json.loads((Path(made["path"]) / "recipe.json").read_text("utf-8"))
    assert (recipe["kind"], recipe["weights"], recipe["total"]) == ("prepare", [0.7, 0.3], 1000)
    assert (recipe["columns"], recipe["keep"]) == (["text=body"], ["a"])
    shutil.copytree(Path(made["path"]), home.runs / "again")  # any run folder holds a recipe that reads again
    assert new_run(home, PrepareRecipe(**recipe)).recipe() == PrepareRecipe(**recipe)
    made = answer(capsys, "data", "fetch", "owner/stories", "--split", "train[:3]", "--detach")
    assert json.loads((Path(made["path"]) / "recipe.json").read_text("utf-8"))["data_set"] == "owner/stories"
    assert "no name of a data set" in answer(capsys, "data", "fetch", "a b", code=2)["error"]
