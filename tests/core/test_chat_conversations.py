"""Conversations are kept as they were said, with all branches; votes are counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.conversations import Conversation, Conversations, ConversationTrouble, as_json, as_markdown
from core.home import Home
from core.votes import tally, verdicts, verdicts_file, vote


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.find(tmp_path / "home")


def contents(conversation: Conversation, said: str, column: str) -> list[str]:
    return [message.content for message in conversation.messages(said, column)]


def test_each_column_goes_on_from_its_own_answers(home: Home) -> None:
    talk = Conversations(home).new(["/t", "/s"])
    first = talk.go_on("one", system="be short")
    talk.answer(first.id, "a", "/t", "A1", "end")
    talk.answer(first.id, "b", "/s", "B1", "end")
    second = talk.go_on("two", system="be short")
    for conversation in (talk, Conversations(home).open(talk.id)):
        assert contents(conversation, second.id, "a") == ["be short", "one", "A1", "two"]
        assert contents(conversation, second.id, "b") == ["be short", "one", "B1", "two"]
        assert contents(conversation, second.id, "a column that came later") == ["be short", "one", "A1", "two"]
        assert [message.role for message in conversation.messages(second.id, "a")][1:] == ["user", "assistant", "user"]


def test_editing_regenerating_and_branching_lose_nothing(home: Home) -> None:
    talk = Conversations(home).new(["/t"])
    first = talk.go_on("one")
    old = talk.answer(first.id, "a", "/t", "old", "end")
    new = talk.answer(first.id, "a", "/t", "new", "end")  # regenerated
    second = talk.go_on("two")
    edited = talk.edit(second.id, "two, but better")
    branch = talk.say("from the old one", before=first.id, after={"a": old.id})
    talk = Conversations(home).open(talk.id)
    assert contents(talk, second.id, "a") == ["one", "new", "two"]
    assert contents(talk, edited.id, "a") == ["one", "new", "two, but better"]
    assert contents(talk, branch.id, "a") == ["one", "old", "from the old one"]
    assert talk.answers_to(first.id, "a") == [old, new]
    assert talk.branches(second.id) == [second, edited]
    assert talk.following(first.id) == [second, edited, branch]


def test_a_torn_line_of_a_killed_program_costs_only_itself(home: Home) -> None:
    talk = Conversations(home).new()
    first = talk.go_on("kept")
    with talk.path.open("ab") as stream:
        stream.write(b'{"kind":"said","id":"half')
    again = Conversation(talk.path)
    assert list(again.said) == [first.id]
    again.go_on("and on")
    assert [said.text for said in Conversation(talk.path).said.values()] == ["kept", "and on"]


def test_conversations_are_listed_searched_renamed_removed_and_brought_back(home: Home) -> None:
    conversations = Conversations(home)
    one, two = conversations.new(["/t"]), conversations.new(["/s"])
    one.answer(one.go_on("Tell me of rivers,\nplease").id, "a", "/t", "The Danube is a river in Europe.", "end")
    two.go_on("x" * 200)
    assert [each.id for each in conversations.list()] == [two.id, one.id]
    assert conversations.list()[1].title == "Tell me of rivers, please"
    assert len(conversations.list()[0].title) <= 60
    hits = list(conversations.search("RIVER danube"))
    assert [(hit.conversation, hit.turn) for hit in hits] == [(one.id, next(iter(one.answers)))]
    assert "Danube" in hits[0].excerpt
    assert not list(conversations.search("volga"))
    one.rename("  Rivers \n")
    assert conversations.list()[0].title == "Rivers" or conversations.list()[1].title == "Rivers"
    conversations.remove(one.id)
    assert [each.id for each in conversations.list()] == [two.id]
    conversations.bring_back(one.id)
    assert {each.id for each in conversations.list()} == {one.id, two.id}
    with pytest.raises(ConversationTrouble, match="no conversation nothing"):
        conversations.open("nothing")


def test_an_export_holds_the_branch_for_people_and_for_training(home: Home) -> None:
    talk = Conversations(home).new(["/models/t"])
    first = talk.go_on("one", system="be short")
    talk.answer(first.id, "a", "/models/t", "A1", "halted")
    talk.answer(first.id, "b", "/models/s", "B1", "end")
    markdown = as_markdown(talk)
    for part in ("be short", "## You\n\none", "## t (halted)\n\nA1", "## s\n\nB1"):
        assert part in markdown
    exported = json.loads(json.dumps(as_json(talk)))
    assert exported["columns"][0]["messages"] == [
        {"role": "system", "content": "be short"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "A1"},
    ]
    assert [column["model"] for column in exported["columns"]] == ["/models/t", "/models/s"]


def test_votes_are_kept_as_the_judge_reads_them_and_counted(home: Home) -> None:
    vote(home, "why?", {"/t": "because", "/s": "so", "/u": "well"}, "/t")
    vote(home, "how?", {"/t": "thus", "/s": "so"}, None)
    with verdicts_file(home).open("ab") as stream:
        stream.write(b'{"question": "torn')
    vote(home, "who?", {"/s": "I", "/t": "you"}, "/t")
    row = json.loads(verdicts_file(home).read_text().splitlines()[0])
    assert row.pop("time") > 0
    assert row == {
        "question": "why?",
        "category": "",
        "a": "/t",
        "b": "/s",
        "answer_a": "because",
        "answer_b": "so",
        "winner": "a",
        "judge": "human",
    }
    assert [verdict.winner for verdict in verdicts(home)] == ["a", "a", "tie", "b"]
    counted = {each.model: (each.won, each.lost, each.tied) for each in tally(verdicts(home))}
    assert counted == {"/t": (3, 0, 1), "/s": (0, 2, 1), "/u": (0, 1, 0)}
    assert tally(verdicts(home))[0].model == "/t"
