"""Nodes and edges of the canvas, painted in the colours of the theme."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QCoreApplication, QPointF, QRectF, QSizeF, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPainterPath, QPainterPathStroker, QPen
from PySide6.QtWidgets import QGraphicsItem, QGraphicsPathItem, QStyleOptionGraphicsItem, QWidget

from desktop_app import theme
from desktop_app.icons import icon

WIDTH, HEIGHT = 164.0, 84.0  # px of a node
PORT = 6.0  # px, the radius
REACH = 16.0  # px around a port that count as on it
LABEL_WIDTH, LABEL_LINES = 100.0, 3
MARGIN = 10.0


@dataclass(frozen=True)
class NodeFace:
    """What a node says. `lines` stand under its title; `problem` takes their place."""

    key: str
    title: str
    glyph: str
    lines: tuple[str, ...] = ()
    problem: str = ""
    takes_inputs: bool = False
    result: bool = False  # what the whole tree makes


class Node(QGraphicsItem):
    """A model, or a merge. Inputs come in at its leading side, what it makes goes out at the other."""

    def __init__(self, face: NodeFace, *, mirrored: bool) -> None:
        super().__init__()
        self.face, self._mirrored = face, mirrored
        self.aimed = False  # an edge is being drawn to it
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIsMovable)
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIsSelectable)
        self.setZValue(2)
        self._tell()

    @property
    def key(self) -> str:
        return self.face.key

    def show_face(self, face: NodeFace) -> None:
        if face != self.face:
            self.face = face
            self._tell()
            self.update()

    def _tell(self) -> None:
        said = [self.face.title, *self.face.lines, self.face.problem]
        self.setToolTip("\n".join(line for line in said if line))

    def aim(self, aimed: bool) -> None:
        if aimed != self.aimed:
            self.aimed = aimed
            self.update()

    def entry(self) -> QPointF:
        return self.mapToScene(QPointF(WIDTH if self._mirrored else 0.0, HEIGHT / 2))

    def exit(self) -> QPointF:
        return self.mapToScene(QPointF(0.0 if self._mirrored else WIDTH, HEIGHT / 2))

    def boundingRect(self) -> QRectF:  # noqa: N802
        return QRectF(-PORT - 2, -3, WIDTH + 2 * PORT + 4, HEIGHT + 6)

    def shape(self) -> QPainterPath:
        path = QPainterPath()
        path.addRect(QRectF(0, 0, WIDTH, HEIGHT))
        return path

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        chosen = self.isSelected() or self.aimed
        line = "accent" if chosen else "error" if self.face.problem else "field_line"
        painter.setPen(QPen(theme.colour(line), 2.0 if chosen else 1.0))
        painter.setBrush(theme.colour("selected" if self.aimed else "surface"))
        painter.drawRoundedRect(QRectF(0, 0, WIDTH, HEIGHT), theme.RADIUS, theme.RADIUS)
        self._paint_text(painter)
        painter.setPen(QPen(theme.colour("surface"), 1.5))
        painter.setBrush(theme.colour("accent" if chosen else "field_line"))
        ends = [self.mapFromScene(self.exit())] + ([self.mapFromScene(self.entry())] if self.face.takes_inputs else [])
        for end in ends:
            painter.drawEllipse(end, PORT, PORT)

    def _paint_text(self, painter: QPainter) -> None:
        size = QSizeF(18, 18)
        x = WIDTH - MARGIN - size.width() if self._mirrored else MARGIN
        colour = "accent" if self.face.result else "muted"
        icon(self.face.glyph, colour).paint(painter, QRectF(QPointF(x, 11), size).toRect())
        bold, small = QFont(painter.font()), QFont(painter.font())
        bold.setPixelSize(theme.BODY)
        bold.setWeight(QFont.Weight.DemiBold)
        small.setPixelSize(theme.SMALL)
        head = QRectF(MARGIN + size.width() + 8, 9, WIDTH - 2 * MARGIN - size.width() - 8, 22)
        if self._mirrored:
            head.moveLeft(MARGIN)
        self._line(painter, bold, "ink", head, self.face.title)
        if self.face.problem:
            room = QRectF(MARGIN + 20, 36, WIDTH - 2 * MARGIN - 20, HEIGHT - 42)
            sign = QRectF(MARGIN, 37, 16, 16)
            if self._mirrored:
                room.moveLeft(MARGIN)
                sign.moveLeft(WIDTH - MARGIN - 16)
            icon("warning", "error").paint(painter, sign.toRect())
            self._words(painter, small, "error", room, self.face.problem)
            return
        for number, text in enumerate(self.face.lines):
            room = QRectF(MARGIN, 35 + 20 * number, WIDTH - 2 * MARGIN, 20)
            self._line(painter, theme.tabular(small), "muted", room, text)

    def _side(self) -> Qt.AlignmentFlag:
        side = Qt.AlignmentFlag.AlignRight if self._mirrored else Qt.AlignmentFlag.AlignLeft
        return side | Qt.AlignmentFlag.AlignAbsolute

    def _line(self, painter: QPainter, font: QFont, colour: str, room: QRectF, text: str) -> None:
        painter.setFont(font)
        painter.setPen(theme.colour(colour))
        shown = QFontMetricsF(font).elidedText(text, Qt.TextElideMode.ElideMiddle, room.width())
        painter.drawText(room, int(self._side() | Qt.AlignmentFlag.AlignVCenter), shown)

    def _words(self, painter: QPainter, font: QFont, colour: str, room: QRectF, text: str) -> None:
        painter.setFont(font)
        painter.setPen(theme.colour(colour))
        shown = broken(text, QFontMetricsF(font), room.width(), 2)
        painter.drawText(room, int(self._side() | Qt.AlignmentFlag.AlignTop), shown)


class EdgeItem(QGraphicsPathItem):
    """From what goes in to the merge; a reason against it stands on it in words."""

    def __init__(self, source: Node, target: Node) -> None:
        super().__init__()
        self.source, self.target = source, target
        self.reason, self.base = "", False
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemIsSelectable)
        self.setZValue(1)

    def show_reasons(self, reasons: tuple[str, ...], *, base: bool) -> None:
        self.prepareGeometryChange()
        self.reason, self.base = (reasons[0] if reasons else ""), base
        self.setToolTip("\n".join(reasons))
        self.setZValue(3 if reasons else 1)
        self.update()

    def follow(self) -> None:
        """To where its nodes are now."""
        self.setPath(curve(self.source.exit(), self.target.entry()))

    def shape(self) -> QPainterPath:
        stroker = QPainterPathStroker()
        stroker.setWidth(14)
        path = stroker.createStroke(self.path())
        if self.reason:
            path.addRect(self._label())
        return path

    def boundingRect(self) -> QRectF:  # noqa: N802
        rect = self.path().boundingRect().adjusted(-8, -8, 8, 8)
        return rect.united(self._label()) if self.reason or self.base else rect

    def _label(self) -> QRectF:
        middle = self.path().pointAtPercent(0.5)
        width, height = (LABEL_WIDTH, 64.0) if self.reason else (44.0, 20.0)
        return QRectF(middle.x() - width / 2, middle.y() - height / 2, width, height)

    def paint(self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colour = theme.colour("accent" if self.isSelected() else "error" if self.reason else "field_line")
        dash = Qt.PenStyle.DashLine if self.reason else Qt.PenStyle.SolidLine
        painter.setPen(QPen(colour, 2.0, dash))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawPath(self.path())
        if not self.reason and not self.base:
            return
        small = QFont(painter.font())
        small.setPixelSize(theme.SMALL)
        painter.setFont(small)
        label = self._label()
        painter.setPen(QPen(theme.colour("error" if self.reason else "line"), 1.0))
        painter.setBrush(theme.colour("surface"))
        painter.drawRoundedRect(label, theme.RADIUS, theme.RADIUS)
        painter.setPen(theme.colour("error" if self.reason else "muted"))
        if not self.reason:
            painter.drawText(label, int(Qt.AlignmentFlag.AlignCenter), QCoreApplication.translate("merge", "base"))
            return
        icon("error", "error").paint(painter, QRectF(label.left() + 6, label.center().y() - 8, 16, 16).toRect())
        room = label.adjusted(25, 4, -3, -4)
        shown = broken(self.reason, QFontMetricsF(small), room.width(), LABEL_LINES)
        painter.drawText(room, int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft), shown)


def curve(start: QPointF, end: QPointF) -> QPainterPath:
    """An S from one port to another."""
    path = QPainterPath(start)
    away = max(40.0, abs(end.x() - start.x()) / 2) * (1 if end.x() >= start.x() else -1)
    path.cubicTo(QPointF(start.x() + away, start.y()), QPointF(end.x() - away, end.y()), end)
    return path


def broken(text: str, metrics: QFontMetricsF, width: float, most: int) -> str:
    """The text broken at spaces into so many lines at most, the last shortened where it does not fit."""
    said, lines = text.split(), list[str]()
    while said and len(lines) < most - 1:
        line = said.pop(0)
        while said and metrics.horizontalAdvance(f"{line} {said[0]}") <= width:
            line = f"{line} {said.pop(0)}"
        lines.append(metrics.elidedText(line, Qt.TextElideMode.ElideMiddle, width))
    if said:
        lines.append(metrics.elidedText(" ".join(said), Qt.TextElideMode.ElideRight, width))
    return "\n".join(lines)
