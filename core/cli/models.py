"""Commands that look at what is there: the models at hand, one model, this machine's devices."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from core.cli import FINISHED, home_of
from core.cli.output import Output
from core.devices import default_device, devices
from core.errors import BadModel, Trouble
from core.files import read_json, write_json
from core.home import Home
from core.models import ModelEntry, ModelInfo, entry_of, inspect_model, resolve_model, scan_folder
from core.numbers import bytes_text, count_text
from core.plan import models_at_hand


def inspect_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a model folder, or the name of a model in the Hub cache")
    parser.add_argument(
        "--allow-remote-code", action="store_true", help="look at a model that runs code of its own, too"
    )


def inspect_command(arguments: argparse.Namespace, output: Output) -> int:
    info = inspect_model(resolve_model(arguments.path), arguments.allow_remote_code)
    output.table(["", str(info.path)], [[name, value] for name, value in _facts(info) if value])
    for problem in info.problems:
        output.say(f"Note: {problem}")
    output.result(info.model_dump(mode="json"))
    return FINISHED


def _facts(info: ModelInfo) -> Iterator[tuple[str, str]]:
    yield "architecture", f"{info.architecture} ({info.model_type})" if info.model_type else info.architecture
    without = f"{count_text(info.non_embedding_parameters)} without embeddings"
    yield "parameters", f"{info.parameters:,} ({count_text(info.parameters)}, {without})"
    if shape := info.shape:
        heads = f"{shape.heads} heads of {shape.head_dim}, {shape.kv_heads} for keys and values"
        yield "shape", f"{shape.layers} layers, width {shape.hidden}, {heads}, feed-forward {shape.intermediate}"
    yield "context", f"{info.context:,} tokens" if info.context else ""
    yield "vocabulary", f"{info.vocabulary:,}{', tied embeddings' if info.tied else ''}" if info.vocabulary else ""
    yield "weights", f"{', '.join(info.dtypes)}, {bytes_text(info.size_bytes)}"
    yield (
        "tokenizer",
        f"{info.tokenizer.fingerprint[:12]}" if info.tokenizer.fingerprint else info.tokenizer.unknown_because,
    )
    yield "quantization", info.quantization or ""
    yield "adapter for", info.base_model or ""
    if info.lineage:
        teacher = f" from {info.lineage.teacher.path}" if info.lineage.teacher else ""
        yield "made by", f"run {info.lineage.run}{teacher}"


def models_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the models at hand, or change which folders are searched for them."
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    actions.add_parser("list", help="list the models at hand (the default)")
    for name, text in (("add", "search this folder, too"), ("forget", "search it no longer; its files stay")):
        actions.add_parser(name, help=text).add_argument("path", metavar="FOLDER")


def models_command(arguments: argparse.Namespace, output: Output) -> int:
    home = home_of(arguments)
    if arguments.action == "add":
        add_folder(home, Path(arguments.path).expanduser().resolve())
    elif arguments.action == "forget":
        forget_folder(home, Path(arguments.path).expanduser().resolve())
    entries = all_models(home)
    output.table(
        ["parameters", "dtype", "size", "name", "path or trouble"],
        [_row(entry) for entry in entries],
        right=["parameters", "size"],
    )
    folders = [str(folder) for folder in added_folders(home)]
    output.result({"models": [entry.model_dump(mode="json") for entry in entries], "folders": folders})
    return FINISHED


def _row(entry: ModelEntry) -> list[str]:
    if entry.info is None:
        return ["–", "–", "–", entry.name, f"{entry.path}: {entry.broken}"]
    info = entry.info
    return [
        count_text(info.parameters),
        "/".join(info.dtypes),
        bytes_text(info.size_bytes),
        entry.name,
        str(entry.path),
    ]


def devices_arguments(parser: argparse.ArgumentParser) -> None:
    pass


def devices_command(arguments: argparse.Namespace, output: Output) -> int:
    found = devices()
    chosen, reason = default_device(found)
    rows = [
        [
            device.id,
            bytes_text(device.memory_free_bytes),
            bytes_text(device.memory_total_bytes),
            "yes" if device.bf16 else "no",
            f"{device.name}. {device.note}".strip(". ") if device.note else device.name,
        ]
        for device in found
    ]
    output.table(["device", "free", "memory", "bf16", "name"], rows, right=["free", "memory"])
    output.say(f"By default: {reason.rstrip('.')}.")
    output.result({"devices": [asdict(device) for device in found], "default": chosen.id, "reason": reason})
    return FINISHED


# ------------------------------------------------------------------------------- the seam to the library of models


def all_models(home: Home) -> list[ModelEntry]:
    """Models in the added folders, and those that nobody needs to name; a broken one carries the reason."""
    paths = [*(path for folder in added_folders(home) for path in scan_folder(folder)), *models_at_hand(home)]
    return [entry_of(path) for path in dict.fromkeys(paths)]


def added_folders(home: Home) -> list[Path]:
    try:
        return [Path(folder) for folder in read_json(home.model_folders)["folders"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError, TypeError) as error:
        raise Trouble(
            f"{home.model_folders} can't be read: {error}.", "Mend it, or remove it and add the folders again."
        ) from error


def add_folder(home: Home, folder: Path) -> None:
    """Remember a folder that is a model or holds some; BadModel if there is none in it."""
    if not folder.is_dir():
        raise BadModel(f"There is no folder {folder}.", "Name a model folder, or a folder of them.")
    if not scan_folder(folder):
        raise BadModel(f"{folder} holds no model.", "A model is a folder with a config.json.")
    known = added_folders(home)
    if folder not in known:
        write_json(home.model_folders, {"folders": [str(each) for each in [*known, folder]]})


def forget_folder(home: Home, folder: Path) -> None:
    known = added_folders(home)
    if folder not in known:
        raise Trouble(f"{folder} was not added.", f"These were: {', '.join(str(each) for each in known) or 'none'}.")
    write_json(home.model_folders, {"folders": [str(each) for each in known if each != folder]})
