"""The command line, `stillroom …`: the window's journeys for a terminal and for scripts.

Each command is a pair of functions in one module of this package, `<command>_arguments(parser)` and
`<command>_command(arguments, output) -> int`. A module is imported only when its command is called, so that
`stillroom plan` answers at once. Words go to standard error while a run is followed; with --json the last line of
standard output is one object.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from core import __version__
from core.cli.output import Output
from core.errors import Trouble

if TYPE_CHECKING:
    from core.home import Home

FINISHED, FAILED, BAD_INPUT, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130

COMMANDS = {
    "sample": ("core.cli.start", "distill the built-in sample, to its end"),
    "plan": ("core.cli.plan", "which teacher the law recommends for a student, and what it will cost"),
    "distill": ("core.cli.start", "distill a student from a teacher"),
    "chain": ("core.cli.chain", "distill by way of assistants, where the teacher is far too large"),
    "pilot": ("core.cli.pilot", "try a few teachers or objectives on a short budget, and compare"),
    "cache": ("core.cli.cache", "keep what a teacher says of a text, for any number of students"),
    "caches": ("core.cli.cache", "the kept answers at hand"),
    "tune": ("core.cli.tune", "tune a model on conversations, preferences or text: an adapter, or all its weights"),
    "write": ("core.cli.write", "text that a teacher writes, for students to learn"),
    "merge": ("core.cli.merge", "make one model of several, by a recipe that other tools read too"),
    "sweep": ("core.cli.sweep", "one merge along a grid of parameters; the best on held-out text is kept"),
    "evaluate": ("core.cli.evaluate", "what a model scores: text, benchmarks, minimal pairs, speed"),
    "chat": ("core.cli.chat", "talk with one model or up to four side by side"),
    "serve": ("core.cli.serve", "serve models to other programs: an OpenAI-compatible endpoint on this machine"),
    "compare": ("core.cli.compare", "models and runs side by side: scores, settings, radar, report"),
    "judge": ("core.cli.judge", "a model says whose answers are better"),
    "verdicts": ("core.cli.judge", "how models stand by all verdicts, models' and people's"),
    "scores": ("core.cli.compare", "everything that was ever measured here"),
    "export": ("core.cli.export", "make a model ready for llama.cpp, Ollama, transformers or ONNX, and check it there"),
    "runs": ("core.cli.runs", "list all runs"),
    "show": ("core.cli.runs", "all about one run: curve, choices, evaluations, samples"),
    "stop": ("core.cli.control", "stop a run and keep what it has, or discard it"),
    "resume": ("core.cli.start", "go on with a run that ended before its time"),
    "again": ("core.cli.start", "a new run from the recipe of another"),
    "launch": ("core.cli.launch", "write what starts a run on several processes, other machines, or by Slurm"),
    "queue": ("core.cli.control", "the order of the runs that wait"),
    "recipe": ("core.cli.runs", "the recipe of a run, to edit and start again"),
    "log": ("core.cli.runs", "everything the engine of a run printed"),
    "rename": ("core.cli.tidy", "call a run by another name"),
    "tag": ("core.cli.tidy", "the tags of a run"),
    "delete": ("core.cli.tidy", "move runs to the trash"),
    "trash": ("core.cli.tidy", "what was deleted: bring it back, or remove it for good"),
    "data": ("core.cli.data", "data of any kind: what it is, how a model sees it, statistics, mixtures"),
    "models": ("core.cli.models", "the models at hand"),
    "inspect": ("core.cli.models", "what a model folder holds"),
    "devices": ("core.cli.models", "what this machine can compute on"),
}

EPILOGUE = """\
RUN is the id of a run, its beginning or end, its name, or `last`.

exit codes:
  0    done; a run that was followed has finished
  1    a run that was followed failed or crashed, or Stillroom has a bug
  2    something in the command, a file or a recipe must be mended first
  3    the run was stopped and kept
  130  interrupted; a run that was followed goes on in the background
"""


class UsageTrouble(Trouble):
    """The command line itself can't be understood."""


class CommandParser(argparse.ArgumentParser):
    """A parser that learns its arguments when its command is called, and whose errors are troubles."""

    module = ""
    command = ""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter)
        common = self.add_argument_group("everywhere")
        common.add_argument(
            "--home", metavar="DIR", default=argparse.SUPPRESS, help="the data folder (also STILLROOM_HOME)"
        )
        common.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="the last line of output is one JSON object"
        )
        common.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS, help="show where in the program an error arose"
        )

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        if self.module:
            module, self.module = importlib.import_module(self.module), ""
            getattr(module, f"{self.command}_arguments")(self)
            self.set_defaults(handler=getattr(module, f"{self.command}_command"))
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise UsageTrouble(f"{self.prog}: {message}.", f"`{self.prog} --help` shows what can be said.")


def build_parser() -> CommandParser:
    parser = CommandParser(
        prog="stillroom", description="Distill language models on your own workstation.", epilog=EPILOGUE
    )
    parser.add_argument("--version", action="version", version=f"stillroom {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", title="commands", parser_class=CommandParser)
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.module, command.command = module, name
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see EPILOGUE). Without a command the help is shown."""
    given = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that has no arrows or braille shows question marks instead
            stream.reconfigure(errors="replace")
    output = Output(json="--json" in given)
    try:
        return _run(given, output)
    except Trouble as trouble:
        _reveal(given)
        output.failure(trouble.what, trouble.way_out)
        return BAD_INPUT
    except KeyboardInterrupt:
        output.failure("Interrupted.", "Runs that were started go on in the background.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output (`head`, say) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINISHED
    except OSError as error:  # a full disk, a missing permission: the system's words name the file
        _reveal(given)
        output.failure(f"{error}.", "Free some space, or change the permissions, and try again.")
        return BAD_INPUT
    except Exception as error:  # noqa: BLE001 — the last place where a bug of ours can be told in words
        _reveal(given)
        more = "" if "--debug" in given else " (--debug shows it)"
        output.failure(
            f"Stillroom met an error that we did not foresee, {type(error).__name__}: {error}".rstrip(".") + ".",
            f"It is our bug: please report it with the command that you gave and the traceback{more}.",
        )
        return FAILED


def home_of(arguments: argparse.Namespace) -> Home:
    """The data folder that the command names, made if it is not there yet."""
    from core.home import Home

    return Home.find(getattr(arguments, "home", None))


def _run(given: list[str], output: Output) -> int:
    parser = build_parser()
    arguments = parser.parse_args(given)
    if not hasattr(arguments, "handler"):
        parser.print_help()
        return FINISHED
    code: int = arguments.handler(arguments, output)
    return code


def _reveal(given: list[str]) -> None:
    if "--debug" in given:
        import traceback

        traceback.print_exc()
