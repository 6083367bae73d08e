"""What is said to the chat engine and back, and what is left of a conversation when its context is full."""

from __future__ import annotations

import json

import pytest

from core import chat
from core.chat import ChatTrouble, Message, fit_turns


def turns(*roles: str) -> list[Message]:
    return [Message(role=role, content=f"{role} {at} " + "word " * 8) for at, role in enumerate(roles)]  # type: ignore[arg-type]


def words(messages: object) -> int:
    return sum(len(message.content.split()) for message in messages)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "record",
    [
        chat.Load(model="m", path="/a b/ü", adapters=("/x",), device="cpu"),
        chat.Speak(
            request="r",
            columns=(
                chat.Column(
                    id="a",
                    model="m",
                    messages=(Message(role="user", content='two\nlines, "quotes", \ud83d half an emoji'),),
                    adapters={"x": 0.5},
                ),
            ),
        ),
        chat.Halt(request="r", column="a"),
    ],
)
def test_a_command_is_one_line_of_ascii_and_comes_back_as_it_was(record: chat.Command) -> None:
    line = chat.encode(record)
    assert "\n" not in line
    assert line.isascii()
    assert chat.decode_command(line) == record


def test_an_event_comes_back_as_it_was() -> None:
    drafted = chat.Speculation(drafted=4, accepted=3, acceptance=0.75, tokens_per_pass=4, speed_up=None, at_once=4)
    ended = chat.Ended(
        request="r",
        column="a",
        ending="end",
        text="so",
        tokens=4,
        prompt_tokens=2,
        context=None,
        first_token_s=0.1,
        tokens_per_second=12.5,
        speculation=drafted,
    )
    assert chat.decode_event(chat.encode(ended)) == ended


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("{", "JSON"),
        ('{"kind": "shout"}', "kind"),
        ('{"kind": "load", "path": "/x"}', "model"),
        ("[" * 100_000, "JSON"),
    ],
)
def test_a_command_that_is_none_is_told_with_its_field(line: str, named: str) -> None:
    with pytest.raises(ChatTrouble, match=named):
        chat.decode_command(line)


def test_settings_out_of_range_are_named() -> None:
    with pytest.raises(ChatTrouble, match=r"top_p.*temperature|temperature.*top_p"):
        chat.sampling_of(top_p=1.5, temperature=-1)


def test_five_columns_are_refused() -> None:
    column = {"id": "a", "model": "m", "messages": []}
    with pytest.raises(ChatTrouble, match="columns"):
        chat.decode_command(json.dumps({"kind": "speak", "request": "r", "columns": [column] * 5}))


def test_a_conversation_that_fits_is_read_whole() -> None:
    said = turns("system", "user", "assistant", "user")
    assert fit_turns(said, words, 100, 10, "drop") == (tuple(said), 0)


def test_a_full_context_drops_the_oldest_turns_and_keeps_the_system_prompt() -> None:
    said = turns("system", "user", "assistant", "user", "assistant", "user")  # 10 words each
    kept, dropped = fit_turns(said, words, 50, 10, "drop")
    assert kept == (said[0], *said[3:])
    assert dropped == 2
    kept, dropped = fit_turns(said, words, 39, 100, "drop")  # room for the answer is a quarter at the most
    assert kept == (said[0], said[5])
    assert dropped == 4


def test_a_message_too_long_for_the_context_is_told() -> None:
    with pytest.raises(ChatTrouble, match=r"takes 20 tokens.*context of 16"):
        fit_turns(turns("system", "user"), words, 16, 4, "drop")


def test_a_full_context_may_be_a_stop_instead() -> None:
    with pytest.raises(ChatTrouble, match="new conversation"):
        fit_turns(turns("user", "assistant", "user"), words, 32, 8, "stop")
