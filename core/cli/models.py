"""Commands that look at what is there: the models at hand, one model, this machine's devices."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core import absmax
from core.adapters import MergeAdapterRecipe, trouble_with_base
from core.cli import FINISHED, home_of
from core.cli.flags import absolute
from core.cli.hub import ACTIONS as HUB_ACTIONS
from core.cli.hub import hub_arguments, hub_command
from core.cli.output import Output
from core.cli.start import start
from core.devices import default_device, devices
from core.errors import Trouble
from core.library import Ancestor, Library
from core.model_folders import name_of, resolve_model
from core.models import ModelEntry, ModelInfo, inspect_model
from core.numbers import bytes_text, count_text


def inspect_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a model folder, or the name of a model in the Hub cache")
    parser.add_argument(
        "--allow-remote-code", action="store_true", help="look at a model that runs code of its own, too"
    )
    parser.add_argument(
        "--absmax", choices=("row", "tensor"), help="what int8 with one scale a row or tensor would do to each matrix"
    )


def inspect_command(arguments: argparse.Namespace, output: Output) -> int:
    info = inspect_model(resolve_model(arguments.path), arguments.allow_remote_code)
    output.table(["", str(info.path)], [[name, value] for name, value in _facts(info) if value])
    for problem in info.problems:
        output.say(f"Note: {problem}")
    trouble = trouble_with_base(info.path) if info.is_adapter else None
    if trouble:
        output.say(f"Note: {trouble}")
    ancestors = _ancestors(info, arguments, output) if info.lineage else []
    for depth, link in enumerate(ancestors):
        size = f" ({count_text(link.parameters)})" if link.parameters else ""
        made = f", made by run {link.run}{'' if link.run_known else ' (not in this data folder)'}" if link.run else ""
        output.say(f"{'  ' * depth}{'learnt from ' if depth else ''}{link.name}{size}{made}")
    facts = {**info.model_dump(mode="json"), "ancestors": [asdict(link) for link in ancestors]}
    rounded = {"absmax": _absmax(info, arguments.absmax, output)} if arguments.absmax else {}
    output.result(facts | ({"base_trouble": trouble} if info.is_adapter else {}) | rounded)
    return FINISHED


def _absmax(info: ModelInfo, per: absmax.Per, output: Output) -> dict[str, Any]:
    """What rounding to bytes would do, tensor by tensor."""
    looks = list(absmax.look(info.path, per))
    whole = absmax.summary(looks, info.path)
    rows = [
        [f"{one.relative_error:.2%}", f"{one.largest_error:.2g}", f"{one.largest:.3g}", f"{one.zeroed:.1%}", one.name]
        for one in looks
    ]
    head = ["error", "largest error", "largest", "to zero"]
    output.table([*head, "tensor"], rows, right=head)
    output.say(
        f"int8 with a scale for each {per}: {bytes_text(whole.bytes_before)} of matrices become {bytes_text(whole.bytes_after)}, "
        f"{bytes_text(whole.kept_bytes)} stay; the relative error is {whole.relative_error:.2%}, largest in {whole.worst}."
    )
    return {"per": per, "summary": asdict(whole), "tensors": [asdict(one) for one in looks]}


def _ancestors(info: ModelInfo, arguments: argparse.Namespace, output: Output) -> list[Ancestor]:
    """The model and its teachers, up to the one that nobody here made; without a library, as its own record says."""
    made = info.lineage
    assert made is not None
    own = Ancestor(str(info.path), info.name, info.parameters, at_hand=False, run=made.run, scores=made.scores)
    teacher = made.teacher
    try:
        with Library(home_of(arguments)) as library:
            library.refresh_runs()
            library.refresh_models()
            chain = library.lineage(info.path)
            if chain[0].run is None:  # the library doesn't know this folder
                own = replace(own, run_known=made.run in {run.id for run in library.runs()})
                chain = [own, *(library.lineage(Path(teacher.path)) if teacher else [])]
    except Trouble as trouble:
        output.note(str(trouble))
        chain = [own]
    if teacher and len(chain) == 1:
        chain.append(Ancestor(teacher.path, name_of(Path(teacher.path)), teacher.parameters, at_hand=False))
    if teacher and chain[1].parameters is None:
        chain[1] = replace(chain[1], parameters=teacher.parameters)
    return chain


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
        base = f", tuned from {info.lineage.base.path}" if info.lineage.base else ""
        yield "made by", f"run {info.lineage.run}{teacher}{base}"


def models_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the models at hand, change which folders are searched for them, or fetch models from the Hub."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    actions.add_parser("list", help="list the models at hand (the default)")
    for name, text in (("add", "search this folder, too"), ("forget", "search it no longer; its files stay")):
        actions.add_parser(name, help=text).add_argument("path", metavar="FOLDER")
    hub_arguments(actions)
    _merge_arguments(actions.add_parser("merge-adapter", help="merge adapters into their base, exactly"))


def _merge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Merge an adapter, or a stack of them, into its base: W + scale * delta, computed in float64 and written in float32."
    parser.add_argument("adapter", metavar="ADAPTER", help="the adapter's folder")
    parser.add_argument("out", metavar="OUT", help="where the merged model is written")
    parser.add_argument("--base", metavar="DIR", help="the base, if it is not where the adapter says")
    parser.add_argument("--scale", type=float, default=1.0, metavar="X", help="how much the adapter counts [1]")
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="DIR[=X]",
        help="a further adapter of the same base, and its scale",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "bfloat16", "float16", "base"),
        default="float32",
        help="of the file; all but float32 round what was learnt [float32]",
    )
    parser.add_argument("--allow-remote-code", action="store_true", help="read a base that brings code of its own, too")


def _merge_adapter(arguments: argparse.Namespace, output: Output) -> int:
    stack = [(absolute(arguments.adapter), arguments.scale)]
    for each in arguments.also:
        folder, equals, scale = each.rpartition("=")
        try:
            stack.append((absolute(folder), float(scale)) if equals else (absolute(each), 1.0))
        except ValueError as error:
            raise Trouble(f"--also {each}: {scale!r} is no number.", "Write it like --also ./adapter=0.5.") from error
    recipe = MergeAdapterRecipe(
        adapters=tuple(folder for folder, _ in stack),
        scales=tuple(scale for _, scale in stack),
        base=str(resolve_model(arguments.base)) if arguments.base else None,
        out=absolute(arguments.out),
        save_precision=arguments.precision,
        allow_remote_code=arguments.allow_remote_code,
        device="cpu",
        share_device=True,
    )
    return start(home_of(arguments), recipe.check(), output, detach=False)


def models_command(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.action == "merge-adapter":
        return _merge_adapter(arguments, output)
    if arguments.action in HUB_ACTIONS:
        return hub_command(arguments, output)
    with Library(home_of(arguments)) as library:
        if library.notice:
            output.note(library.notice)
        if arguments.action == "add":
            library.add_folder(Path(arguments.path))
        elif arguments.action == "forget":
            library.forget(Path(arguments.path))
        library.refresh_runs()
        library.refresh_models()
        entries, folders = library.models(), [str(folder) for folder in library.model_folders()]
    output.table(
        ["parameters", "dtype", "size", "name", "path or trouble"],
        [_row(entry) for entry in entries],
        right=["parameters", "size"],
    )
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
