"""Curves as files: a picture, a drawing, or all points as they came. Written beside, then renamed."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QRect, QRectF, QSaveFile, QSize, Qt
from PySide6.QtGui import QFont, QImage, QPainter

from core.errors import Trouble
from desktop_app import theme
from desktop_app.charts.lines import Array, RunSpec
from desktop_app.charts.plot import ABSOLUTE, Plot
from desktop_app.charts.readout import ReadOut
from desktop_app.live import Curves, EvaluationCurve

WIDTH, LARGE, SMALL = 1120, 300, 200  # px: a page, the plots over its whole width, those in pairs
MARGIN, HEAD, GAP = 16, 24, 4
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
    "hidden": "hidden states (error)",
    "relations": "attention relations (nats)",
    "balance": "balance (factor)",
    "generated": "own words (share of learnt tokens)",
}

FURTHER = ("hidden", "relations", "balance", "generated")


@dataclass(frozen=True)
class Page:
    """A title, the read-out and the plots of both sizes under their titles, to be painted on any device."""

    title: str
    font: QFont
    readout: ReadOut
    large: Sequence[tuple[str, Plot]]
    small: Sequence[tuple[str, Plot]]

    def size(self) -> QSize:
        pairs = (len(self.small) + 1) // 2
        plots = len(self.large) * (LARGE + HEAD + GAP) + pairs * (SMALL + HEAD + GAP)
        return QSize(WIDTH, round(64 + self.readout.height_for(WIDTH - 2 * MARGIN) + plots))

    def draw(self, painter: QPainter) -> None:
        width = WIDTH - 2.0 * MARGIN
        self._say(painter, QRectF(MARGIN, 12, width, 28), self.title, theme.TITLE)
        height = self.readout.height_for(width)
        self.readout.draw(painter, QRectF(MARGIN, 44, width, height))
        top = 56 + height
        for title, plot in self.large:
            self._draw_plot(painter, title, plot, QRectF(MARGIN, top, width, LARGE + HEAD))
            top += LARGE + HEAD + GAP
        for number, (title, plot) in enumerate(self.small):
            left = MARGIN + (number % 2) * (width / 2 + 8)
            self._draw_plot(painter, title, plot, QRectF(left, top, width / 2 - 8, SMALL + HEAD))
            top += (SMALL + HEAD + GAP) * (number % 2)

    def _draw_plot(self, painter: QPainter, title: str, plot: Plot, room: QRectF) -> None:
        self._say(painter, QRectF(room.left(), room.top(), room.width(), HEAD - 4), title, theme.BODY)
        plot.draw(painter, room.adjusted(0, HEAD, 0, 0))

    def _say(self, painter: QPainter, room: QRectF, text: str, px: int) -> None:
        font = QFont(self.font)
        font.setPixelSize(px)
        font.setWeight(QFont.Weight.DemiBold)
        painter.setFont(font)
        painter.setPen(theme.colour("ink"))
        short = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, int(room.width()))
        sides = Qt.AlignmentFlag.AlignLeft | ABSOLUTE | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(room, int(sides), short)


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
    figures = _figures(curves for _, curves in runs)
    writer.writerow(["run", "name", "kind", *PLACES.values(), *figures.values()])
    for spec, curves in runs:
        writer.writerows(_rows([spec.id, spec.label, "training"], curves, curves.train, figures))
        for subject, checks in curves.evaluations.items():
            writer.writerows(_rows([spec.id, spec.label, f"held-out, {subject}"], checks, checks.metrics, figures))
    return text.getvalue().encode("utf-8-sig")  # the mark tells spreadsheets that it is UTF-8


def _figures(runs: Iterable[Curves]) -> dict[str, str]:
    """The usual ones, and of the further parts those that a run has."""
    named = dict.fromkeys(name for curves in runs for name in curves.train)
    usual = {name: title for name, title in FIGURES.items() if name not in FURTHER or name in named}
    return usual | {name: name for name in named if name not in usual}


def _rows(
    head: list[str], points: Curves | EvaluationCurve, values: dict[str, Array], figures: dict[str, str]
) -> Iterator[list[str]]:
    absent = np.full(len(points.step), np.nan)
    places = [points.step, points.tokens, points.seconds, absent if points.flops is None else points.flops]
    columns = [*places, *(values.get(name, absent) for name in figures)]
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
