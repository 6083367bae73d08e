"""Files of any usual kind are recognised and read as the same examples, and what is wrong with them is said in a sentence."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.data import containers
from core.data.examples import Broken, Example, Turn, examples, recognise
from core.data.flaws import flaws_of
from core.data.inspection import inspect_data
from core.documents import documents, has_answer
from core.errors import BadData

INSTRUCT = Path(__file__).resolve().parents[3] / "shared" / "data" / "instruct"
ROWS = [{"instruction": f"Say {number}.", "input": "", "output": f"{number} ü!"} for number in range(30)]
Writer = Callable[[str, Any], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """A file of bytes, of text, or of rows: JSON lines, or an array where the name ends in .json."""

    def write(name: str, content: Any) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in content)
            content = json.dumps(content, indent=2) if file.suffix == ".json" else lines
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        return file

    return write


def read(*paths: Path, **given: Any) -> list[Example]:
    return list(examples([str(path) for path in paths], **given))


def only(write: Writer, row: dict[str, Any]) -> Example:
    [example] = read(write("one.jsonl", [row]))
    return example


def said(turns: tuple[Turn, ...]) -> list[tuple[str, str, bool]]:
    return [(turn.role, turn.content, turn.learnt) for turn in turns]


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


# --- containers -------------------------------------------------------------------------------------------------------


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


def as_arrow(rows: list[dict[str, Any]], *, stream: bool) -> bytes:
    import pyarrow as pa

    table, sink = pa.Table.from_pylist(rows), io.BytesIO()
    with (pa.ipc.new_stream if stream else pa.ipc.new_file)(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=7)
    return sink.getvalue()


LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
CONTAINERS: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "array.json": (lambda: json.dumps(ROWS, indent=1), "json"),
    "lines.json": (lambda: LINES, "jsonl"),
    "array.jsonl": (lambda: json.dumps(ROWS), "json"),
    "lines.jsonl": (lambda: LINES, "jsonl"),
    "marked.json": (lambda: b"\xef\xbb\xbf" + json.dumps(ROWS).encode(), "json"),
    "within.json": (lambda: json.dumps({"version": 1, "about": {"a": [1]}, "data": ROWS}, indent=2), "json"),
    "within one line.json": (lambda: json.dumps({"version": 1, "data": ROWS}), "json"),
    "one after another.json": (lambda: "\n".join(json.dumps(row, indent=2) for row in ROWS), "json"),
    "comma.csv": (lambda: as_csv(ROWS), "csv"),
    "semicolon.csv": (lambda: as_csv(ROWS, ";"), "csv"),
    "tab.tsv": (lambda: as_csv(ROWS, "\t"), "csv"),
    "rows.parquet": (lambda: as_parquet(ROWS), "parquet"),
    "rows.arrow": (lambda: as_arrow(ROWS, stream=True), "arrow"),
    "rows.feather": (lambda: as_arrow(ROWS, stream=False), "arrow"),
    "lines.jsonl.gz": (lambda: gzip.compress(LINES.encode()), "jsonl"),
    "array.json.bz2": (lambda: bz2.compress(json.dumps(ROWS).encode()), "json"),
    "comma.csv.xz": (lambda: lzma.compress(as_csv(ROWS).encode()), "csv"),
    "rows.parquet.gz": (lambda: gzip.compress(as_parquet(ROWS)), "parquet"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_same_rows_come_out_of_every_container(write: Writer, name: str) -> None:
    made, container = CONTAINERS[name]
    file = write(name, made())
    found = read(file)
    assert [(one.kind, one.format, one.line) for one in found] == [
        ("conversation", "alpaca", number) for number in range(1, 31)
    ]
    assert [said(one.turns) for one in found] == [
        [("user", row["instruction"], False), ("assistant", row["output"], True)] for row in ROWS
    ]
    what = recognise(file)
    assert (what.format, what.kind, what.container) == ("alpaca", "conversation", container)
    assert what.columns == ("instruction", "input", "output")


def test_a_zip_and_a_folder_are_read_file_by_file(write: Writer, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b/lines.jsonl", LINES)
        archive.writestr("README.md", "# About these rows")
        archive.writestr("rows.parquet", as_parquet(ROWS))
        archive.writestr("__MACOSX/b/._lines.jsonl", b"\x00")
    found = read(tmp_path / "all.zip")
    assert len(found) == 60
    assert found[3].place == f"line 4 of {tmp_path / 'all.zip' / 'b' / 'lines.jsonl'}"
    write("d/README.md", "# A card")
    write("d/dataset_info.json", '{"description": ""}')
    write("d/.cache/x.jsonl", "nonsense")
    write("d/part-1.jsonl.gz", gzip.compress(LINES.encode()))
    write("d/sub/part-2.csv", as_csv(ROWS))
    assert len(read(tmp_path / "d")) == 60
    assert recognise(tmp_path / "d").format == "alpaca"


def test_json_is_read_as_a_stream(write: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first row of an array comes before the rest of the file has been read."""
    file = write("big.json", "[" + ", ".join(json.dumps(ROWS[0]) for _ in range(20_000)) + "]")
    taken = 0
    checked_read = containers._Checked.read

    def counting(self: Any, size: int = -1) -> bytes:
        nonlocal taken
        chunk = checked_read(self, size)
        taken += len(chunk)
        return chunk

    monkeypatch.setattr(containers._Checked, "read", counting)
    stream = examples([str(file)])
    assert next(stream).format == "alpaca"
    assert 0 < taken < file.stat().st_size / 4
    assert sum(1 for _ in stream) == 19_999


def test_a_csv_cell_may_hold_lines_quotes_and_a_list_of_turns(write: Writer) -> None:
    turns = [{"role": "user", "content": 'a, "b"\nc'}, {"role": "assistant", "content": "d"}]
    file = write("a.csv", as_csv([{"messages": json.dumps(turns), "id": "7"}] * 2))
    found = read(file)
    assert [one.line for one in found] == [1, 2]
    assert said(found[1].turns) == [("user", 'a, "b"\nc', False), ("assistant", "d", True)]
    assert found[0].extra == {"id": "7"}


# --- spellings --------------------------------------------------------------------------------------------------------

HI = [{"role": "user", "content": "Hi."}]
ANSWERED = [("user", "Hi.", False), ("assistant", "Good.", True)]


@pytest.mark.parametrize(
    ("row", "spelling", "turns"),
    [
        (
            {"conversations": [{"from": "human", "value": "Hi."}, {"from": "gpt", "value": "Good."}]},
            "sharegpt",
            ANSWERED,
        ),
        (
            {"messages": [*HI, {"role": "assistant", "content": [{"type": "text", "text": "Good."}]}]},
            "messages",
            ANSWERED,
        ),
        ({"prompt": "Hi.", "completion": "Good."}, "prompt-completion", ANSWERED),
        ({"question": "Hi.", "answer": "Good."}, "question-answer", ANSWERED),
        ({"input": "Hi.", "target": "Good."}, "question-answer", ANSWERED),
        ({"instruction": "Hi.", "context": "", "response": "Good."}, "alpaca", ANSWERED),
        ({"instruction": "Hi.", "output": "Good.", "answer": "B"}, "alpaca", ANSWERED),
        (
            {"system": "Be brief.", "history": [["a", "b"]], "instruction": "Hi.", "output": "Good."},
            "alpaca",
            [("system", "Be brief.", False), ("user", "a", False), ("assistant", "b", True), *ANSWERED],
        ),
        (
            {
                "system": "Be brief.",
                "conversations": [
                    {"from": "human", "value": "Hi."},
                    {"from": "function_call", "value": "{}"},
                    {"from": "observation", "value": "4"},
                    {"from": "gpt", "value": "Four."},
                ],
            },
            "sharegpt",
            [
                *[("system", "Be brief.", False), ("user", "Hi.", False), ("assistant", "{}", True)],
                *[("tool", "4", False), ("assistant", "Four.", True)],
            ],
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "text", "value": "Hi."}], "loss_weight": 1.0},
                    {"role": "assistant", "content": "Bad.", "train": False},
                    {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}], "weight": 0},
                ]
            },
            "messages",
            [("user", "Hi.", True), ("assistant", "Bad.", False), ("assistant", '[{"name": "f"}]', False)],
        ),
    ],
)
def test_conversations_in_their_spellings(
    write: Writer, row: dict[str, Any], spelling: str, turns: list[tuple[str, str, bool]]
) -> None:
    example = only(write, row)
    assert (example.kind, example.format) == ("conversation", spelling)
    assert said(example.turns) == turns


BETTER, WORSE = [("assistant", "Good.", True)], [("assistant", "Bad.", True)]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "Hi.", "chosen": "Good.", "rejected": "Bad."},
        {"question": "Hi.", "response_chosen": "Good.", "response_rejected": "Bad."},
        {"prompt": HI, "chosen": [{"role": "assistant", "content": "Good."}], "rejected": "Bad."},
        {
            "prompt": "Hi.",
            "chosen": [*HI, {"role": "assistant", "content": "Good."}],
            "rejected": [*HI, {"role": "assistant", "content": "Bad."}],
        },
        {
            "chosen": [*HI, {"role": "assistant", "content": "Good."}],
            "rejected": [*HI, {"role": "assistant", "content": "Bad."}],
        },
        {
            "conversations": [{"from": "human", "value": "Hi."}],
            "chosen": {"from": "gpt", "value": "Good."},
            "rejected": {"from": "gpt", "value": "Bad."},
        },
        {"chosen": "\n\nHuman: Hi.\n\nAssistant: Good.", "rejected": "\n\nHuman: Hi.\n\nAssistant: Bad."},
        {"instruction": "Hi.", "output": ["Good.", "Bad."]},
        {
            "prompt": "Hi.",
            "responses": [
                {"response": "So so.", "score": 3},
                {"response": "Bad.", "score": 1},
                {"response": "Good.", "score": 4.5},
            ],
        },
    ],
)
def test_preference_pairs_in_their_spellings(write: Writer, row: dict[str, Any]) -> None:
    example = only(write, row)
    assert (example.kind, example.format) == ("preference", "preference")
    assert said(example.turns) == [("user", "Hi.", False)]
    assert (said(example.chosen), said(example.rejected)) == (BETTER, WORSE)


def test_questions_and_texts(write: Writer) -> None:
    questions = only(write, {"question_id": 3, "category": "generic", "turns": ["One?", "Two?"]})
    assert (questions.kind, said(questions.turns)) == ("questions", [("user", "One?", False), ("user", "Two?", False)])
    assert questions.extra == {"question_id": "3", "category": "generic"}
    assert only(write, {"prompt": "Write."}).kind == "questions"
    text = only(write, {"prompt": "Write.", "text": "A story.", "mean_logprob": -1.5})
    assert (text.kind, text.text, text.extra) == ("text", "A story.", {"prompt": "Write.", "mean_logprob": "-1.5"})


def test_tools_come_as_json_text(write: Writer) -> None:
    turns = {"conversations": [{"from": "human", "value": "Hi."}, {"from": "gpt", "value": "Good."}]}
    assert only(write, turns | {"tools": '[{"name": "f"}]'}).tools == '[{"name": "f"}]'
    assert only(write, turns | {"tools": [{"name": "f"}]}).tools == '[{"name": "f"}]'
    assert only(write, turns | {"tools": "[]"}).tools == "[]"


def test_columns_are_named_by_hand(write: Writer) -> None:
    file = write("a.csv", as_csv([{"Frage": "Hi.", "Antwort": "Good.", "text": "not this"}] * 3))
    [example, *_] = read(file, mapping={"prompt": "Frage", "completion": "Antwort"})
    assert (said(example.turns), example.extra) == (ANSWERED, {"text": "not this"})
    assert recognise(file, {"prompt": "Frage", "completion": "Antwort"}).reason == "columns named by hand"
    with pytest.raises(BadData, match="no field 'promt'"):
        read(file, mapping={"promt": "Frage"})
    unknown = recognise(write("b.csv", as_csv([{"Frage": "Hi.", "Antwort": "Good."}])))
    assert (unknown.format, unknown.columns) == ("table", ("Frage", "Antwort"))
    assert "--map" in unknown.problems[0]


@pytest.mark.skipif(not INSTRUCT.is_dir(), reason="the shared data are not there")
def test_every_file_of_the_shared_instructions_is_recognised() -> None:
    found = {}
    for file in sorted(INSTRUCT.iterdir()):
        look = inspect_data([str(file)])
        assert not look.problems
        found[file.name] = (look.recognised.format, look.recognised.kind, look.documents)
    assert found == {
        "alpaca_en_demo.json": ("alpaca", "conversation", 999),
        "dpo_en_demo.json": ("preference", "preference", 300),
        "dummy_conversation.json": ("sharegpt", "conversation", 500),
        "glaive_toolcall_en_demo.json": ("sharegpt", "conversation", 300),
        "identity.json": ("alpaca", "conversation", 91),
        "v1_sft_demo.jsonl": ("messages", "conversation", 500),
        "vicuna_bench_question.jsonl": ("questions", "questions", 80),
    }


# --- wrong input ------------------------------------------------------------------------------------------------------


def test_a_broken_line_is_named_or_skipped_and_counted(write: Writer) -> None:
    lines = [json.dumps({"text": f"text {number}"}) for number in range(1, 5001)]
    lines[3999] = '{"text": "torn'
    lines[4500] = '{"txt": "other field"}'
    file = write("a.jsonl", "\n".join(lines))
    with pytest.raises(BadData, match=r"Line 4000 of .*a\.jsonl is not valid JSON"):
        read(file)
    broken = Broken()
    assert len(read(file, skip_broken=True, broken=broken)) == 4998
    assert broken.count == 2
    assert "Line 4000" in broken.first[0]
    assert "Line 4501" in broken.first[1]
    look = inspect_data([str(file)])
    assert (look.documents, look.broken, look.problems[0].count) == (4998, 2, 2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.json", "not JSON", "Line 1 of .*not valid JSON"),
        ("a.json", '[{"text": "one"}, {"text": }]', "follows row 1 of .*not valid JSON"),
        ("a.json", '[{"text": "one"}, {"text": "tw', "follows row 1 of .*not valid JSON"),
        ("a.json", '[{"text": "one"}, {"body": "two"}]', "Row 2 of .*no field `text`.*`body`"),
        ("a.json", b'[{"text": "one"},\n {"text": "caf\xe9"}]', "line 2 has the byte 0xe9 at column 15"),
        ("a.json", '[{"text": "one"}]'.encode("utf-16"), "UTF-16 text"),
        ("a.json", "[" * 100_000, "not valid JSON"),
        ("a.json", "", "holds no text"),
        ("a.json", "[]", "holds no text"),
        ("a.csv", "", "holds no text"),
        ("a.csv", "text,text\na,b\n", "does not name its columns"),
        ("a.csv", "text,id\na,1\nb\n", r"Row 2 of .*\(line 3\) has 1 cells, but there are 2 columns"),
        ("a.csv", 'text\n"a"b\n', "Row 1 of .*not valid CSV"),
        ("a.csv", b"text\ncaf\xe9\n", "line 2 has the byte 0xe9 at column 4"),
        ("a.parquet", b"PAR1 nonsense", "can't be read as Parquet"),
        ("a.parquet", b"words", "no parquet file"),
        ("a.arrow", b"ARROW1 nonsense", "can't be read as Arrow"),
        ("a.jsonl.gz", gzip.compress(LINES.encode())[:-40], "damaged"),
        ("a.jsonl.gz", b"words", "damaged"),
        ("a.zip", b"words", "damaged"),
        ("a.jsonl.zst", b"words", "zstandard.*Unpack it"),
        ("a.tar.gz", b"words", "tar archive.*Unpack it"),
        ("a.jsonl", '{"messages": [{"role": "narrator", "content": "x"}]}', "Line 1 .*turn 1 of the role 'narrator'"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', "only text is read"),
        ("a.jsonl", '{"chosen": [], "rejected": "b"}', "no field `text`"),
        ("a.jsonl", '{"instruction": "a", "output": "b", "history": ["c"]}', "`history`"),
        ("a.jsonl", '{"messages": [{"role": "user", "content": "\\ud800"}]}', "half a character"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(write: Writer, name: str, content: str | bytes, said: str) -> None:
    with pytest.raises(BadData, match=said):
        read(write(name, content))


def test_a_huge_line_is_read_if_it_is_json_and_refused_with_the_way_out_if_it_is_text(write: Writer) -> None:
    long = "word " * (6 * 2**20)  # 30 MB
    [example] = read(write("a.jsonl", [{"text": long}]))
    assert len(example.text) == len(long)
    with pytest.raises(BadData, match=r"Line 1 of .*a\.txt is longer than .*Break it into lines"):
        read(write("a.txt", long))


def test_rows_of_another_kind_are_named_before_a_run(write: Writer) -> None:
    file = write("a.jsonl", [ROWS[0], {"text": "plain"}])
    assert [one.kind for one in read(file)] == ["conversation", "text"]
    assert "several kinds" in " ".join(recognise(file).problems)
    with pytest.raises(BadData, match=r"Line 2 of .* is plain text, but a conversation was expected"):
        read(file, kinds=("conversation",))


@pytest.mark.parametrize(
    ("row", "flaw"),
    [
        ({"messages": HI}, "the assistant says nothing"),
        ({"instruction": "Hi.", "output": " "}, "an answer is empty"),
        ({"messages": [{"role": "assistant", "content": "Good."}, *HI]}, "do not take turns"),
        ({"messages": [*HI, *HI, {"role": "assistant", "content": "Good."}]}, "do not take turns"),
        (
            {"messages": [*HI, {"role": "system", "content": "x"}, {"role": "assistant", "content": "Good."}]},
            "system prompt comes after",
        ),
        ({"messages": [*HI, {"role": "assistant", "content": "Good.", "loss_weight": 0}]}, "no turn of it is learnt"),
        ({"prompt": "Hi.", "chosen": "Good.", "rejected": "Good."}, "are the same"),
        ({"turns": [" "]}, "the question is empty"),
    ],
)
def test_odd_examples_are_found_and_counted(write: Writer, row: dict[str, Any], flaw: str) -> None:
    assert flaw in " ".join(flaws_of(only(write, row)))
    look = inspect_data([str(write("b.jsonl", [row, row]))])
    problem = next(each for each in look.problems if flaw in each.text)
    assert (problem.count, problem.first) == (2, f"line 1 of {look.files[0]}")
    assert not flaws_of(only(write, ROWS[0]))


# --- documents --------------------------------------------------------------------------------------------------------


def test_distillation_reads_answers_out_of_every_format(write: Writer, tmp_path: Path) -> None:
    write("a.json", ROWS)
    write("b.csv.gz", gzip.compress(as_csv(ROWS).encode()))
    write("c.parquet", as_parquet(ROWS))
    write("d.jsonl", [{"prompt": "Hi.", "chosen": "Good.", "rejected": "Bad."}])
    found = list(documents([str(tmp_path)]))
    assert len(found) == 91
    assert all(has_answer(document) for document in found)
    assert [document.text for document in found[:2]] == ["Say 0.\n0 ü!", "Say 1.\n1 ü!"]
    assert found[-1].text == "User:\nHi.\nAssistant:\nGood."
    [span] = found[0].learnt or ()
    assert found[0].text[slice(*span)] == "0 ü!"
    with pytest.raises(BadData, match=r"what begins on row 1 is plain text"):
        has_answer(next(documents([str(write("e.csv", "text\nplain\n"))])))
