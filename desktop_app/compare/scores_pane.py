"""The radar with its scale, and the table of all figures beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QSplitter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.compare import Comparison
from core.radar import MOST_MODELS, Axis, Column, Scale, words_for
from desktop_app import theme
from desktop_app.charts import export
from desktop_app.charts.radar import PAGE, RadarChart
from desktop_app.compare import axes as on_radar
from desktop_app.compare.axes import New
from desktop_app.compare.reading import Going
from desktop_app.compare.table import FiguresTable
from desktop_app.forms import Choice, Segmented
from desktop_app.forms.parts import words
from desktop_app.icons import icon
from desktop_app.work import in_background

ENDINGS = {"png": "Pictures (*.png)", "svg": "Drawings (*.svg)", "csv": "Tables (*.csv)"}


class ScoresPane(QWidget):
    """`show_comparison` shows. `scale_chosen` and `reference_chosen` when the user wants another."""

    scale_chosen = Signal(str)
    reference_chosen = Signal(str)
    exported = Signal(object)  # Path
    troubled = Signal(object)  # Trouble

    def __init__(self) -> None:
        super().__init__()
        self._comparison = Comparison(())
        self._numbers: list[int] = []
        self._hidden: frozenset[str] = frozenset()
        self._new: New = {}
        self._going: Sequence[Going] = ()
        self._offered: list[Axis] = []
        self._chosen: set[Column] | None = None  # axes; None: the usual ones
        self._make_parts()
        self._lay_out()
        self._connect()

    def _make_parts(self) -> None:
        self.scale = Segmented(
            [("raw", self.tr("Raw")), ("chance", self.tr("Above chance")), ("retention", self.tr("Retention"))]
        )
        self.scale.setAccessibleName(self.tr("Scale of the radar"))
        self.reference = Choice()
        self.reference.setAccessibleName(self.tr("The model that retention is measured against"))
        self.reference_label = QLabel(self.tr("of"))
        self.axes_button, self.export_button = _menu_button(self.tr("Axes")), _menu_button("")
        self.export_button.setIcon(icon("export"))
        self.export_button.setToolTip(self.tr("Export the radar"))
        self.export_button.setAccessibleName(self.tr("Export the radar"))
        self.radar = RadarChart()
        self.scale_words, self.note = words("small"), words("small")
        self.table = FiguresTable()
        self.every = QCheckBox(self.tr("All metrics"))
        self.every.setToolTip(self.tr("Also the metrics of each task that are not usually quoted."))
        self.legend = words("small")

    def _lay_out(self) -> None:
        left, right = QWidget(), QWidget()
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        for widget in (self.scale, self.reference_label, self.reference):
            head.addWidget(widget)
        head.addStretch(1)
        head.addWidget(self.axes_button)
        head.addWidget(self.export_button)
        column = QVBoxLayout(left)
        column.setContentsMargins(0, theme.SPACE, 0, 0)
        column.setSpacing(theme.SPACE)
        column.addLayout(head)
        column.addWidget(self.radar, 1)
        column.addWidget(self.scale_words)
        column.addWidget(self.note)
        beside = QVBoxLayout(right)
        beside.setContentsMargins(0, theme.SPACE, 0, 0)
        beside.setSpacing(theme.SPACE)
        foot = QHBoxLayout()
        foot.addWidget(self.legend, 1)
        foot.addWidget(self.every)
        beside.addWidget(self.table, 1)
        beside.addLayout(foot)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(2 * theme.SPACE)
        self.splitter.addWidget(left)
        self.splitter.addWidget(right)
        self.splitter.setStretchFactor(0, 2)
        self.splitter.setStretchFactor(1, 3)
        self.splitter.setSizes([460, 660])
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.splitter)

    def _connect(self) -> None:
        self.scale.chosen.connect(self.scale_chosen)
        self.reference.chosen.connect(lambda word: self.reference_chosen.emit(str(word)))
        self.axes_button.clicked.connect(self._open_axes)
        self.export_button.clicked.connect(self._open_export)
        self.every.toggled.connect(lambda _: self._show_table())
        self.radar.axis_chosen.connect(lambda place: self.table.pick(self.radar.axes[place].column))
        self.table.column_picked.connect(self._point_at)

    # --- what is shown

    def show_comparison(
        self, comparison: Comparison, numbers: list[int], hidden: frozenset[str], new: New, going: Sequence[Going]
    ) -> None:
        """`numbers` are the marks of the entries, `hidden` the words of those that the charts leave out."""
        same = {column for axis in self._offered for column in [axis.column]}
        self._comparison, self._numbers, self._hidden, self._new, self._going = comparison, numbers, hidden, new, going
        self._offered = on_radar.offered(comparison, new)
        if self._chosen is not None and not self._chosen & (same | {axis.column for axis in self._offered}):
            self._chosen = None
        self.scale.choose(comparison.scale)
        names = [(entry.word, entry.name) for entry in comparison.entries]
        self.reference.set_options(names)
        self.reference.choose(comparison.reference)
        few = len(names) < 2
        self.scale.allow("retention", self.tr("Retention takes a second model to measure against.") if few else "")
        for widget in (self.reference, self.reference_label):
            widget.setVisible(comparison.scale == "retention")
        self._show_radar()
        self._show_table()

    def _axes(self) -> list[Axis]:
        if self._chosen is None:
            return on_radar.usual(self._offered, self._comparison.entries)
        return [axis for axis in self._offered if axis.column in self._chosen]

    def _visible(self) -> list[int]:
        return [at for at, entry in enumerate(self._comparison.entries) if entry.word not in self._hidden]

    def _show_radar(self) -> None:
        comparison, scale = self._comparison, self._comparison.scale
        visible = self._visible()
        colours = [(number, theme.series_colour(number)) for number in self._numbers]
        found = on_radar.shown(self._axes(), comparison, scale, colours, visible[:MOST_MODELS], self._new, self._going)
        mark: dict[Scale, tuple[float | None, str]] = {
            "raw": (None, ""),
            "chance": (None, ""),
            "retention": (1.0, self.tr("the reference")),
        }
        at, meaning = mark[scale]
        empty = (
            self.tr("Nothing was measured yet. “Evaluate…” does it.") if visible else self.tr("All models are hidden.")
        )
        if found.left_out and not found.axes:
            empty = self.tr("None of the figures has a place on this scale. Choose another one.")
        self.radar.show_scores(found.axes, found.lines, found.pending, mark=at, mark_words=meaning, empty=empty)
        name = next((entry.name for entry in comparison.entries if entry.word == comparison.reference), "…")
        self.scale_words.setText(words_for(scale, name) + " " + self.tr("A gap is a figure that is missing."))
        notes = []
        if len(visible) > MOST_MODELS:
            notes.append(self.tr("The first %d models are drawn; hide some to see others.") % MOST_MODELS)
        if found.left_out:
            notes.append(self.tr("Without a place on this scale: %s.") % ", ".join(found.left_out))
        if any(axis.turned for axis in found.axes):
            notes.append(self.tr("⇅ Less is better: the axis is turned round."))
        if any(line.new for line in found.lines):
            notes.append(self.tr("Hollow: the evaluation goes on."))
        self.note.setText(" ".join(notes))
        self.note.setVisible(bool(notes))

    def _show_table(self) -> None:
        self.table.show_comparison(self._comparison, self._numbers, self._new, quoted=not self.every.isChecked())
        how = self.tr("± is one standard error. Bold is the best of a line.")
        coming = self.tr("Figures stand here as they come.")
        self.legend.setText(coming if self._going and not self.table.figures.columns else how)

    def _point_at(self, column: Column) -> None:
        place = next((at for at, axis in enumerate(self.radar.axes) if axis.column == column), None)
        if self.table.hasFocus():
            self.radar.read(place)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and getattr(self, "_numbers", None):
            self._show_radar()

    # --- axes and files

    def _open_axes(self) -> None:
        menu = self.axes_menu()
        menu.popup(self.axes_button.mapToGlobal(self.axes_button.rect().bottomLeft()))

    def axes_menu(self) -> QMenu:
        """Every figure with a tick; the menu stays open while they are changed one by one elsewhere."""
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.setToolTipsVisible(True)
        menu.addAction(self.tr("The usual ones"), partial(self._choose_axes, None))
        menu.addSeparator()
        now = {axis.column for axis in self._axes()}
        for axis in self._offered:
            action = menu.addAction(axis.title)
            action.setCheckable(True)
            action.setChecked(axis.column in now)
            action.setToolTip(axis.column[2])
            action.triggered.connect(partial(self._switch_axis, axis.column))
        return menu

    def _switch_axis(self, column: Column, shown: bool) -> None:
        now = {axis.column for axis in self._axes()}
        self._choose_axes(now | {column} if shown else now - {column})

    def _choose_axes(self, columns: set[Column] | None) -> None:
        self._chosen = columns
        self._show_radar()

    def _open_export(self) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        texts = {"png": self.tr("Picture (PNG)…"), "svg": self.tr("Drawing (SVG)…"), "csv": self.tr("Table (CSV)…")}
        for kind, text in texts.items():
            menu.addAction(text, partial(self._ask_where, kind))
        menu.popup(self.export_button.mapToGlobal(self.export_button.rect().bottomLeft()))

    def _ask_where(self, kind: str) -> None:
        path, _ = QFileDialog.getSaveFileName(self, self.tr("Export the radar"), f"radar.{kind}", ENDINGS[kind])
        if path:
            self.export(Path(path) if Path(path).suffix else Path(path).with_suffix(f".{kind}"))

    def export(self, path: Path) -> None:
        """Write the radar as a picture, a drawing or a table, by the ending of the path."""
        make = self._made(path.suffix.lstrip(".").lower())
        in_background(self, lambda: export.save(path, make()), self.exported.emit, self.troubled.emit)

    def _made(self, kind: str) -> Callable[[], bytes]:
        """Pictures are drawn at once, for widgets belong to this thread."""
        if kind == "csv":
            made = self.radar.table()
            return lambda: made
        title = self._comparison.name or self.tr("Comparison")
        draw = partial(self.radar.draw_page, title=title, words=self.scale_words.text())
        drawn = export.png(PAGE, draw) if kind == "png" else export.svg(PAGE, title, draw)
        return lambda: drawn


def _menu_button(text: str) -> QToolButton:
    made = QToolButton()
    made.setText(text)
    if text:
        made.setIcon(icon("down", "muted"))
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
    return made
