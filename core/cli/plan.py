"""`stillroom plan`: which teacher the law recommends for a student, the teachers at hand, shapes, and the cost here."""

from __future__ import annotations

import argparse
import typing
from pathlib import Path

from core.cli import FINISHED, home_of
from core.cli.flags import absolute, count
from core.cli.output import Output
from core.distill import Builder


def plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--student",
        required=True,
        metavar="TARGET",
        help="what the student must be: a size (1.3M, 3B), a share of the teacher (0.4x), memory (2GB, 2GB@int4), "
        "speed (30tok/s), or a model folder",
    )
    parser.add_argument("--teacher", metavar="PATH", help="the teacher; without one, those at hand are ranked")
    parser.add_argument(
        "--init", choices=typing.get_args(Builder), default="prune", help="how the student is made [prune]"
    )
    parser.add_argument("--tokens", type=count, metavar="N", help="the budget, for the estimate of time")
    parser.add_argument(
        "--data", action="append", default=[], metavar="FILE", help="the text, may be given several times"
    )
    parser.add_argument("--device", default="auto", metavar="DEVICE", help="where it will run [auto]")


def plan_command(arguments: argparse.Namespace, output: Output) -> int:
    from core.cli.models import added_folders
    from core.models import resolve_model, scan_folder
    from core.plan import parse_target, plan

    home = home_of(arguments)
    made = plan(
        home,
        parse_target(arguments.student),
        resolve_model(arguments.teacher) if arguments.teacher else None,
        init=arguments.init,
        tokens=arguments.tokens,
        data=tuple(absolute(item) for item in arguments.data),
        device=arguments.device,
        at_hand=[path for folder in added_folders(home) for path in scan_folder(folder)],
    )
    output.result(made.model_dump(mode="json"))
    return FINISHED
