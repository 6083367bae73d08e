"""The chat engine as a process: typed events and nothing else, halts at once, and no word lost when it is killed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_chat_answers import TEMPLATE
from tiny import write_teacher

from core import chat
from core.chat import Message, Sampling
from core.cli import main
from core.conversations import Conversations
from core.home import Home
from core.speaker import Seat, Speaker, Talk, find_place

LONG = Sampling(temperature=0, max_new_tokens=5000)
SHORT = Sampling(temperature=0, max_new_tokens=6)
PATIENCE_S = 120


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two models that never end by themselves, with room to write for a while; the second one has a chat template."""
    folder = tmp_path_factory.mktemp("models")
    for seed, name in enumerate(("one", "two")):
        write_teacher(folder / name, seed=seed, max_position_embeddings=8192, eos_token_id=None)
        for file in ("generation_config.json", "config.json"):
            settings = json.loads((folder / name / file).read_text())
            (folder / name / file).write_text(json.dumps(settings | {"eos_token_id": None}))
    (folder / "two" / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder / "one", folder / "two"


@pytest.fixture(scope="module")
def speaker(models: tuple[Path, Path]) -> Iterator[Speaker]:
    with Speaker() as speaker:
        for name, folder in zip("ab", models, strict=True):
            speaker.send(chat.Load(model=name, path=str(folder), device="cpu"))
        yield speaker


def until(speaker: Speaker, kind: type[chat.Event], count: int = 1) -> list[chat.Event]:
    """Events up to the last of so many of a kind."""
    found: list[chat.Event] = []
    deadline = time.monotonic() + PATIENCE_S
    while sum(isinstance(event, kind) for event in found) < count:
        assert time.monotonic() < deadline, found[-5:]
        found += speaker.events(0.05)
    return found


def column(name: str, text: str, sampling: Sampling = SHORT, **more: object) -> chat.Column:
    return chat.Column(id=name, model=name, messages=(Message(role="user", content=text),), sampling=sampling, **more)  # type: ignore[arg-type]


@pytest.mark.slow
def test_two_models_write_side_by_side_and_their_pieces_add_up(speaker: Speaker) -> None:
    speaker.send(chat.Speak(request="1", columns=(column("a", "Once upon"), column("b", "Once upon"))))
    events = until(speaker, chat.Ended, 2)
    kinds = [type(event) for event in events]
    assert kinds.index(chat.Ready) < kinds.index(chat.Loading) < kinds.index(chat.Loaded) < kinds.index(chat.Began)
    loaded = {event.model: event for event in events if isinstance(event, chat.Loaded)}
    assert (loaded["a"].chat_template, loaded["b"].chat_template) == (None, TEMPLATE)
    assert {event.column: event.mode for event in events if isinstance(event, chat.Began)} == {"a": "raw", "b": "chat"}
    for ended in (event for event in events if isinstance(event, chat.Ended)):
        pieces = [e.text for e in events if isinstance(e, chat.Wrote) and e.column == ended.column]
        assert "".join(pieces) == ended.text
        assert (ended.ending, ended.tokens, ended.context) == ("length", 6, 8192)
    order = [event.column for event in events if isinstance(event, chat.Wrote)]
    assert order.index("b") < len(order) - 1 - order[::-1].index("a")  # neither waits for the other's end


@pytest.mark.slow
def test_a_halt_ends_an_answer_at_once_and_keeps_what_came(speaker: Speaker) -> None:
    speaker.send(chat.Speak(request="2", columns=(column("a", "Once", LONG), column("b", "Once", LONG))))
    until(speaker, chat.Wrote, 4)
    began = time.monotonic()
    speaker.send(chat.Halt(request="2", column="a"))
    events = until(speaker, chat.Ended)
    taken = time.monotonic() - began
    assert [event.column for event in events if isinstance(event, chat.Ended)] == ["a"]
    speaker.send(chat.Halt(request="2"))
    ended = until(speaker, chat.Ended)[-1]
    assert isinstance(ended, chat.Ended)
    assert (ended.column, ended.ending) == ("b", "halted")
    assert ended.text
    assert taken < 2  # a tenth of a second on a machine of one's own; here others work beside


@pytest.mark.slow
def test_what_can_t_be_done_is_an_event_in_words_and_the_engine_goes_on(speaker: Speaker, tmp_path: Path) -> None:
    speaker.send(chat.Load(model="x", path=str(tmp_path), device="cpu"))
    failed = until(speaker, chat.Failed)[-1]
    assert isinstance(failed, chat.Failed)
    assert failed.model == "x"
    assert "config.json" in failed.what
    speaker.send(chat.Speak(request="3", columns=(column("nobody", "a"), column("a", "x " * 20_000, when_full="stop"))))
    events = until(speaker, chat.Failed, 2)
    words = {event.column: event.what for event in events if isinstance(event, chat.Failed)}
    assert "nobody" in words["nobody"]
    assert "context of 8192" in words["a"]
    speaker.send(chat.Speak(request="4", columns=(column("a", "Once"),)))
    assert until(speaker, chat.Ended)


@pytest.mark.slow
def test_killing_the_engine_loses_no_word_and_it_comes_back_with_its_models(
    speaker: Speaker, models: tuple[Path, Path], tmp_path: Path
) -> None:
    conversations = Conversations(Home.find(tmp_path / "home"))
    talk = Talk(speaker, conversations.new(), {"a": Seat("a", str(models[0]), LONG)})
    talk.say("Once upon a time")
    while not any(writing.text for writing in talk.writing.values()):
        for event in speaker.events(0.05):
            talk.take(event)
    assert speaker.pid is not None
    os.kill(speaker.pid, signal.SIGKILL)
    died = None
    while talk.busy:
        for event in speaker.events(0.05):
            talk.take(event)
            died = event if isinstance(event, chat.Died) else died
    assert died is not None
    assert "killed" in died.what
    kept = conversations.open(talk.conversation.id)
    answer = next(iter(kept.answers.values()))
    assert (kept.last().text, answer.ending) == ("Once upon a time", "died")
    assert answer.text
    talk.seats["a"].sampling = SHORT
    talk.again(kept.last().id)
    while talk.busy:
        for event in speaker.events(0.05):
            talk.take(event)
    answers = conversations.open(talk.conversation.id).answers_to(kept.last().id)
    assert [each.ending for each in answers] == ["died", "length"]
    one, other = (each.text for each in answers)
    assert one.startswith(other) or other.startswith(one)


@pytest.mark.slow
def test_unloading_is_confirmed_and_the_handle_is_gone(speaker: Speaker) -> None:
    speaker.send(chat.Speak(request="5", columns=(column("b", "Once", LONG),)))
    until(speaker, chat.Wrote, 2)
    speaker.send(chat.Unload(model="b"))
    events = until(speaker, chat.Unloaded)
    assert [event.ending for event in events if isinstance(event, chat.Ended)] == ["halted"]
    assert "b" not in speaker.loaded
    speaker.send(chat.Speak(request="6", columns=(column("b", "Once"),)))
    assert isinstance(until(speaker, chat.Failed)[-1], chat.Failed)


@pytest.mark.slow
def test_a_script_gets_text_speed_and_acceptance(models: tuple[Path, Path], tmp_path: Path) -> None:
    said = io.StringIO()
    command = ["chat", str(models[0]), "--prompt", "Once upon", "--greedy", "--max-new-tokens", "12", "--json"]
    with contextlib.redirect_stdout(said):
        code = main([*command, "--draft", str(models[1]), "--home", str(tmp_path)])
    result = json.loads(said.getvalue().splitlines()[-1])
    assert code == 0
    assert result["tokens"] == 12
    assert result["tokens_per_second"] > 0
    assert 0 <= result["acceptance"] <= 1


def test_wrong_words_on_the_command_line_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = ["--home", str(tmp_path)]
    wrong = {
        "chat": "No model is named",
        f"chat {tmp_path}/nothing --prompt a": "There is no folder",
        f"chat {tmp_path} --prompt a": "config.json",
        "chat a b c d e --prompt a": "5 models are too many",
        f"chat {tmp_path} --greedy --temperature 1": "--greedy",
        f"chat {tmp_path} --prompt a --top-p 3": "top_p",
        "chat --go-on nothing": "no conversation nothing",
        f"serve {tmp_path}/nothing": "There is no folder",
        f"serve {tmp_path} --port 99999": "no port 99999",
    }
    for command, words in wrong.items():
        assert main([*command.split(), *home]) == 2
        assert words in capsys.readouterr().err


def test_an_unknown_device_is_told_and_the_cpu_needs_no_asking(tmp_path: Path) -> None:
    home = Home.find(tmp_path)
    with pytest.raises(Exception, match="no device cuda:99"):
        find_place(home, "cuda:99")
    assert find_place(home, "cpu").runs == ()
