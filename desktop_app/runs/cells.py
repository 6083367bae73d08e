"""How cells of the table are painted: the tick in its series' colour, progress as a bar, the curve, tags as chips."""

from __future__ import annotations

from PySide6.QtCore import (
    QAbstractItemModel,
    QEvent,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QRect,
    QRectF,
    QSize,
    Qt,
)
from PySide6.QtGui import QColor, QIcon, QMouseEvent, QPainter, QPen
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from core.run_summary import RunSummary
from core.state import State
from desktop_app import theme
from desktop_app.charts.spark import paint_spark
from desktop_app.icons import icon
from desktop_app.runs.table import RowRole, TickRole

Index = QModelIndex | QPersistentModelIndex
PAD = theme.SPACE + 3  # px, as the style has it beside text
BAR_HEIGHT = 6  # px
TICK_SIZE = 16  # px


class TextCell(QStyledItemDelegate):
    """Text that is edited in place, the whole of it marked at first."""

    def __init__(self, name: str, parent: QObject) -> None:
        super().__init__(parent)
        self._name = name

    def createEditor(self, parent: QWidget, option: QStyleOptionViewItem, index: Index) -> QWidget:  # noqa: N802
        editor = super().createEditor(parent, option, index)
        editor.setAccessibleName(self._name)
        return editor

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: N802
        editor.setGeometry(option.rect)


class _Cell(QStyledItemDelegate):
    """Background, hover and selection as the style has them; `paint_content` draws the rest."""

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        self.initStyleOption(option, index)
        option.text, option.icon = "", QIcon()
        option.features &= ~(
            QStyleOptionViewItem.ViewItemFeature.HasCheckIndicator | QStyleOptionViewItem.ViewItemFeature.HasDisplay
        )
        style = option.widget.style() if option.widget else QApplication.style()
        style.drawControl(QStyle.ControlElement.CE_ItemViewItem, option, painter, option.widget)
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.paint_content(painter, option, index)
        painter.restore()

    def paint_content(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        raise NotImplementedError


def visual(option: QStyleOptionViewItem, rect: QRect) -> QRect:
    """`rect`, as it lies in a window that is read from left to right, where it belongs in this one."""
    return QStyle.visualRect(option.direction, option.rect, rect)


class TickCell(_Cell):
    """A box that takes the colour of the run's curve when it is ticked."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802
        return QSize(TICK_SIZE + 2 * theme.SPACE, super().sizeHint(option, index).height())

    def paint_content(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        box = QRect(0, 0, TICK_SIZE, TICK_SIZE)
        box.moveCenter(option.rect.center())
        number = index.data(TickRole)
        if number < 0:
            painter.setPen(QPen(theme.colour("field_line"), 1))
            painter.setBrush(theme.colour("surface"))
            painter.drawRoundedRect(QRectF(box).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
            return
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(theme.series_colour(number)))
        painter.drawRoundedRect(QRectF(box), 4, 4)
        icon("tick", "on_accent").paint(painter, box.adjusted(1, 1, -1, -1))

    def editorEvent(  # noqa: N802
        self, event: QEvent, model: QAbstractItemModel, option: QStyleOptionViewItem, index: Index
    ) -> bool:
        if event.type() != QEvent.Type.MouseButtonRelease or not isinstance(event, QMouseEvent):
            return False
        if event.button() != Qt.MouseButton.LeftButton or not option.rect.contains(event.position().toPoint()):
            return False
        return model.setData(index, Qt.CheckState.Checked, Qt.ItemDataRole.CheckStateRole)


class ProgressCell(_Cell):
    """A bar with its percent; words while there is nothing to measure."""

    def paint_content(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: RunSummary = index.data(RowRole)
        text = index.data()
        area = option.rect.adjusted(PAD, 0, -PAD, 0)
        measured = row.share is not None and "%" in text
        painter.setFont(theme.tabular(option.font))
        painter.setPen(theme.colour("ink" if measured else "muted"))
        words_width = option.fontMetrics.horizontalAdvance("100%") + 2 if measured else area.width()
        words = QRect(area.right() + 1 - words_width, area.top(), words_width, area.height())
        if not measured:
            elided = option.fontMetrics.elidedText(text, Qt.TextElideMode.ElideRight, words.width())
            side = QStyle.visualAlignment(option.direction, Qt.AlignmentFlag.AlignLeft)
            painter.drawText(visual(option, words), side | Qt.AlignmentFlag.AlignVCenter, elided)
            return
        side = QStyle.visualAlignment(option.direction, Qt.AlignmentFlag.AlignRight)
        painter.drawText(visual(option, words), side | Qt.AlignmentFlag.AlignVCenter, text)
        bar = QRect(area.left(), 0, area.width() - words_width - theme.SPACE, BAR_HEIGHT)
        bar.moveTop(area.center().y() - BAR_HEIGHT // 2 + 1)
        if bar.width() < 2 * BAR_HEIGHT:
            return
        done = QRect(bar.left(), bar.top(), round(bar.width() * min(1.0, row.share or 0.0)), bar.height())
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.colour("line"))
        painter.drawRoundedRect(visual(option, bar), BAR_HEIGHT / 2, BAR_HEIGHT / 2)
        painter.setBrush(theme.colour(_bar_colour(row.state)))
        if done.width() > 0:
            painter.drawRoundedRect(visual(option, done), BAR_HEIGHT / 2, BAR_HEIGHT / 2)


def _bar_colour(state: str) -> str:
    if state in (State.RUNNING, State.STOPPING):
        return "accent"
    return "good" if state == State.FINISHED else "field_line"


class SparkCell(_Cell):
    """The loss so far, without axes."""

    def paint_content(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: RunSummary = index.data(RowRole)
        if len(row.spark) > 1:
            alive = row.state in (State.RUNNING, State.STOPPING)
            area = option.rect.adjusted(PAD, 7, -PAD, -7)
            paint_spark(painter, area, row.spark, theme.colour("accent" if alive else "muted"))


class ChipsCell(_Cell, TextCell):
    """Tags as chips; those that do not fit are counted. They are edited as words between commas."""

    def paint_content(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        row: RunSummary = index.data(RowRole)
        font = option.font
        font.setPixelSize(theme.SMALL)
        painter.setFont(font)
        metrics = painter.fontMetrics()
        left, right = option.rect.left() + PAD, option.rect.right() - PAD
        height = metrics.height() + 4
        top = option.rect.center().y() - height // 2 + 1
        for number, tag in enumerate(row.tags):
            rest = len(row.tags) - number
            more = metrics.horizontalAdvance(f"+{rest}") + 4 if rest > 1 else 0
            room = right - left - more
            text = metrics.elidedText(tag, Qt.TextElideMode.ElideRight, max(0, room - 2 * theme.SPACE))
            if number and text != tag:
                painter.setPen(theme.colour("muted"))
                place = QRect(left, top, right - left, height)
                side = QStyle.visualAlignment(option.direction, Qt.AlignmentFlag.AlignLeft)
                painter.drawText(visual(option, place), side | Qt.AlignmentFlag.AlignVCenter, f"+{rest}")
                return
            chip = QRect(left, top, metrics.horizontalAdvance(text) + 2 * theme.SPACE, height)
            self._chip(painter, visual(option, chip), text)
            left = chip.right() + 5

    def _chip(self, painter: QPainter, place: QRect, text: str) -> None:
        painter.setPen(QPen(theme.colour("line"), 1))
        painter.setBrush(theme.colour("ground"))
        painter.drawRoundedRect(QRectF(place).adjusted(0.5, 0.5, -0.5, -0.5), place.height() / 2, place.height() / 2)
        painter.setPen(theme.colour("ink"))
        painter.drawText(place, Qt.AlignmentFlag.AlignCenter, text)
