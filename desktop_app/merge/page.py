"""The Merge page: models and merges on a canvas, the picked one's settings beside it; the recipe as text; a sweep over parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QKeyEvent, QKeySequence, QUndoCommand, QUndoStack
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSplitter,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from core.errors import BadRecipe, Trouble
from core.files import write_text
from core.merge.contents import Contents
from core.merge.document import ModelRef
from core.merge.run import MergeRecipe
from core.numbers import bytes_text, count_text
from core.recipe import Recipe
from core.sweep import SweepRecipe
from desktop_app import theme
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.data.surveys import start
from desktop_app.forms import Segmented
from desktop_app.forms.field import button
from desktop_app.forms.parts import paths_of
from desktop_app.forms.parts import words as wrapped
from desktop_app.icons import icon
from desktop_app.live import Picture
from desktop_app.merge.canvas import MODEL_MIME, Canvas
from desktop_app.merge.draft import Draft, Edit, Place, short
from desktop_app.merge.items import NodeFace
from desktop_app.merge.job_pane import JobPane
from desktop_app.merge.judging import Judgement, called, judge
from desktop_app.merge.model_list import ModelList
from desktop_app.merge.node_pane import NodePane, made_lines
from desktop_app.merge.recipe_pane import RecipePane
from desktop_app.merge.starting import as_input, fitting_pair
from desktop_app.merge.sweep_chart import swept_of
from desktop_app.merge.sweep_pane import SweepPane
from desktop_app.page import Page
from desktop_app.runs.empty import Empty
from desktop_app.sign import Sign
from desktop_app.work import Latest, in_background

LAYOUT = "merge/splitter"
YAML = (".yml", ".yaml")
PANE_WIDTH = 356  # px


class Change(QUndoCommand):
    """From one draft to another. Changes of one group in a row are one."""

    def __init__(self, apply: Callable[[Draft], None], before: Draft, after: Draft, edit: Edit) -> None:
        super().__init__(edit.words)
        self._apply, self._before, self.after, self._group = apply, before, after, edit.group

    def id(self) -> int:
        return hash(self._group) & 0x3FFFFFFF if self._group else -1

    def mergeWith(self, other: QUndoCommand) -> bool:  # noqa: N802
        if not isinstance(other, Change) or other._group != self._group:
            return False
        self.after = other.after
        return True

    def redo(self) -> None:
        self._apply(self.after)

    def undo(self) -> None:
        self._apply(self._before)


class MergePage(Page):
    """`opened(models=paths)` puts models on the canvas, `opened(file=path)` opens a recipe in mergekit's YAML, `opened(recipe=…)`
    a run's.
    """

    name = "merge"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.setAcceptDrops(True)
        self.draft = Draft(folder=str(context.home.root))
        self.judgement: Judgement | None = None
        self._looked: dict[ModelRef, Contents] = {}
        self._judging, self._reading = Latest(self), Latest(self)
        self._starting = False
        self._trouble = ""
        self._sweep = ""  # the run that the sweep's chart shows
        self._planned: int | None = None  # the points of its grid
        self.stack = QUndoStack(self)
        self.areas = Segmented([("tree", self.tr("Tree")), ("recipe", self.tr("Recipe")), ("sweep", self.tr("Sweep"))])
        self.undo = _tool("undo", self.tr("Undo on the canvas"))
        self.redo = _tool("redo", self.tr("Redo on the canvas"))
        self.open_button = button(self.tr("Open…"), "open")
        self.save_button = button(self.tr("Save…"), "save")
        self.start = button(self.tr("Merge"), "merge", "primary")
        self.sign, self.state = Sign(), wrapped("muted")
        self.models = ModelList()
        self.canvas = Canvas()
        self.empty = Empty()
        self.pane, self.job = NodePane(), JobPane()
        self.recipe, self.sweep = RecipePane(), SweepPane()
        self._lay_out()
        self._connect()
        self.make_shortcuts()
        self._show()

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        title = QLabel(self.tr("Merge"))
        theme.set_role(title, "head")
        self.areas.setAccessibleName(self.tr("Tree, recipe or sweep"))
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(title)
        head.addSpacing(theme.SPACE)
        head.addWidget(self.areas)
        head.addStretch(1)
        tools: tuple[QWidget, ...] = (self.undo, self.redo, self.open_button, self.save_button)
        for tool in tools:
            head.addWidget(tool)
        said = QHBoxLayout()
        said.setSpacing(theme.SPACE)
        said.addWidget(self.sign, alignment=Qt.AlignmentFlag.AlignVCenter)
        said.addWidget(self.state, 1)
        said.addWidget(self.start)
        self.area = QStackedWidget()
        areas: tuple[QWidget, ...] = (self._tree(), self.recipe, self.sweep)
        for area in areas:
            self.area.addWidget(area)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(12)
        layout.addLayout(head)
        layout.addLayout(said)
        layout.addWidget(self.area, 1)

    def _tree(self) -> QWidget:
        """The list, the canvas in the middle, the settings."""
        self.middle = QStackedWidget()
        self.middle.addWidget(self.empty)
        self.middle.addWidget(self.canvas)
        self.empty.say(
            "merge",
            self.tr("Nothing to merge yet."),
            self.tr(
                "Models stand here with lines to the merge that they go into; a merge can go into another one. "
                "Each says which shape and size come out. Drag models from the list, or begin with two that fit."
            ),
            [("two", self.tr("Merge two models")), ("open", self.tr("Open a recipe…"))],
        )
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.setContentsMargins(0, 0, theme.SPACE, theme.SPACE)
        column.setSpacing(2 * theme.SPACE)
        column.addWidget(self.pane)
        column.addWidget(self.job)
        column.addStretch(1)
        self.side = QScrollArea()
        self.side.setFrameShape(QFrame.Shape.NoFrame)
        self.side.setWidgetResizable(True)
        self.side.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.side.setWidget(inside)
        self.side.setMinimumWidth(300)
        self.side.setAccessibleName(self.tr("Settings of the node"))
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(2 * theme.SPACE)
        for number, one in enumerate((self.models, self.middle, self.side)):
            self.splitter.addWidget(one)
            self.splitter.setStretchFactor(number, number % 2)
        self.splitter.setSizes([216, 600, PANE_WIDTH])
        return self.splitter

    def _connect(self) -> None:
        context, canvas = self.context, self.canvas
        self.areas.chosen.connect(self.show_area)
        self.undo.clicked.connect(self.stack.undo)
        self.redo.clicked.connect(self.stack.redo)
        self.open_button.clicked.connect(self.ask_file)
        self.save_button.clicked.connect(self.ask_where)
        self.start.clicked.connect(self.begin)
        self.empty.acted.connect(lambda name: self.merge_two() if name == "two" else self.ask_file())
        self.models.wanted.connect(self.add_model)
        self.models.merge_wanted.connect(self.add_a_merge)
        self.models.look_wanted.connect(context.shelf.refresh)
        canvas.picked.connect(lambda _: self._show_pane())
        canvas.opened.connect(lambda _: self.pane.focus())
        canvas.moved.connect(self._move)
        canvas.connected.connect(self._connect_nodes)
        canvas.disconnected.connect(
            lambda source, target: self.do(
                Edit(self.tr("disconnecting %s") % short(source), lambda draft: draft.disconnected(source, target))
            )
        )
        canvas.removed.connect(
            lambda key: self.do(Edit(self.tr("removing %s") % short(key), lambda draft: draft.without(key)))
        )
        canvas.dropped.connect(lambda folder, place: self.add_model(Path(folder), place))
        canvas.merge_wanted.connect(self.add_a_merge)
        self.pane.edited.connect(self.do)
        self.job.changed.connect(self._judge)
        self.recipe.wanted.connect(self.apply_text)
        self.sweep.changed.connect(self._tell)
        self.sweep.run_wanted.connect(lambda: context.open("runs", run=self._sweep))
        self.sweep.view.copied.connect(lambda: context.say(self.tr("The figures are on the clipboard.")))
        self.stack.indexChanged.connect(self._index_changed)
        self.splitter.splitterMoved.connect(lambda *_: context.settings.set_layout(LAYOUT, self.splitter.saveState()))
        context.shelf.changed.connect(self._show_shelf)
        context.shelf.troubled.connect(self._shelf_trouble)
        context.live.listed.connect(lambda _: self._look_at_sweeps())
        context.live.advanced.connect(self._advance)

    # --- what the window asks -----------------------------------------------------------------------------------------

    def opened(self, **what: Any) -> None:
        if not (state := self.context.settings.layout(LAYOUT)).isEmpty():
            self.splitter.restoreState(state)
        if not self.context.shelf.loaded:
            self.context.shelf.refresh()
        self._looked = {}  # files may have changed meanwhile
        self._show_shelf()
        for path in what.get("models") or ():
            self.add_model(Path(path))
        if isinstance(recipe := what.get("recipe"), MergeRecipe | SweepRecipe):
            self.open_recipe(recipe)
        if what.get("file"):
            self.open_file(Path(what["file"]))
        self._judge()
        self._look_at_sweeps()
        (self.models.list if self.draft.empty else self.canvas).setFocus()

    def left(self) -> None:
        self.context.live.watch(self, ())

    def commands(self) -> list[Command]:
        return [
            Command(
                "merge.start", self.tr("Start the merge or sweep"), self.begin, "merge", "Ctrl+Return", self.why_not
            ),
            Command("merge.add", self.tr("Add a merge to the canvas"), self.add_a_merge, "add"),
            Command("merge.open", self.tr("Open a merge recipe"), self.ask_file, "open", "Ctrl+O"),
            Command(
                "merge.save", self.tr("Save the merge recipe"), self.ask_where, "save", "Ctrl+S", self._nothing_to_save
            ),
            Command("merge.undo", self.tr("Undo on the canvas"), self.stack.undo, "undo", "", self._nothing_to_undo),
            Command("merge.redo", self.tr("Redo on the canvas"), self.stack.redo, "redo", "", self._nothing_to_redo),
            Command("merge.arrange", self.tr("Arrange the canvas"), self.arrange, "zoom_reset"),
        ]

    def _nothing_to_undo(self) -> str:
        return "" if self.stack.canUndo() else self.tr("There is nothing to undo.")

    def _nothing_to_redo(self) -> str:
        return "" if self.stack.canRedo() else self.tr("There is nothing to redo.")

    def _nothing_to_save(self) -> str:
        return "" if self.draft.merges else self.tr("There is no merge to save yet.")

    def event(self, event: QEvent) -> bool:
        """The keys of undo and redo are the canvas's while there is something to take back here."""
        if event.type() in (QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress) and isinstance(event, QKeyEvent):
            for keys, able, act in (
                (QKeySequence.StandardKey.Undo, self.stack.canUndo(), self.stack.undo),
                (QKeySequence.StandardKey.Redo, self.stack.canRedo(), self.stack.redo),
            ):
                if event.matches(keys) and able:
                    event.accept()
                    if event.type() == QEvent.Type.KeyPress:
                        act()
                    return True
        return super().event(event)

    # --- the draft ----------------------------------------------------------------------------------------------------

    def do(self, edit: Edit) -> None:
        """Change the draft so that it can be undone; what can't be done is said."""
        try:
            after = edit.change(self.draft)
        except BadRecipe as trouble:
            self.context.say(str(trouble), "warning")
            self._show_pane()
            return
        if after != self.draft:
            self.stack.push(Change(self._take, self.draft, after, edit))

    def _take(self, draft: Draft) -> None:
        self.draft = draft
        self._show()
        self._judge()

    def add_model(self, path: Path, place: Place | None = None) -> None:
        """Put a model on the canvas; it goes into the merge that is picked, if one is. An adapter stands on its base."""
        entry = self.context.shelf.entry(path)
        name = str(path) if entry is None else as_input(entry, self.context.shelf.entries)
        if name is None:
            assert entry is not None
            base = entry.info.base_model if entry.info else None
            text = self.tr(
                "%s is an adapter, and its base %s is not at hand. Add the base's folder on the Models page."
            )
            self.context.say(text % (entry.name, base or self.tr("(not named)")), "warning")
            return
        if name in self.draft.models:
            self.canvas.pick(name)
            return
        target = self.canvas.picked_key()

        def change(draft: Draft) -> Draft:
            draft = draft.with_model(name)
            if target in draft.merges and draft.in_rows(target):
                draft = draft.connected(name, target)
            return draft if place is None else draft.moved({name: place})

        self.do(Edit(self.tr("adding %s") % short(name), change))

    def add_a_merge(self) -> None:
        made = []

        def change(draft: Draft) -> Draft:
            after, key = draft.with_merge()
            made.append(key)
            return after

        self.do(Edit(self.tr("adding a merge"), change))
        self.areas.choose("tree")
        self.show_area("tree")
        self.canvas.pick(made[-1])

    def merge_two(self) -> None:
        """Two models that fit, in a mean; without any, a merge that waits for them."""
        pair = [str(path) for path in fitting_pair(self.context.shelf.entries, self.models.picked())]
        made = []

        def change(draft: Draft) -> Draft:
            draft, key = draft.with_merge()
            made.append(key)
            for name in pair:
                draft = draft.connected(name, key)
            return draft.arranged(anew=True)

        self.do(Edit(self.tr("merging two models"), change))
        if not pair:
            self.context.say(
                self.tr("There are no two models of one shape at hand. Add some on the Models page."), "warning"
            )
        self.canvas.pick(made[-1])
        self.canvas.setFocus()

    def arrange(self) -> None:
        self.do(Edit(self.tr("arranging the canvas"), lambda draft: draft.arranged(anew=True)))
        self.canvas.show_all()

    def _connect_nodes(self, source: str, target: str) -> None:
        self.do(Edit(self.tr("connecting %s") % short(source), lambda draft: draft.connected(source, target)))

    def _move(self, places: object) -> None:
        assert isinstance(places, dict)
        self.do(Edit(self.tr("moving"), lambda draft: draft.moved(places), f"move {sorted(places)}"))

    # --- files and text -----------------------------------------------------------------------------------------------

    def ask_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(
            self, self.tr("Open a recipe"), "", self.tr("Merge recipes (*.yml *.yaml)")
        )
        if name:
            self.open_file(Path(name))

    def open_file(self, file: Path) -> None:
        """Show the tree of a file; its relative paths are read from where it lies."""

        def read() -> Draft:
            try:
                return Draft.read(file.read_text(encoding="utf-8-sig"), str(file.absolute().parent), file.name)
            except UnicodeDecodeError as error:
                raise BadRecipe(f"{file.name} is no text in UTF-8.", "Save it as UTF-8.") from error

        self._reading.ask(
            read, lambda draft: self._replace(draft, self.tr("opening %s") % file.name), self.context.trouble
        )

    def open_recipe(self, recipe: MergeRecipe | SweepRecipe) -> None:
        """Show the tree of a run."""
        said = self.tr("opening the tree of a run")
        where = self.tr("The recipe")
        self._reading.ask(
            lambda: Draft.read(recipe.text, recipe.folder, where),
            lambda draft: self._replace(draft, said),
            self.context.trouble,
        )

    def apply_text(self, text: str) -> None:
        """The text of the recipe becomes the tree; what is wrong with it stands under it."""
        folder = self.draft.folder

        def done(draft: Draft) -> None:
            self._replace(draft, self.tr("applying the text"))
            self.recipe.show_text(self.draft.text())

        self._reading.ask(
            lambda: Draft.read(text, folder, self.tr("The recipe")), done, lambda trouble: self.recipe.say(str(trouble))
        )

    def _replace(self, draft: Draft, said: str) -> None:
        places = {key: place for key, place in self.draft.places.items() if key in draft.nodes()}
        if len(places) == len(draft.nodes()):
            draft = replace(draft, places=places)
        self.do(Edit(said, lambda _: draft))
        if self.areas.value() == "tree":
            self.canvas.show_all()
            self.canvas.setFocus()

    def ask_where(self) -> None:
        if why_not := self._nothing_to_save():
            self.context.say(why_not, "warning")
            return
        name, _ = QFileDialog.getSaveFileName(
            self, self.tr("Save the recipe"), "merge.yml", self.tr("Merge recipes (*.yml *.yaml)")
        )
        if name:
            self.save_to(Path(name))

    def save_to(self, file: Path) -> None:
        """Write the tree as mergekit reads it."""
        draft = self.draft

        def work() -> None:
            write_text(file, draft.beside(file.absolute().parent).text())

        def done(_: None) -> None:
            self.stack.setClean()
            self.context.say(self.tr("The recipe is in %s") % file, "good")

        in_background(self, work, done, self.context.trouble)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        data = event.mimeData()
        if data.hasFormat(MODEL_MIME) or any(path.suffix.lower() in YAML for path in paths_of(data)):
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        """A recipe anywhere on the page; a model where the canvas is still empty."""
        if event.mimeData().hasFormat(MODEL_MIME):
            event.acceptProposedAction()
            self.add_model(Path(bytes(event.mimeData().data(MODEL_MIME).data()).decode()))
            return
        files = [path for path in paths_of(event.mimeData()) if path.suffix.lower() in YAML]
        if files:
            event.acceptProposedAction()
            self.open_file(files[0])

    def _index_changed(self, _: int) -> None:
        self._tell()

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_area(self, area: str) -> None:
        self.area.setCurrentIndex(("tree", "recipe", "sweep").index(area))
        self._look_at_sweeps()
        self._tell()

    def _show(self) -> None:
        """Bring everything to what the draft says."""
        self.middle.setCurrentWidget(self.empty if self.draft.empty else self.canvas)
        self._show_canvas()
        self._show_pane()
        self.recipe.show_text(self.draft.text())
        self.sweep.offer(self.draft)
        self._tell()

    def _show_canvas(self) -> None:
        found = self.judgement or Judgement()
        faces = {key: self._face(key, found) for key in self.draft.nodes()}
        self.canvas.show_draft(self.draft, faces, found.edges)

    def _face(self, key: str, found: Judgement) -> NodeFace:
        made, problem = found.made.get(key), found.problems.get(key, "")
        lines = tuple(made_lines(made)) if made else () if problem else self._waiting_lines(key)
        if key in self.draft.merges:
            takes = self.draft.in_rows(key)
            return NodeFace(key, called(self.draft, key), "merge", lines, problem, takes, key == found.root)
        return NodeFace(key, short(key), "models", lines, problem)

    def _waiting_lines(self, key: str) -> tuple[str, ...]:
        if self.judgement is None or key in self.draft.models:
            return (self.tr("reading…"),)
        return (self.tr("once its inputs fit"),)

    def _show_pane(self) -> None:
        key = self.canvas.picked_key()
        self.pane.show_node(key if key in self.draft.nodes() else "", self.draft, self.judgement or Judgement())
        self.side.setVisible(not self.draft.empty)

    def _judge(self) -> None:
        draft, looked, keep = self.draft, self._looked, self.job.keep.isChecked()
        self._trouble = ""
        self._tell()
        self._judging.ask(lambda: judge(draft, looked, keep=keep), self._judged, self._not_judged)

    def _judged(self, found: Judgement) -> None:
        self.judgement = found
        self._show_canvas()
        self._show_pane()
        self._tell()

    def _not_judged(self, trouble: Trouble) -> None:
        self.judgement, self._trouble = Judgement(), str(trouble)
        self._show_canvas()
        self._tell()

    def _tell(self) -> None:
        """What the merge costs or why it can't start, and what the button does."""
        area, why_not, found = self.areas.value(), self.why_not(), self.judgement
        for one, why in (
            (self.undo, self._nothing_to_undo()),
            (self.redo, self._nothing_to_redo()),
            (self.save_button, self._nothing_to_save()),
        ):
            one.setEnabled(not why)
            one.setToolTip(why)
        self.undo.setToolTip(self.undo.toolTip() or self.tr("Undo %s") % self.stack.undoText())
        self.redo.setToolTip(self.redo.toolTip() or self.tr("Redo %s") % self.stack.redoText())
        self.start.setVisible(not self.draft.empty)
        self.start.setText(self._start_words())
        self.start.setEnabled(not why_not)
        self.start.setToolTip(why_not)
        self.state.setVisible(not self.draft.empty)
        self.sign.setVisible(not self.draft.empty)
        if why_not:
            self.state.setText(why_not)
            waits = found is None or found.cost is not None  # nothing is wrong, something is still to be said
            self.sign.set_icon(icon("info", "muted") if waits else icon("warning", "warning"))
        elif found is not None and found.cost is not None:
            cost = found.cost
            parts = self.tr("Reads %s, writes %s, in %s of memory.") % (
                bytes_text(cost.read_bytes),
                bytes_text(cost.written_bytes),
                bytes_text(cost.memory_bytes),
            )
            each = self.tr(" At each point of the grid.") if area == "sweep" else ""
            self.state.setText(parts + each)
            self.sign.set_icon(icon("good", "good"))

    def _start_words(self) -> str:
        found = self.judgement
        made = found.made.get(found.root) if found is not None and found.root else None
        if self.areas.value() == "sweep":
            try:
                points = self.sweep.points() if self.sweep.along() else 0
            except BadRecipe:
                points = 0
            return self.tr("Sweep %d points") % points if points else self.tr("Sweep")
        return self.tr("Merge into %s") % count_text(made.parameters) if made else self.tr("Merge")

    def why_not(self) -> str:
        """Why it can't start now, or nothing."""
        if self._starting:
            return self.tr("It is being started…")
        if self.recipe.changed:
            return self.tr("The recipe's text was changed. Apply it to the canvas, or discard the changes.")
        if self._trouble:
            return self._trouble
        if self.draft.empty:
            return self.tr("There is nothing to merge yet.")
        if self.judgement is None:
            return self.tr("Working out what comes out…")
        if self.judgement.why_not:
            return self.judgement.why_not
        return self.sweep.why_not() if self.areas.value() == "sweep" else ""

    def _show_shelf(self) -> None:
        self.models.show_models(self.context.shelf.entries, loaded=self.context.shelf.loaded)

    def _shelf_trouble(self, trouble: object) -> None:
        self.models.show_models(self.context.shelf.entries, loaded=True, trouble=str(trouble))

    # --- starting -----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start the merge, or the sweep, as one job."""
        if why_not := self.why_not():
            self.context.say(why_not, "warning")
            return
        home, sweeping = self.context.home, self.areas.value() == "sweep"
        try:
            recipe = self._sweep_recipe() if sweeping else self._merge_recipe()
        except ValueError as error:
            self.context.say(self.tr("The recipe can't be used: %s") % error, "error")
            return
        self._starting = True
        self._tell()
        in_background(
            self, lambda: start(home, recipe), lambda run: self._started(run, sweeping=sweeping), self._not_started
        )

    def _merge_recipe(self) -> Recipe:
        return MergeRecipe(text=self.draft.text(), folder=self.draft.folder, **self.job.fields())

    def _sweep_recipe(self) -> Recipe:
        return SweepRecipe(text=self.draft.text(), folder=self.draft.folder, **self.sweep.fields())

    def _started(self, run: str, *, sweeping: bool) -> None:
        self._starting = False
        self.context.live.look()
        self._tell()
        if not sweeping:
            self.context.open("runs", run=run)
            return
        self._sweep, self._planned = run, self.sweep.points()
        self.context.live.watch(self, [run])
        self._show_sweep()
        self.context.say(self.tr("The sweep has started; its points appear here as they are scored."), "good")

    def _not_started(self, trouble: Trouble) -> None:
        self._starting = False
        self._tell()
        self.context.trouble(trouble)

    # --- sweeps -------------------------------------------------------------------------------------------------------

    def _look_at_sweeps(self) -> None:
        """The chart shows the newest sweep; its journal is read while the chart is on screen."""
        if self.areas.value() != "sweep" or not self.isVisible():
            return
        newest = next((row.id for row in reversed(self.context.live.rows) if row.kind == "sweep"), "")
        if newest and newest > self._sweep:
            self._sweep, self._planned = newest, None
        if self._sweep:
            self.context.live.watch(self, [self._sweep])
        self._show_sweep()

    def _advance(self, run: str, picture: Picture) -> None:
        if run == self._sweep:
            self._show_sweep()

    def _show_sweep(self) -> None:
        self.sweep.show_run.setVisible(bool(self._sweep))
        picture = self.context.live.pictures.get(self._sweep)
        if picture is not None:
            self.sweep.view.show_swept(swept_of(picture.history, self._planned))


def _tool(glyph: str, name: str) -> QToolButton:
    """A button that is only its icon; its name is the tool tip while there is nothing more to say."""
    made = QToolButton()
    made.setIcon(icon(glyph))
    made.setAccessibleName(name)
    theme.set_role(made, "quiet")
    return made
