"""The links of a chain: what each makes, how far it is, and how well its student reads the held-out text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QProgressBar, QVBoxLayout

from core.chain import ChainRecipe
from core.numbers import count_text
from core.recipe import Recipe
from core.state import History, State
from desktop_app import theme
from desktop_app.forms.field import Elided
from desktop_app.icons import state_icon
from desktop_app.live import Border, Curves
from desktop_app.runs import words
from desktop_app.sign import Sign


@dataclass(frozen=True)
class LinkStand:
    """A link as it stands: `share` of its tokens, and the held-out bits per byte of what it makes, once measured."""

    name: str
    state: str
    share: float
    bits_per_byte: float | None = None


def links_of(recipe: Recipe | None, state: str, history: History, curves: Curves) -> list[LinkStand]:
    """All links of a chain, those to come among them as far as the recipe is known."""
    if not isinstance(recipe, ChainRecipe):
        return []
    known = history.plan.teacher_parameters if history.plan else None
    sizes = [count_text(known) if known else words.model_name(recipe.teacher)]
    found = []
    entered = {border.number: border for border in curves.borders}
    for number, link in enumerate(recipe.links, 1):
        size = count_text(link.parameters)
        here, after = entered.get(number), entered.get(number + 1)
        done = state == State.FINISHED or after is not None
        its_state = str(State.FINISHED) if done else state if here is not None else str(State.QUEUED)
        share = 1.0 if done else 0.0 if here is None else _share(here, link.tokens, curves)
        found.append(LinkStand(f"{sizes[-1]} → {size}", its_state, share, _bits(number, here, after, history)))
        sizes.append(size)
    return found


def _share(border: Border, tokens: int, curves: Curves) -> float:
    """How much of its tokens the newest link has read."""
    if not len(curves):
        return 0.0
    before = float(np.interp(border.step, curves.step, curves.tokens)) if border.step else 0.0
    return min(1.0, max(0.0, (float(curves.tokens[-1]) - before) / tokens))


def _bits(number: int, here: Border | None, after: Border | None, history: History) -> float | None:
    told = history.results.get("links")
    if isinstance(told, list) and number <= len(told):
        return _number((told[number - 1].get("after") or {}).get("bits_per_byte"))
    if here is None:
        return None
    last = [
        point.metrics.get("bits_per_byte")
        for point in history.evaluations
        if point.subject == "student" and here.step < point.step and (after is None or point.step <= after.step)
    ]
    return _number(last[-1]) if last else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


class ChainCard(QFrame):
    """A line for each link."""

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self._links: list[LinkStand] = []
        self._lines: list[tuple[Sign, Elided, QProgressBar, QLabel]] = []
        self.title = QLabel(self.tr("Links of the chain"))
        theme.set_role(self.title, "title")
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(theme.SPACE)
        self._grid.setVerticalSpacing(6)
        self._grid.setColumnStretch(1, 3)
        self._grid.setColumnStretch(2, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.title)
        layout.addLayout(self._grid)
        self.hide()

    def links(self) -> list[LinkStand]:
        return self._links

    def show_links(self, links: Sequence[LinkStand]) -> None:
        if list(links) == self._links:
            return
        self._links = list(links)
        self.setVisible(bool(links))
        while len(self._lines) < len(links):
            self._add_line()
        for number, line in enumerate(self._lines):
            for widget in line:
                widget.setVisible(number < len(links))
        for link, line in zip(links, self._lines, strict=False):
            self._write(link, *line)

    def _add_line(self) -> None:
        bar, figure = QProgressBar(), QLabel()
        bar.setRange(0, 1000)
        bar.setTextVisible(False)
        bar.setFixedHeight(6)
        figure.setFont(theme.tabular(figure.font()))
        theme.set_role(figure, "muted")
        line = (Sign(), Elided(), bar, figure)
        at = len(self._lines)
        for column, widget in enumerate(line):
            self._grid.addWidget(widget, at, column, Qt.AlignmentFlag.AlignVCenter if column != 3 else _TRAILING)
        self._lines.append(line)

    def _write(self, link: LinkStand, sign: Sign, name: Elided, bar: QProgressBar, figure: QLabel) -> None:
        sign.set_icon(state_icon(link.state))
        word = words.state_word(link.state)
        sign.setToolTip(word)
        name.set_text(link.name)
        bar.setValue(round(1000 * link.share))
        bar.setAccessibleName(self.tr("Progress of %s") % link.name)
        far = word if link.state in (State.QUEUED, State.FINISHED) else f"{link.share:.0%}"
        bits = "" if link.bits_per_byte is None else self.tr("%.3f bits/byte") % link.bits_per_byte
        figure.setText(" · ".join(part for part in (far, bits) if part))
        figure.setAccessibleName(f"{link.name}: {word}, {figure.text()}")


_TRAILING = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
