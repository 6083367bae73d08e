"""Curves as files: a picture, a vector drawing, or all points as they came. Written beside, then renamed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRect, QSaveFile, QSize
from PySide6.QtGui import QImage, QPainter

from core.errors import Trouble
from desktop_app import theme
from desktop_app.charts.lines import Array, RunSpec
from desktop_app.live import Curves, EvaluationCurve

SCALE = 2  # px of a picture for each of the screen
PLACES = {"step": "step", "tokens": "tokens", "seconds": "training time (s)", "flops": "FLOPs"}
FIGURES = {
    "total": "total loss (nats/token)",
    "ce": "cross-entropy (nats/token)",
    "kd": "distillation loss (nats/token)",
    "perplexity": "perplexity",
    "bits_per_byte": "bits per byte",
    "agreement": "agreement (share of tokens)",
    "lr": "learning rate",
    "grad_norm": "gradient norm",
    "tokens_per_second": "tokens per second",
    "memory_bytes": "memory (bytes)",
}


def png(size: QSize, draw: Callable[[QPainter], None]) -> bytes:
    """What `draw` paints in a room of `size`, as a picture of twice as many px."""
    image = QImage(size * SCALE, QImage.Format.Format_ARGB32_Premultiplied)
    image.setDevicePixelRatio(SCALE)
    image.fill(theme.colour("surface"))
    painter = QPainter(image)
    draw(painter)
    painter.end()
    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]
    return bytes(data.data())


def svg(size: QSize, title: str, draw: Callable[[QPainter], None]) -> bytes:
    """What `draw` paints in a room of `size`, as lines and text."""
    from PySide6.QtSvg import QSvgGenerator

    data = QByteArray()
    buffer = QBuffer(data)
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    generator = QSvgGenerator()
    generator.setOutputDevice(buffer)
    generator.setSize(size)
    generator.setViewBox(QRect(0, 0, size.width(), size.height()))
    generator.setTitle(title)
    painter = QPainter(generator)
    painter.fillRect(QRect(0, 0, size.width(), size.height()), theme.colour("surface"))
    draw(painter)
    painter.end()
    return bytes(data.data())


def table(runs: Sequence[tuple[RunSpec, Curves]]) -> bytes:
    """All points as CSV: a row for each logged step and each evaluation; empty where a value is absent."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["run", "name", "kind", *PLACES.values(), *FIGURES.values()])
    for spec, curves in runs:
        writer.writerows(_rows([spec.id, spec.label, "training"], curves, curves.train))
        for subject, checks in curves.evaluations.items():
            writer.writerows(_rows([spec.id, spec.label, f"held-out, {subject}"], checks, checks.metrics))
    return text.getvalue().encode("utf-8-sig")  # the mark tells spreadsheets that it is UTF-8


def _rows(head: list[str], points: Curves | EvaluationCurve, figures: dict[str, Array]) -> Iterator[list[str]]:
    absent = np.full(len(points.step), np.nan)
    places = [points.step, points.tokens, points.seconds, absent if points.flops is None else points.flops]
    columns = [*places, *(figures.get(name, absent) for name in FIGURES)]
    texts = [[_text(value) for value in column.tolist()] for column in columns]
    return ([*head, *row] for row in zip(*texts, strict=True))


def _text(value: float) -> str:
    if value != value:  # NaN: absent
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def save(path: Path, data: bytes) -> Path:
    """Replace `path` by `data` in one step. Raises `Trouble` if it can't be written."""
    file = QSaveFile(str(path))
    if file.open(QIODevice.OpenModeFlag.WriteOnly) and file.write(data) == len(data) and file.commit():
        return path
    raise Trouble(f"{path} can't be written: {file.errorString()}.", "Choose another folder, or make room.")
