"""`stillroom chat`: one answer for a script, or a talk in the terminal with one to four models; the conversations that were kept."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core import chat
from core.cli import FAILED, FINISHED, home_of
from core.cli.flags import absolute, count
from core.cli.output import Output
from core.conversations import Conversation, Conversations, as_json, as_markdown
from core.errors import Trouble
from core.model_folders import resolve_model
from core.models import inspect_model
from core.speaker import Place, Seat, Speaker, Talk, find_place

EPILOGUE = """\
examples:
  stillroom chat ./student --prompt "Once upon a time" --greedy --max-new-tokens 80 --json
  stillroom chat ./teacher --draft ./student --prompt "Once upon a time" --greedy
  stillroom chat ./teacher ./student            (side by side; /help tells what can be said)
  stillroom chat --list
"""
SETTINGS = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "max_new_tokens")
DRAFT = "draft"


def chat_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOGUE
    parser.add_argument("model", metavar="MODEL", nargs="*", help="one to four model folders, or adapters of one")
    parser.add_argument("--prompt", metavar="TEXT", help="answer this once and end; - reads standard input")
    parser.add_argument("--system", metavar="TEXT", default="", help="the system prompt")
    parser.add_argument("--raw", action="store_true", help="go on with the text as it is, without the chat template")
    parser.add_argument("--draft", metavar="STUDENT", help="a student that drafts for the model: faster, same text")
    parser.add_argument(
        "--adapter", metavar="DIR", action="append", default=[], help="lay a LoRA adapter over the model"
    )
    parser.add_argument(
        "--base", metavar="DIR", help="the base model of an adapter, if it is not where the adapter says"
    )
    add_sampling(parser)
    place = parser.add_argument_group("where")
    place.add_argument("--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda:0, … or mps")
    place.add_argument("--share-device", action="store_true", help="although a run is at work on it")
    place.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    place.add_argument("--compile", action="store_true", help="compile the model: slow at first, then faster on a GPU")
    place.add_argument("--allow-remote-code", action="store_true", help="run code that comes with the model's folder")
    kept = parser.add_argument_group("conversations")
    kept.add_argument("--list", action="store_true", help="the conversations that were kept")
    kept.add_argument("--search", metavar="WORDS", help="where all these words were said")
    kept.add_argument("--go-on", metavar="ID", help="go on with a kept conversation (or its beginning, or `last`)")
    kept.add_argument("--export", metavar="ID", help="write a kept conversation to standard output, as Markdown")
    parser.add_argument(
        "--when-full", choices=("drop", "stop"), default="drop", help="a full context: drop the oldest turns, or stop"
    )


def add_sampling(parser: argparse.ArgumentParser) -> None:
    """The sampling settings as flags, with the words of `core.chat.Sampling`."""
    group = parser.add_argument_group("sampling")
    presets = "; ".join(f"{name}: {why}" for name, (_, why) in chat.PRESETS.items())
    group.add_argument("--preset", choices=tuple(chat.PRESETS), help=presets)
    group.add_argument("--greedy", action="store_true", help="always the likeliest token")
    for name in SETTINGS:
        whole = name in ("top_k", "seed", "max_new_tokens")
        group.add_argument(
            f"--{name.replace('_', '-')}",
            dest=name,
            type=count if whole else float,
            metavar="N" if whole else "X",
            default=argparse.SUPPRESS,
            help=chat.Sampling.model_fields[name].description,
        )
    group.add_argument("--stop", metavar="TEXT", action="append", default=[], help="a text that ends the answer")


def sampling_from(arguments: argparse.Namespace) -> chat.Sampling:
    """The preset with what was said beside it."""
    if arguments.greedy and (getattr(arguments, "temperature", 0) or arguments.preset not in (None, "greedy")):
        raise chat.ChatTrouble("--greedy leaves nothing to chance.", "Leave it out, or the temperature or preset.")
    preset = "greedy" if arguments.greedy else arguments.preset or "balanced"
    given = {name: getattr(arguments, name) for name in SETTINGS if hasattr(arguments, name)}
    if arguments.stop:
        given["stop"] = tuple(arguments.stop)
    return chat.sampling_of(**{**chat.PRESETS[preset][0].model_dump(), **given})


def chat_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    if arguments.list or arguments.search is not None:
        return _list(Conversations(home), arguments.search, output)
    if arguments.export is not None:
        return _export(Conversations(home).open(arguments.export), output)
    kept = Conversations(home).open(arguments.go_on) if arguments.go_on else None
    sampling = sampling_from(arguments)
    folders = _folders(arguments, kept)
    if arguments.prompt is None and not sys.stdin.isatty() and output.json:
        raise chat.ChatTrouble(
            "--json without --prompt.", "Say what to answer: --prompt TEXT, or --prompt - for input."
        )
    place = find_place(home, arguments.device, share=arguments.share_device)
    with Speaker(home.root / "chat.log") as speaker:
        seats = _load(speaker, folders, arguments, sampling, place, output)
        if arguments.prompt is not None:
            return _once(speaker, seats, arguments, output)
        from core.cli.talking import Terminal

        conversation = kept or Conversations(home).new([str(folder) for folder in folders])
        talk = Talk(speaker, conversation, seats, arguments.system, arguments.when_full)
        return Terminal(talk, home, output).run()


def _folders(arguments: argparse.Namespace, kept: Conversation | None) -> list[Path]:
    named = arguments.model or list(kept.models if kept else ())
    if not named:
        raise chat.ChatTrouble(
            "No model is named.", "Say `stillroom chat MODEL`; `stillroom models` lists those at hand."
        )
    if len(named) > chat.MOST_COLUMNS:
        raise chat.ChatTrouble(f"{len(named)} models are too many.", f"Talk with {chat.MOST_COLUMNS} at once at most.")
    folders = [resolve_model(name) for name in named]
    for folder in folders:
        inspect_model(folder, arguments.allow_remote_code)  # what is wrong with it is said at once
    return folders


def _load(
    speaker: Speaker,
    folders: list[Path],
    arguments: argparse.Namespace,
    sampling: chat.Sampling,
    place: Place,
    output: Output,
) -> dict[str, Seat]:
    """Load all models, the draft too; the seats of the conversation."""
    common: dict[str, Any] = {
        "device": place.device,
        "precision": arguments.precision,
        "allow_remote_code": arguments.allow_remote_code,
        "compile": arguments.compile,
    }
    wanted = [
        chat.Load(
            model=f"m{at}",
            path=str(folder),
            base=None if arguments.base is None else str(resolve_model(arguments.base)),
            adapters=tuple(absolute(adapter) for adapter in arguments.adapter),
            **common,
        )
        for at, folder in enumerate(folders)
    ]
    if arguments.draft:
        wanted.append(chat.Load(model=DRAFT, path=str(resolve_model(arguments.draft)), **common))
    if place.runs:
        output.note(f"The run {place.runs[0]} is at work on {place.device} too: both will be slower.")
    for load in wanted:
        speaker.send(load)
    for load in wanted:
        _until_loaded(speaker, load, output)
    mode: chat.Mode = "raw" if arguments.raw else "auto"
    draft = DRAFT if arguments.draft else None
    return {load.model: Seat(load.model, load.path, sampling, mode, draft) for load in wanted if load.model != DRAFT}


def _until_loaded(speaker: Speaker, load: chat.Load, output: Output) -> None:
    told = -1
    while load.model not in speaker.loaded:
        for event in speaker.events(0.1):
            if isinstance(event, chat.Failed):
                raise Trouble(event.what, event.way_out)
            if isinstance(event, chat.Died):
                raise Trouble(event.what, f"It said: {event.log_tail.strip()[-600:] or 'nothing'}")
            if isinstance(event, chat.Loading) and event.share and int(event.share * 4) > told and output.live:
                told = int(event.share * 4)
                output.note(f"{Path(load.path).name}: {event.what} {event.share:.0%}")


def _once(speaker: Speaker, seats: dict[str, Seat], arguments: argparse.Namespace, output: Output) -> int:
    """One prompt, one answer of each model; nothing is kept."""
    text = sys.stdin.read() if arguments.prompt == "-" else arguments.prompt
    said = [chat.Message(role="user", content=text)]
    if arguments.system:
        said.insert(0, chat.Message(role="system", content=arguments.system))
    columns = tuple(
        chat.Column(
            id=name,
            model=seat.model,
            messages=tuple(said),
            sampling=seat.sampling,
            mode=seat.mode,
            draft=seat.draft,
            when_full=arguments.when_full,
        )
        for name, seat in seats.items()
    )
    ended: dict[str, chat.Ended] = {}
    streams = len(columns) == 1 and not output.json
    with stopping(lambda: speaker.send(chat.Halt(request="once"))):
        speaker.send(chat.Speak(request="once", columns=columns))
        while len(ended) < len(columns):
            for event in speaker.events(0.05):
                if isinstance(event, chat.Wrote) and streams:
                    print(event.text, end="", flush=True)
                elif isinstance(event, chat.Began):
                    for note in event.notes:
                        output.note(note)
                elif isinstance(event, chat.Noted):
                    output.note(event.text)
                elif isinstance(event, chat.Ended):
                    ended[event.column] = event
                elif isinstance(event, chat.Failed):
                    raise Trouble(event.what, event.way_out)
                elif isinstance(event, chat.Died):
                    output.failure(event.what, f"It said: {event.log_tail.strip()[-600:] or 'nothing'}")
                    return FAILED
    if streams:
        print(flush=True)
    answers = [_said(ended[name], seat.folder) for name, seat in seats.items()]
    if not output.json and len(answers) > 1:
        for answer in answers:
            output.say(f"── {Path(answer['model']).name}\n{answer['text']}\n")
    if not output.json:
        for each in answers:
            output.note(facts_line(each))
    output.result({**answers[0], **({"answers": answers} if len(answers) > 1 else {})})
    return FINISHED


def _said(ended: chat.Ended, model: str) -> dict[str, Any]:
    """An answer as a script reads it."""
    drafted = ended.speculation
    return {
        "text": ended.text,
        "tokens_per_second": ended.tokens_per_second,
        "acceptance": drafted.acceptance if drafted else None,
        "model": model,
        "ending": ended.ending,
        "tokens": ended.tokens,
        "prompt_tokens": ended.prompt_tokens,
        "first_token_s": ended.first_token_s,
        "seed": ended.seed,
        "speculation": drafted.model_dump() if drafted else None,
    }


def facts_line(answer: dict[str, Any]) -> str:
    """One line below an answer: how long, how fast, what drafting brought."""
    speed = answer["tokens_per_second"]
    parts = [f"{answer['tokens']} tokens", f"{speed:.1f} tokens/s" if speed else "", chat.ENDINGS[answer["ending"]]]
    if (drafted := answer["speculation"]) and drafted["acceptance"] is not None:
        faster = f", {drafted['speed_up']:.2f} times as fast" if drafted["speed_up"] else ""
        parts.append(f"{drafted['acceptance']:.0%} of the drafts accepted{faster}")
    return f"{Path(answer['model']).name}: {', '.join(part for part in parts if part)}"


@contextmanager
def stopping(halt: Any) -> Iterator[None]:
    """The first Ctrl-C stops the answer and keeps what came of it; a second one, before that is done, ends the command."""
    asked = False

    def heard(number: int, frame: object) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        halt()

    before = signal.signal(signal.SIGINT, heard)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _list(conversations: Conversations, words: str | None, output: Output) -> int:
    from datetime import datetime

    if words is not None:
        hits = list(conversations.search(words))
        output.table(["conversation", "title", "said"], [[hit.conversation, hit.title, hit.excerpt] for hit in hits])
        output.result({"hits": [vars(hit) for hit in hits]})
        return FINISHED
    every = conversations.list()
    rows = [
        [
            each.id,
            datetime.fromtimestamp(each.changed).strftime("%Y-%m-%d %H:%M"),
            str(each.turns),
            each.title,
            ", ".join(Path(model).name for model in each.models),
        ]
        for each in every
    ]
    output.table(["id", "changed", "turns", "title", "models"], rows, right=["turns"])
    output.result({"conversations": [vars(each) for each in every]})
    return FINISHED


def _export(conversation: Conversation, output: Output) -> int:
    if output.json:
        output.result(as_json(conversation))
    else:
        print(as_markdown(conversation), end="")
    return FINISHED
