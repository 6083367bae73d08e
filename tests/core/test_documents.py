"""Text files become documents, and what is wrong with them is said with file and line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from core.data import containers as module
from core.documents import documents, has_answer, refuse_without_answers, text_files, total_bytes
from core.errors import BadData

Writer = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    def write(name: str, content: str | bytes) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


def texts(*paths: Path, separator: str | None = None) -> list[str]:
    return [document.text for document in documents([str(path) for path in paths], separator)]


def lines(*paths: Path) -> list[int]:
    return [document.line for document in documents([str(path) for path in paths])]


# --- plain text -------------------------------------------------------------------------------------------------------


def test_documents_are_parted_by_lines_of_the_separator(write: Writer) -> None:
    file = write("a.txt", "one\nmore\n<|endoftext|>\n\ntwo\n  <|endoftext|>  \nthree <|endoftext|> still three\n")
    assert texts(file) == ["one\nmore", "two", "three <|endoftext|> still three"]
    assert lines(file) == [1, 4, 7]


def test_a_file_without_a_separator_is_one_document(write: Writer) -> None:
    assert texts(write("a.md", "# Title\n\nText\n\n    code\n")) == ["# Title\n\nText\n\n    code"]


def test_another_separator_leaves_the_usual_one_in_the_text(write: Writer) -> None:
    file = write("a.txt", "one\n===\ntwo\n<|endoftext|>\nstill two\n")
    assert texts(file, separator="===") == ["one", "two\n<|endoftext|>\nstill two"]
    assert texts(file, separator=" === ") == texts(file, separator="===")


def test_blank_documents_are_left_out(write: Writer) -> None:
    assert texts(write("a.txt", "<|endoftext|>\n\n \t\n<|endoftext|>\none\n<|endoftext|>\n<|endoftext|>\n")) == ["one"]


def test_windows_line_ends_and_a_byte_order_mark_are_taken_off(write: Writer) -> None:
    assert texts(write("a.txt", b"\xef\xbb\xbfone\r\nmore\r\n<|endoftext|>\r\ntwo\r\n")) == ["one\nmore", "two"]
    assert texts(write("b.jsonl", b'\xef\xbb\xbf{"text": "one"}\r\n')) == ["one"]


def test_what_a_line_begins_with_is_kept(write: Writer) -> None:
    assert texts(write("a.txt", "\n    indented\n\tby a tab  \n\n")) == ["    indented\n\tby a tab  "]


def test_unusual_line_marks_inside_a_line_are_text(write: Writer) -> None:
    text = "one\u2028two\x0cthree\x85four"
    assert texts(write("a.txt", text)) == [text]


# --- JSON lines -------------------------------------------------------------------------------------------------------


def test_each_json_line_is_a_document(write: Writer) -> None:
    rows = [{"text": "one\nmore", "id": 1}, {"text": " \n"}, {"text": "ü 猫 <|endoftext|>\n<|endoftext|>\nend"}]
    file = write("a.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    assert texts(file) == [rows[0]["text"], rows[2]["text"]]
    assert lines(file) == [1, 3]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"text": "torn', "not valid JSON"),
        ("plain words", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"content": "other field"}', "no field `text`"),
        ('{"text": 5}', "no field `text`"),
        ('["text"]', "no field `text`"),
        ('{"text": "\\ud800"}', "half a character"),
    ],
)
def test_a_bad_json_line_is_named_by_number(write: Writer, line: str, said: str) -> None:
    file = write("a.jsonl", f'{{"text": "one"}}\n\n{line}\n')
    with pytest.raises(BadData, match=f"Line 3 of .*a.jsonl .*{said}"):
        texts(file)


# --- prompts and answers ----------------------------------------------------------------------------------------------


def turns(*said: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": content} for role, content in said]


@pytest.mark.parametrize(
    ("row", "text", "answers"),
    [
        ({"prompt": "2 + 2 =", "completion": " 4"}, "2 + 2 = 4", [" 4"]),
        ({"prompt": "Once upon a ti", "completion": "me"}, "Once upon a time", ["me"]),
        ({"prompt": "Why?", "response": "So."}, "Why?\nSo.", ["So."]),
        ({"prompt": "Why?\n\n", "answer": "So."}, "Why?\n\nSo.", ["So."]),
        ({"question": "Why?", "answer": "So."}, "Why?\nSo.", ["So."]),
        ({"prompt": "", "output": "So."}, "So.", ["So."]),
        ({"instruction": "Add.", "input": "1 2", "output": "3"}, "Add.\n1 2\n3", ["3"]),
        ({"instruction": "Add.", "input": "", "output": "3"}, "Add.\n3", ["3"]),
        ({"instruction": "Add.", "input": None, "output": "3", "text": "other"}, "Add.\n3", ["3"]),
        ({"input": "1 2", "output": "3"}, "1 2\n3", ["3"]),
        (
            {"messages": turns(("system", "Be brief."), ("user", "Why?"), ("assistant", "So."), ("user", "Oh."))},
            "System:\nBe brief.\nUser:\nWhy?\nAssistant:\nSo.\nUser:\nOh.",
            ["So."],
        ),
        (
            {"conversations": [{"from": "human", "value": "ü"}, {"from": "gpt", "value": "猫\n"}] * 2},
            "User:\nü\nAssistant:\n猫\n\nUser:\nü\nAssistant:\n猫\n",
            ["猫\n", "猫\n"],
        ),
    ],
)
def test_a_row_with_prompt_and_answer_is_one_text_that_knows_its_answers(
    write: Writer, row: dict[str, object], text: str, answers: list[str]
) -> None:
    [document] = documents([str(write("a.jsonl", json.dumps(row)))])
    assert document.text == text
    assert document.learnt is not None
    assert [text[start:end] for start, end in document.learnt] == answers
    assert has_answer(document)


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"prompt": "Why?", "completion": ""}, "Why?"),
        ({"instruction": "Add.", "output": " \n"}, "Add. \n"),
        ({"messages": turns(("user", "Why?"))}, "User:\nWhy?"),
        ({"messages": turns(("user", "Why?"), ("assistant", ""))}, "User:\nWhy?\nAssistant:\n"),
    ],
)
def test_an_empty_answer_is_known_as_such(write: Writer, row: dict[str, object], text: str) -> None:
    [document] = documents([str(write("a.jsonl", json.dumps(row)))])
    assert (document.text, document.learnt) == (text, ())
    assert not has_answer(document)


def test_a_prompt_beside_a_text_is_no_answer(write: Writer) -> None:
    """As in data that a model wrote: the text is what it wrote, the prompt is how it was asked."""
    [document] = documents([str(write("a.jsonl", '{"prompt": "Write.", "text": "A story."}'))])
    assert (document.text, document.learnt) == ("A story.", None)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user"}]},
        {"messages": ["Why?"]},
        {"messages": [*turns(("user", "Why?")), {"role": "assistant", "content": None}]},
        {"messages": []},
        {"prompt": "Why?"},
        {"prompt": "Why?", "completion": 5},
        {"answer": "So."},
    ],
)
def test_a_row_without_prompt_and_answer_says_which_fields_are_read(write: Writer, row: dict[str, object]) -> None:
    with pytest.raises(BadData, match=r"Line 1 of .*a\.jsonl .*`prompt` and `completion`.*`messages`"):
        texts(write("a.jsonl", json.dumps(row)))


def test_half_a_character_is_found_in_an_answer_too(write: Writer) -> None:
    with pytest.raises(BadData, match="half a character"):
        texts(write("a.jsonl", '{"prompt": "a", "completion": "\\ud800"}'))


def test_a_file_without_answers_is_refused_before_a_run_is_made(write: Writer) -> None:
    good = write("a.jsonl", '\n{"prompt": "Why?", "response": "So."}\n')
    refuse_without_answers([str(good)])
    for bad in (write("b.jsonl", '{"text": "one"}\n'), write("c.txt", "\none")):
        with pytest.raises(BadData, match=rf"{bad.name} has no answers to learn.*`completion`"):
            refuse_without_answers([str(good), str(bad)])


# --- files that can't be used -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["", "\n", " \n\t\r\n<|endoftext|>\n"])
def test_an_empty_or_blank_file_is_refused(write: Writer, content: str) -> None:
    with pytest.raises(BadData, match=r"a\.txt holds no text"):
        texts(write("a.txt", content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04 \x00\x00 more\n", "not a text file: line 1 holds zero bytes"),
        (b"one\n\x7fELF\x00", "line 2 holds zero bytes"),
        ("words".encode("utf-16"), "UTF-16"),
        ("words".encode("utf-16-be"), "zero bytes"),
        ("one\nzwei Straße caf".encode() + b"\xe9\n", "line 2 has the byte 0xe9 at column 16"),
        (b"\xa4", "line 1 has the byte 0xa4 at column 1"),
    ],
)
def test_a_file_that_is_no_utf8_text_is_named_with_the_place(write: Writer, content: bytes, said: str) -> None:
    with pytest.raises(BadData, match=said) as refused:
        texts(write("a.txt", content))
    assert "a.txt" in str(refused.value)


def test_a_huge_line_is_refused_before_it_fills_the_memory(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE_BYTES", 1000)
    assert texts(write("a.txt", "x" * 999 + "\n" + "y" * 999)) == ["x" * 999 + "\n" + "y" * 999]
    with pytest.raises(BadData, match=r"Line 2 of .*b\.txt is longer than 1 kB"):
        texts(write("b.txt", "short\n" + "x" * 5000))
    with pytest.raises(BadData, match="zero bytes"):  # a binary file has no lines, but that is not what is wrong
        texts(write("c.txt", bytes(5000)))


def test_documents_before_the_bad_line_are_read_as_a_stream(write: Writer) -> None:
    stream = documents([str(write("a.jsonl", '{"text": "one"}\nnonsense\n'))])
    assert next(stream).text == "one"
    with pytest.raises(BadData):
        next(stream)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(write: Writer) -> None:
    file = write("a.txt", "one")
    file.chmod(0)
    with pytest.raises(BadData, match=r"a\.txt can't be read"):
        texts(file)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="nowhere"):
        texts(tmp_path / "nowhere")


# --- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_is_searched_in_a_fixed_order_for_text(write: Writer, tmp_path: Path) -> None:
    write("d/b.txt", "two")
    write("d/a/z.MD", "one")
    write("d/c.jsonl", '{"text": "three"}')
    write("d/picture.png", b"\x89PNG\x00")
    assert texts(tmp_path / "d") == ["one", "two", "three"]
    assert total_bytes([str(tmp_path / "d")]) == 6 + len('{"text": "three"}')


def test_a_file_named_twice_is_read_once(write: Writer, tmp_path: Path) -> None:
    file = write("d/a.txt", "one")
    assert texts(tmp_path / "d", file, file) == ["one"]
    assert text_files([str(file), str(file)]) == [file]


def test_a_folder_without_text_is_named(write: Writer, tmp_path: Path) -> None:
    write("d/picture.png", b"\x89PNG")
    with pytest.raises(BadData, match="holds no text"):
        texts(tmp_path / "d")


def test_a_path_with_spaces_and_other_letters_is_read(write: Writer) -> None:
    assert texts(write("mein Ordner/Bücher 本/a b.txt", "eins")) == ["eins"]
