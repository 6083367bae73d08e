"""A talk in the terminal: lines are said to all models, lines that begin with / are commands; answers stream side by side."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core import chat
from core.cli import FINISHED
from core.cli.chat import SETTINGS, stopping
from core.cli.output import Output
from core.conversations import as_json, as_markdown
from core.errors import Trouble
from core.home import Home
from core.speaker import Talk
from core.votes import tally, verdicts, vote

if TYPE_CHECKING:
    from rich.table import Table

HELP = """\
Say something and press Enter; Ctrl-C stops an answer, /quit or Ctrl-D ends the talk.
  /again              answer the last question anew
  /edit TEXT          say this instead of the last thing, on a branch of its own
  /system TEXT        the system prompt from now on (nothing removes it)
  /set NAME VALUE     a setting: temperature, top_p, top_k, min_p, repetition_penalty, seed, max_new_tokens, or preset
  /raw, /auto         without or with the chat template
  /adapter NAME X     scale of an adapter; 0 switches it off
  /template           the chat template of each model
  /best N | /tie      vote for the answer in column N; /tally shows all votes
  /save FILE          write the conversation, as Markdown or (.json) as messages
  /more               several lines follow, up to one that is a single dot
"""


class Terminal:
    """Reads lines, shows answers."""

    def __init__(self, talk: Talk, home: Home, output: Output) -> None:
        self.talk, self.home, self.output = talk, home, output
        self.names = {name: Path(seat.folder).name for name, seat in talk.seats.items()}

    def run(self) -> int:
        """Until the input ends. What was said is kept; the last line tells how to go on."""
        for name, seat in self.talk.seats.items():
            loaded = self.talk.speaker.loaded.get(seat.model)
            if loaded is not None:
                way = "its chat template" if loaded.chat_template and seat.mode != "raw" else "raw completion"
                self.output.note(f"{self.names[name]} on {loaded.device}, {loaded.precision}, {way}, {loaded.framing}")
        self.output.note("/help tells what can be said.")
        while (line := self._line()) is not None:
            try:
                if not self._do(line):
                    break
            except Trouble as trouble:
                self.output.note(str(trouble))
        if self.talk.conversation.said:
            self.output.note(
                f"Kept as {self.talk.conversation.id}: `stillroom chat --go-on {self.talk.conversation.id}`"
            )
        return FINISHED

    def _line(self) -> str | None:
        """A line, or None at the end of input. Ctrl-C at the prompt forgets the line."""
        while True:
            try:
                return input("\n> " if sys.stdin.isatty() else "")
            except EOFError:
                return None
            except KeyboardInterrupt:
                self.output.note("\n/quit ends the talk.")

    def _do(self, line: str) -> bool:
        """Say a line or do a command; False ends the talk."""
        if not line.strip():
            return True
        if not line.startswith("/"):
            self._follow(self.talk.say(line))
            return True
        command, _, rest = line[1:].partition(" ")
        if command in ("quit", "exit"):
            return False
        commands: dict[str, Callable[[str], None]] = {
            "help": lambda _: self.output.say(HELP),
            "again": lambda _: self._follow(self.talk.again(self._last())),
            "edit": lambda text: self._follow(self.talk.edit(self._last(), text)),
            "system": self._system,
            "set": self._set,
            "raw": lambda _: self._mode("raw"),
            "auto": lambda _: self._mode("auto"),
            "adapter": self._adapter,
            "template": lambda _: self._templates(),
            "best": self._best,
            "tie": lambda _: self._vote(None),
            "tally": lambda _: self._tally(),
            "save": self._save,
            "more": lambda _: self._more(),
        }
        if command not in commands:
            raise chat.ChatTrouble(f"There is no command /{command}.", "/help lists them.")
        commands[command](rest.strip())
        return True

    def _last(self) -> str:
        last = self.talk.conversation.last()
        if last is None:
            raise chat.ChatTrouble("Nothing was said yet.")
        return last.id

    # ------------------------------------------------------------------------------------------------------- answers

    def _follow(self, request: str) -> None:
        """Show the answers as they come; Ctrl-C stops them."""
        shown = {name: "" for other, name in self.talk.writing if other == request}
        with stopping(self.talk.halt):
            if len(shown) > 1 and sys.stdout.isatty():
                self._side_by_side(shown)
            else:
                self._one_after_another(shown)

    def _events(self, shown: dict[str, str]) -> list[chat.Event]:
        events = self.talk.speaker.events(0.05)
        for event in events:
            self.talk.take(event)
            if isinstance(event, chat.Wrote):
                shown[event.column] = shown.get(event.column, "") + event.text
        return events

    def _one_after_another(self, shown: dict[str, str]) -> None:
        """One answer streams; several are each shown when they are whole."""
        single = len(shown) == 1
        while self.talk.busy:
            for event in self._events(shown):
                if isinstance(event, chat.Wrote) and single:
                    print(event.text, end="", flush=True)
                elif isinstance(event, chat.Ended):
                    print("" if single else f"── {self.names[event.column]}\n{event.text}\n", flush=True)
                self._tell(event)

    def _side_by_side(self, shown: dict[str, str]) -> None:
        from rich.live import Live

        told: list[chat.Event] = []
        with Live(self._columns(shown), auto_refresh=False, vertical_overflow="visible") as live:
            while self.talk.busy:
                told += self._events(shown)
                live.update(self._columns(shown), refresh=True)
        for event in told:
            self._tell(event)

    def _columns(self, shown: dict[str, str]) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(expand=True, show_lines=False)
        for name in shown:
            table.add_column(self.names[name], ratio=1, overflow="fold")
        table.add_row(*(Text(text) for text in shown.values()))
        return table

    def _tell(self, event: chat.Event) -> None:
        """What is to be known beside the text."""
        if isinstance(event, chat.Ended):
            used = f"{event.prompt_tokens + event.tokens}/{event.context}" if event.context else f"{event.tokens}"
            speed = f", {event.tokens_per_second:.1f} tokens/s" if event.tokens_per_second else ""
            ended = "" if event.ending == "end" else f", {chat.ENDINGS[event.ending]}"
            drafted = event.speculation
            draft = (
                f", {drafted.acceptance:.0%} of drafts accepted" if drafted and drafted.acceptance is not None else ""
            )
            self.output.note(f"[{self.names[event.column]}: context {used}{speed}{draft}{ended}]")
        elif isinstance(event, chat.Began):
            for note in event.notes:
                self.output.note(f"[{self.names[event.column]}: {note}]")
        elif isinstance(event, chat.Noted):
            self.output.note(f"[{event.text}]")
        elif isinstance(event, chat.Failed):
            self.output.note(f"{event.what} {event.way_out}".strip())
        elif isinstance(event, chat.Died):
            self.output.note(
                f"{event.what} Nothing you said is lost: /again asks once more, with the engine started anew."
            )

    # ------------------------------------------------------------------------------------------------------ commands

    def _system(self, text: str) -> None:
        self.talk.system = text
        self.output.note("The system prompt is set." if text else "There is no system prompt now.")

    def _set(self, words: str) -> None:
        name, _, value = words.partition(" ")
        if name == "preset" and value in chat.PRESETS:
            sampling = chat.PRESETS[value][0]
        elif name in SETTINGS and value:
            seat = next(iter(self.talk.seats.values()))
            sampling = chat.sampling_of(**{**seat.sampling.model_dump(), name: None if value == "none" else value})
        else:
            presets = ", ".join(chat.PRESETS)
            raise chat.ChatTrouble(
                f"/set {words} can't be understood.", f"Name one of {', '.join(SETTINGS)}; presets: {presets}."
            )
        self.talk.seats = {name: replace(seat, sampling=sampling) for name, seat in self.talk.seats.items()}
        self.output.note(
            ", ".join(f"{name} {value}" for name, value in sampling.model_dump().items() if name != "stop")
        )

    def _mode(self, mode: chat.Mode) -> None:
        self.talk.seats = {name: replace(seat, mode=mode) for name, seat in self.talk.seats.items()}

    def _adapter(self, words: str) -> None:
        name, _, value = words.partition(" ")
        try:
            scale = float(value)
        except ValueError as error:
            raise chat.ChatTrouble(
                f"/adapter {words} can't be understood.", "Say it like /adapter NAME 0.5."
            ) from error
        found = False
        for column, seat in self.talk.seats.items():
            loaded = self.talk.speaker.loaded.get(seat.model)
            if loaded is not None and name in loaded.adapters:
                self.talk.seats[column] = replace(seat, adapters={**(seat.adapters or {}), name: scale})
                found = True
        if not found:
            raise chat.ChatTrouble(f"No model here has an adapter {name}.", "Load one with --adapter DIR.")

    def _templates(self) -> None:
        for name, seat in self.talk.seats.items():
            loaded = self.talk.speaker.loaded.get(seat.model)
            self.output.say(f"── {self.names[name]}\n{(loaded and loaded.chat_template) or 'no chat template'}")

    def _best(self, number: str) -> None:
        columns = list(self.talk.seats)
        if not number.isdigit() or not 1 <= int(number) <= len(columns):
            raise chat.ChatTrouble(f"There is no column {number}.", f"Name one of 1 to {len(columns)}.")
        self._vote(columns[int(number) - 1])

    def _vote(self, best: str | None) -> None:
        last = self._last()
        newest = {answer.column: answer for answer in self.talk.conversation.answers_to(last)}
        if len({answer.model for answer in newest.values()}) < 2:
            raise chat.ChatTrouble("There are no two answers to compare.", "Talk with two models or more.")
        answers = {answer.model: answer.text for answer in newest.values()}
        question = self.talk.conversation.said[last].text
        vote(self.home, question, answers, None if best is None else newest[best].model)
        self._tally()

    def _tally(self) -> None:
        rows = [
            [Path(each.model).name, str(each.won), str(each.lost), str(each.tied), f"{each.share:.0%}"]
            for each in tally(verdicts(self.home))
        ]
        self.output.table(["model", "won", "lost", "tied", "share"], rows, right=["won", "lost", "tied", "share"])

    def _save(self, file: str) -> None:
        import json

        from core.files import write_text

        if not file:
            raise chat.ChatTrouble("/save needs a file.", "Say it like /save talk.md.")
        path = Path(file).expanduser()
        if path.exists():
            raise chat.ChatTrouble(f"{path} is there already.", "Name a new file; nothing is overwritten.")
        whole = as_json(self.talk.conversation) if path.suffix == ".json" else None
        try:
            write_text(
                path, as_markdown(self.talk.conversation) if whole is None else json.dumps(whole, indent=2) + "\n"
            )
        except OSError as error:
            raise chat.ChatTrouble(f"{path} can't be written: {error.strerror}.", "Name another place.") from error
        self.output.note(f"Written to {path}.")

    def _more(self) -> None:
        lines = []
        while (line := self._line()) is not None and line != ".":
            lines.append(line)
        if lines:
            self._follow(self.talk.say("\n".join(lines)))
