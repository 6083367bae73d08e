"""The canvas: nodes are dragged, edges drawn from the dot at a node's end; every one of these can be done by keys, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QDragEnterEvent,
    QDragMoveEvent,
    QDropEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPen,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsPathItem, QGraphicsScene, QGraphicsView, QMenu, QWidget

from core.merge.tree import Edge
from desktop_app import theme
from desktop_app.icons import icon
from desktop_app.merge.draft import Draft, Place
from desktop_app.merge.items import HEIGHT, REACH, WIDTH, EdgeItem, Node, NodeFace, curve

MODEL_MIME = "application/x-stillroom-model"
STEP = 16.0  # px that a key moves a node
LEAST, MOST = 0.4, 2.0  # of the zoom
EDGES = {
    Qt.Key.Key_Left: QPointF(-1, 0),
    Qt.Key.Key_Right: QPointF(1, 0),
    Qt.Key.Key_Up: QPointF(0, -1),
    Qt.Key.Key_Down: QPointF(0, 1),
}


class Canvas(QGraphicsView):
    """Shows a draft and says what was done to it; it never changes one itself."""

    picked = Signal(str)  # a node, or "" for none
    opened = Signal(str)  # Enter or a double click: to its settings
    moved = Signal(object)  # {key: place}
    connected = Signal(str, str)
    disconnected = Signal(str, str)
    removed = Signal(str)
    dropped = Signal(str, object)  # a model's folder, and the place
    merge_wanted = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._nodes: dict[str, Node] = {}
        self._edges: dict[Edge, EdgeItem] = {}
        self._from: Node | None = None  # where an edge is being drawn from
        self._drawn: QGraphicsPathItem | None = None
        self._places: dict[str, Place] = {}
        self._shown = False
        self._telling = True
        self._board = QGraphicsScene(self)
        self.setScene(self._board)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setRenderHint(QPainter.RenderHint.Antialiasing)
        self.setDragMode(QGraphicsView.DragMode.NoDrag)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.AnchorUnderMouse)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.FullViewportUpdate)
        self.setAcceptDrops(True)
        self.setMinimumSize(280, 240)
        self.setAccessibleName(self.tr("Canvas of the merge"))
        self._board.selectionChanged.connect(self._say_picked)
        self._dress()

    # --- what is shown

    def show_draft(
        self,
        draft: Draft,
        faces: Mapping[str, NodeFace],
        reasons: Mapping[Edge, Sequence[str]],
    ) -> None:
        """Bring nodes and edges to what the draft says."""
        self._telling = False
        grown = len(faces) > len(self._nodes)
        for edge in [edge for edge in self._edges if (edge.source, edge.target) not in set(draft.edges())]:
            self._board.removeItem(self._edges.pop(edge))
        for key in [key for key in self._nodes if key not in faces]:
            self._drop_node(key)
        for key, face in faces.items():
            if key not in self._nodes:
                self._nodes[key] = Node(face, mirrored=self._mirrored())
                self._board.addItem(self._nodes[key])
            self._nodes[key].show_face(face)
            if (
                self._board.mouseGrabberItem() is not self._nodes[key]
            ):  # one that is being dragged stays with the pointer
                self._nodes[key].setPos(self._point(draft.places.get(key, (0.0, 0.0))))
        for source, target in draft.edges():
            if source not in self._nodes or target not in self._nodes:
                continue
            edge = Edge(source, target)
            if edge not in self._edges:
                self._edges[edge] = EdgeItem(self._nodes[source], self._nodes[target])
                self._board.addItem(self._edges[edge])
            self._edges[edge].follow()
            self._edges[edge].show_reasons(tuple(reasons.get(edge, ())), base=draft.base(target) == source)
        self._places = dict(draft.places)
        self._room()
        self._telling = True
        seen = self.mapToScene(self.viewport().rect()).boundingRect()
        if not self._shown or (grown and not seen.contains(self._extent())):
            self.show_all()
        self._describe()

    def _drop_node(self, key: str) -> None:
        node = self._nodes.pop(key)
        for edge in [edge for edge in self._edges if key in (edge.source, edge.target)]:
            self._board.removeItem(self._edges.pop(edge))
        self._board.removeItem(node)

    def _room(self) -> None:
        self._board.setSceneRect(self._extent().adjusted(-16, -16, 16, 16))

    def _extent(self) -> QRectF:
        extent = QRectF()
        for node in self._nodes.values():
            extent = extent.united(node.sceneBoundingRect())
        return extent

    def show_all(self) -> None:
        """Zoom so that everything is in sight, no nearer than life."""
        if not self._nodes or not self.isVisible():
            return
        self._shown = True
        extent = self._extent().adjusted(-20, -20, 20, 20)
        scale = min(
            1.0,
            self.viewport().width() / max(1.0, extent.width()),
            self.viewport().height() / max(1.0, extent.height()),
        )
        self.resetTransform()
        self.scale(max(LEAST, scale), max(LEAST, scale))
        self.centerOn(extent.center())

    def pick(self, key: str) -> None:
        """Select a node; nothing for ""."""
        self._telling = False
        self._board.clearSelection()
        if key in self._nodes:
            self._nodes[key].setSelected(True)
            self.ensureVisible(self._nodes[key], 24, 24)
        self._telling = True
        self._say_picked()

    def picked_key(self) -> str:
        chosen = [item.key for item in self._board.selectedItems() if isinstance(item, Node)]
        return chosen[0] if chosen else ""

    def node(self, key: str) -> Node:
        return self._nodes[key]

    def edge(self, source: str, target: str) -> EdgeItem:
        return self._edges[Edge(source, target)]

    def _say_picked(self) -> None:
        if self._telling:
            self._describe()
            self.picked.emit(self.picked_key())

    def _describe(self) -> None:
        picked = self.picked_key()
        if picked:
            self.setAccessibleDescription(self._nodes[picked].toolTip().replace("\n", ", "))
        else:
            text = self.tr("%d nodes, %d connections. Arrow keys move from node to node, Enter opens its settings.")
            self.setAccessibleDescription(text % (len(self._nodes), len(self._edges)))

    # --- places, mirrored where text runs from the right

    def _mirrored(self) -> bool:
        return self.layoutDirection() is Qt.LayoutDirection.RightToLeft

    def _point(self, place: Place) -> QPointF:
        return QPointF(-place[0] - WIDTH, place[1]) if self._mirrored() else QPointF(*place)

    def _place(self, point: QPointF) -> Place:
        return (-point.x() - WIDTH, point.y()) if self._mirrored() else (point.x(), point.y())

    # --- the mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        where = self.mapToScene(event.position().toPoint())
        if event.button() is Qt.MouseButton.LeftButton:
            for node in self._nodes.values():
                if _near(node.exit(), where):
                    self._begin_edge(node, where)
                    return
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        where = self.mapToScene(event.position().toPoint())
        if self._from is not None and self._drawn is not None:
            self._drawn.setPath(curve(self._from.exit(), where))
            aimed = self._aimed(where)
            for node in self._nodes.values():
                node.aim(node is aimed)
            return
        super().mouseMoveEvent(event)
        for edge in self._edges.values():
            if edge.source.isSelected() or edge.target.isSelected():
                edge.follow()
        over = any(_near(node.exit(), where) for node in self._nodes.values())
        self.viewport().setCursor(Qt.CursorShape.CrossCursor if over else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        if self._from is not None:
            source, target = self._from, self._aimed(self.mapToScene(event.position().toPoint()))
            self._end_edge()
            if target is not None:
                self.connected.emit(source.key, target.key)
            return
        super().mouseReleaseEvent(event)
        self._say_moved()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        super().mouseDoubleClickEvent(event)
        if key := self.picked_key():
            self.opened.emit(key)

    def _begin_edge(self, node: Node, where: QPointF) -> None:
        self._from = node
        self._drawn = QGraphicsPathItem(curve(node.exit(), where))
        self._drawn.setPen(QPen(theme.colour("accent"), 2.0, Qt.PenStyle.DashLine))
        self._drawn.setZValue(4)
        self._board.addItem(self._drawn)

    def _end_edge(self) -> None:
        self._from = None
        if self._drawn is not None:
            self._board.removeItem(self._drawn)
            self._drawn = None
        for node in self._nodes.values():
            node.aim(aimed=False)

    def _aimed(self, where: QPointF) -> Node | None:
        """The merge under the pointer, the reach around its dot counted."""
        for node in self._nodes.values():
            inside = node.sceneBoundingRect().adjusted(-REACH, 0, REACH, 0).contains(where)
            if node is not self._from and node.face.takes_inputs and inside:
                return node
        return None

    def _say_moved(self) -> None:
        moved = {}
        for key, node in self._nodes.items():
            place = self._place(node.pos())
            if key in self._places and place != self._places[key]:
                moved[key] = place
        if moved:
            self.moved.emit(moved)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802
        """Ctrl and the wheel zoom; the wheel alone scrolls."""
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.zoom(1.15 if event.angleDelta().y() > 0 else 1 / 1.15)
        else:
            super().wheelEvent(event)

    def zoom(self, factor: float) -> None:
        wanted = min(MOST, max(LEAST, self.transform().m11() * factor))
        self.scale(wanted / self.transform().m11(), wanted / self.transform().m11())

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:  # noqa: N802
        item = self.itemAt(event.pos())
        if isinstance(item, Node | EdgeItem):
            self._board.clearSelection()
            item.setSelected(True)
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        if isinstance(item, Node):
            menu.addAction(icon("settings"), self.tr("Settings"), lambda: self.opened.emit(item.key))
            menu.addAction(icon("remove"), self.tr("Remove from the canvas"), self.remove_picked)
        elif isinstance(item, EdgeItem):
            menu.addAction(icon("remove"), self.tr("Disconnect"), self.remove_picked)
        else:
            menu.addAction(icon("add"), self.tr("Add a merge"), self.merge_wanted.emit)
        menu.addSeparator()
        menu.addAction(icon("zoom_reset"), self.tr("Show everything"), self.show_all)
        menu.popup(event.globalPos())

    # --- keys

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        key, picked = event.key(), self.picked_key()
        if key in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self.remove_picked()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and picked:
            self.opened.emit(picked)
        elif key == Qt.Key.Key_Escape:
            self._end_edge()
            self._board.clearSelection()
        elif key in EDGES:
            way = EDGES[Qt.Key(key)]
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                self._move_picked(way)
            else:
                self._pick_towards(way)
        elif event.text() in ("+", "-"):
            self.zoom(1.15 if event.text() == "+" else 1 / 1.15)
        elif event.text() == "0":
            self.show_all()
        else:
            super().keyPressEvent(event)

    def remove_picked(self) -> None:
        """Take away what is selected, an edge or a node."""
        for item in self._board.selectedItems():
            if isinstance(item, EdgeItem):
                self.disconnected.emit(item.source.key, item.target.key)
                return
            if isinstance(item, Node):
                self.removed.emit(item.key)
                return

    def _move_picked(self, way: QPointF) -> None:
        if key := self.picked_key():
            node = self._nodes[key]
            node.setPos(node.pos() + way * STEP)
            self._say_moved()

    def _pick_towards(self, way: QPointF) -> None:
        """The nearest node in a direction; the first one if none is picked."""
        picked = self.picked_key()
        if not picked:
            self.pick(next(iter(self._nodes), ""))
            return
        here, best = self._nodes[picked].pos(), ("", float("inf"))
        for key, node in self._nodes.items():
            away = node.pos() - here
            along = away.x() * way.x() + away.y() * way.y()
            aside = abs(away.x() * way.y()) + abs(away.y() * way.x())
            if along > 1 and along + 2 * aside < best[1]:
                best = (key, along + 2 * aside)
        if best[0]:
            self.pick(best[0])

    # --- what is dropped

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasFormat(MODEL_MIME):
            event.acceptProposedAction()
        else:
            event.ignore()

    def dragMoveEvent(self, event: QDragMoveEvent) -> None:  # noqa: N802
        if event.mimeData().hasFormat(MODEL_MIME):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        if event.mimeData().hasFormat(MODEL_MIME):
            folder = bytes(event.mimeData().data(MODEL_MIME).data()).decode()
            where = self.mapToScene(event.position().toPoint()) - QPointF(WIDTH / 2, HEIGHT / 2)
            event.acceptProposedAction()
            self.dropped.emit(folder, self._place(where))

    # --- the look

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        super().resizeEvent(event)
        if not self._shown:
            QTimer.singleShot(0, self, self.show_all)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802
        super().changeEvent(event)
        if event.type() == QEvent.Type.PaletteChange and hasattr(self, "_board"):
            self._dress()

    def _dress(self) -> None:
        self._board.setBackgroundBrush(theme.colour("ground"))
        self.viewport().update()

    def drawForeground(self, painter: QPainter, rect: QRectF | QRect) -> None:  # noqa: N802
        """A frame around the canvas, in the accent while it has the keys."""
        painter.save()
        painter.resetTransform()
        focus = self.hasFocus()
        painter.setPen(QPen(theme.colour("accent" if focus else "line"), 2.0 if focus else 1.0))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        inset = 1.0 if focus else 0.5
        frame = QRectF(self.viewport().rect()).adjusted(inset, inset, -inset, -inset)
        painter.drawRoundedRect(frame, theme.RADIUS, theme.RADIUS)
        painter.restore()

    def at(self, key: str) -> QPoint:
        """The middle of a node, on the viewport."""
        node = self._nodes[key]
        return self.mapFromScene(node.pos() + QPointF(WIDTH / 2, HEIGHT / 2))


def _near(port: QPointF, where: QPointF) -> bool:
    away = port - where
    return away.x() ** 2 + away.y() ** 2 <= REACH**2
