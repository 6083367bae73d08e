"""The family of a run as a picture: boxes from the eldest teacher down, joined by lines; each opens what it stands for."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QEnterEvent, QIcon, QPainter, QPaintEvent, QPen, QShowEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QVBoxLayout,
    QWidget,
)

from core.errors import Trouble
from core.home import Home
from core.numbers import count_text
from desktop_app import theme
from desktop_app.icons import icon, state_icon
from desktop_app.runs import words
from desktop_app.runs.family import Member, read_family
from desktop_app.work import Latest

BOX_HEIGHT = 52  # px
STEP_IN = 3 * theme.SPACE
MOST_LEVELS = 5


class Box(QAbstractButton):
    """One member of the family: its name, and what is known of it under it."""

    def __init__(self, member: Member, detail: str) -> None:
        super().__init__()
        self.member, self._detail = member, detail
        self.setText(member.name)
        self.setAccessibleName(f"{member.name}, {detail}")
        self.setToolTip(words.plain_tip(f"{member.name}\n{member.model or member.run or ''}"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMaximumWidth(420)

    def sizeHint(self) -> QSize:  # noqa: N802
        return QSize(260, BOX_HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(1, 1, -1, -1)
        marked = self.member.here or self.hasFocus()
        pen = QPen(theme.colour("accent" if marked else "line"), 2 if self.hasFocus() else 1)
        if not self.isEnabled():
            pen.setStyle(Qt.PenStyle.DashLine)
        painter.setPen(pen)
        fill = "selected" if self.member.here else "raised" if self.underMouse() and self.isEnabled() else "surface"
        painter.setBrush(theme.colour(fill))
        painter.drawRoundedRect(frame, theme.RADIUS, theme.RADIUS)
        self._sign().paint(painter, self._visual(QRect(12, (BOX_HEIGHT - 20) // 2, 20, 20)))
        room = QRect(42, 0, self.width() - 42 - 10, BOX_HEIGHT)
        self._line(painter, room.adjusted(0, 7, 0, -BOX_HEIGHT // 2 + 1), self.text(), "ink", theme.BODY)
        self._line(painter, room.adjusted(0, BOX_HEIGHT // 2, 0, -7), self._detail, "muted", theme.SMALL)

    def _line(self, painter: QPainter, room: QRect, text: str, role: str, size: int) -> None:
        elide = Qt.TextElideMode.ElideMiddle if role == "ink" else Qt.TextElideMode.ElideRight
        font = self.font()
        font.setPixelSize(size)
        painter.setFont(font)
        painter.setPen(theme.colour(role if self.isEnabled() else "muted"))
        side = QStyle.visualAlignment(self.layoutDirection(), Qt.AlignmentFlag.AlignLeft)
        text = painter.fontMetrics().elidedText(text, elide, room.width())
        painter.drawText(self._visual(room), side | Qt.AlignmentFlag.AlignVCenter, text)

    def _visual(self, rect: QRect) -> QRect:
        return QStyle.visualRect(self.layoutDirection(), self.rect(), rect)

    def _sign(self) -> QIcon:
        if self.member.kind == "run":
            return state_icon(self.member.state)
        return icon("models", "teacher" if self.member.kind == "teacher" else "accent")

    def enterEvent(self, event: QEnterEvent) -> None:  # noqa: N802
        super().enterEvent(event)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802
        super().leaveEvent(event)
        self.update()


class _Tree(QWidget):
    """Boxes under one another; each is joined to the nearest one above that is set in less, or as much."""

    def __init__(self, boxes: Sequence[Box] = ()) -> None:
        super().__init__()
        self.boxes = list(boxes)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, theme.SPACE, theme.SPACE)
        layout.setSpacing(2 * theme.SPACE)
        for box in self.boxes:
            line = QHBoxLayout()
            line.addSpacing(STEP_IN * min(box.member.level, MOST_LEVELS))
            line.addWidget(box, 100)  # it takes what there is, up to its largest width
            line.addStretch(1)
            layout.addLayout(line)
        layout.addStretch(1)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802
        painter = QPainter(self)
        painter.setPen(QPen(theme.colour("field_line"), 1.5))
        for number, box in enumerate(self.boxes[1:], 1):
            parent = self._parent(number)
            start, end = self._foot(parent), box.geometry()
            if box.member.level == parent.member.level:
                painter.drawLine(start, QPoint(start.x(), end.top()))
            else:
                side = end.right() if self.layoutDirection() is Qt.LayoutDirection.RightToLeft else end.left()
                middle = end.center().y()
                painter.drawLine(start, QPoint(start.x(), middle))
                painter.drawLine(QPoint(start.x(), middle), QPoint(side, middle))

    def _parent(self, number: int) -> Box:
        level = self.boxes[number].member.level
        wanted = level - 1 if level else 0
        return next(box for box in reversed(self.boxes[:number]) if box.member.level == wanted)

    def _foot(self, box: Box) -> QPoint:
        place = box.geometry()
        inwards = min(STEP_IN // 2, place.width() // 2)
        mirrored = self.layoutDirection() is Qt.LayoutDirection.RightToLeft
        return QPoint(place.right() - inwards if mirrored else place.left() + inwards, place.bottom() + 1)


class LineageView(QWidget):
    """Asks the library when it comes on screen or its run changes."""

    opened = Signal(object)  # Member

    def __init__(self, home: Home) -> None:
        super().__init__()
        self._home, self._run, self._mark = home, "", ""
        self._stale = False
        self._latest = Latest(self)
        self._members: tuple[Member, ...] = ()
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        theme.set_role(self.words, "muted")
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setAccessibleName(self.tr("Lineage of the run"))
        self.tree = _Tree()
        self._scroll.setWidget(self.tree)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self._scroll, 1)

    def set_run(self, run: str, mark: str) -> None:
        """Show this run's family; `mark` changes when it may have grown."""
        if (run, mark) != (self._run, self._mark):
            if run != self._run:
                self._show_members(())
            self._run, self._mark, self._stale = run, mark, True
            if self.isVisible():
                self.look()

    def members(self) -> tuple[Member, ...]:
        return self._members

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        super().showEvent(event)
        self.look()

    def look(self) -> None:
        """Ask anew, if anything may have changed."""
        if not self._stale or not self._run:
            return
        self._stale = False
        home, run = self._home, self._run
        if not self._members:
            self._say(self.tr("Looking for teachers and students…"))
        self._latest.ask(lambda: read_family(home, run), self._show_members, self._refuse)

    def _refuse(self, trouble: Trouble) -> None:
        self._stale = True
        self._show_members(())
        self._say(str(trouble))

    def _say(self, text: str) -> None:
        self.words.setText(text)
        self.words.setVisible(bool(text))

    def _show_members(self, members: Sequence[Member]) -> None:
        self._say("" if len(members) > 1 else self.tr("Nothing is known above or below this run yet."))
        if tuple(members) == self._members:
            return
        self._members = tuple(members)
        self.tree = _Tree([self._box(member) for member in self._members])
        before = self._scroll.takeWidget()
        before.hide()
        before.deleteLater()  # not at once: the click that led here may have been on one of its boxes
        self._scroll.setWidget(self.tree)

    def _box(self, member: Member) -> Box:
        box = Box(member, self._detail(member))
        box.setEnabled(member.at_hand)
        box.clicked.connect(lambda: self.opened.emit(member))
        return box

    def _detail(self, member: Member) -> str:
        parts = [self._kind(member)]
        if member.kind == "run":
            parts.append(words.state_word(member.state))
        elif member.parameters:
            parts.append(self.tr("%s parameters") % count_text(member.parameters))
        if member.bits_per_byte is not None:
            parts.append(self.tr("%.3f bits/byte") % member.bits_per_byte)
        if not member.at_hand:
            parts.append(self.tr("not on this machine"))
        return " · ".join(parts)

    def _kind(self, member: Member) -> str:
        if member.kind != "run":
            return self.tr("Teacher") if member.kind == "teacher" else self.tr("Student")
        if member.here:
            return self.tr("This run")
        return self.tr("Run") if member.run_kind == "distill" else words.kind_word(member.run_kind)
