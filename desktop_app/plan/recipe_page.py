"""A page that makes a run: a form that is a recipe, thought over while somebody types; recipe files; and one button that starts it.

What the Plan and the Tune page share. A change makes a new draft; it is thought over off the window's thread, and until the answer
comes old numbers stand dimmed. Where the button is pressed meanwhile, the run starts as soon as the answer is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

from PySide6.QtCore import QTimer
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import (
    QFileDialog,
    QGraphicsOpacityEffect,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from core import runs
from core.errors import Trouble
from core.recipe import Problem, Recipe
from core.settle import read_beside
from desktop_app import theme
from desktop_app.context import Context
from desktop_app.forms.field import button
from desktop_app.forms.parts import paths_of, words
from desktop_app.icons import icon
from desktop_app.page import Page
from desktop_app.plan.columns import NARROW, Columns
from desktop_app.plan.planning import problems_of
from desktop_app.plan.switch import KindSwitch
from desktop_app.work import Latest, in_background


class RecipeForm(Protocol):
    """What a page needs of its form: fields by their names in the recipe, in the order of the page."""

    def fields(self) -> Mapping[str, QWidget]: ...
    def unread(self) -> dict[str, str]: ...
    def show_problems(self, problems: list[Problem]) -> list[Problem]: ...
    def go_to(self, name: str) -> QWidget | None: ...


class RecipePage(Page):
    """`form` is the page's own, and so is the draft, a frozen value; `first_field` is where the eye goes if nothing else is wrong."""

    recipe_kind: ClassVar[type[Recipe]]
    first_field: ClassVar[str]
    form: RecipeForm

    def __init__(self, context: Context, *, pause_ms: int, dim_after_ms: int) -> None:
        super().__init__(context)
        self._draft: Any = None
        self._problems: tuple[Problem, ...] = ()
        self._fresh = True  # nobody has opened the page yet
        self._starting = False
        self._pressed: Any = None  # the draft that was asked to start as soon as it is thought over
        self._latest = Latest(self)
        self._dims: list[QGraphicsOpacityEffect] = []
        self._pause, self._dimming = self.timer(pause_ms, self._think), self.timer(dim_after_ms, self._dim_old_numbers)
        self.setAcceptDrops(True)

    def timer(self, delay_ms: int, then: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setSingleShot(True)
        timer.setInterval(delay_ms)
        timer.timeout.connect(then)
        return timer

    # --- what a page says by itself -----------------------------------------------------------------------------------

    def _think(self) -> None:
        """Think the draft over, now."""
        raise NotImplementedError

    def _settled(self) -> bool:
        """The form says what was thought over last."""
        raise NotImplementedError

    def _what_will_happen(self) -> tuple[str, str]:
        """The words of the button, and its icon."""
        raise NotImplementedError

    def _why_not_start(self) -> str:
        raise NotImplementedError

    def _thinking_words(self) -> str:
        raise NotImplementedError

    def _starter(self) -> Callable[[], str] | None:
        """What starts the run and returns its id; None where nothing can start."""
        raise NotImplementedError

    def _recipe_to_save(self) -> Callable[[], Recipe] | None:
        """What makes the complete recipe, perhaps slowly; None, once that is said, where the form does not say one."""
        raise NotImplementedError

    def take_recipe(self, recipe: Any) -> None:
        """Fill the whole form with a recipe."""
        raise NotImplementedError

    def take_dropped(self, paths: list[Path]) -> None:
        raise NotImplementedError

    # --- how it is built ----------------------------------------------------------------------------------------------

    def _make_frame(self, title: str, start: str, glyph: str, *more: QPushButton) -> None:
        """Header, notice and the two columns; `more` are buttons beside the one that starts."""
        self.title, self.status = QLabel(title), QLabel()
        theme.set_role(self.title, "head")
        theme.set_role(self.status, "muted")
        self.switch = KindSwitch(self.context, self.name)
        self.open_recipe, self.save_recipe = button("", "open", "quiet"), button("", "save", "quiet")
        self._recipe_words = ((self.open_recipe, self.tr("Open recipe…")), (self.save_recipe, self.tr("Save recipe…")))
        for each, said in self._recipe_words:
            each.setAccessibleName(said)
            each.setToolTip(said)
        self.start = button(start, glyph, "primary")
        self.notice, self.columns = words("error"), Columns()
        header = QHBoxLayout()
        header.setSpacing(theme.SPACE)
        for widget in (self.title, self.switch, self.status):
            header.addWidget(widget)
            if widget is not self.status:
                header.addSpacing(theme.SPACE)
        header.addStretch(1)
        for each in (self.open_recipe, self.save_recipe, *more, self.start):
            header.addWidget(each)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(header)
        layout.addWidget(self.notice)
        layout.addWidget(self.columns, 1)
        self.start.clicked.connect(self.press)
        self.open_recipe.clicked.connect(self.ask_recipe)
        self.save_recipe.clicked.connect(self.ask_where_to_save)

    def _fill_columns(self) -> tuple[QVBoxLayout, QVBoxLayout]:
        """The layouts of the leading column and of the one beside it."""
        leading, beside = QVBoxLayout(self.columns.leading), QVBoxLayout(self.columns.beside)
        for layout in (leading, beside):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(2 * theme.SPACE)
        return leading, beside

    def _let_dim(self, widget: QWidget, opacity: float = 0.45) -> None:
        """Have it dimmed while what it says is old."""
        dim = QGraphicsOpacityEffect(widget)
        dim.setOpacity(opacity)
        dim.setEnabled(False)
        widget.setGraphicsEffect(dim)
        self._dims.append(dim)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Where there is little room, the quiet buttons are their icons alone."""
        super().resizeEvent(event)
        for each, said in self._recipe_words:
            each.setText("" if self.width() < NARROW else said)

    # --- what comes from outside --------------------------------------------------------------------------------------

    def left(self) -> None:
        self._forget_press()

    def ask_model(self) -> None:
        name = QFileDialog.getExistingDirectory(self, self.tr("Open a model folder"))
        if name:
            self.take_dropped([Path(name)])

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802
        if paths := paths_of(event.mimeData()):
            event.acceptProposedAction()
            self.take_dropped(paths)

    # --- old numbers --------------------------------------------------------------------------------------------------

    def _dim_soon(self) -> None:
        if not self._dimming.isActive() and not self._dimmed():
            self._dimming.start()

    def _dimmed(self) -> bool:
        return any(dim.isEnabled() for dim in self._dims)

    def _dim_old_numbers(self) -> None:
        for dim in self._dims:
            dim.setEnabled(True)
        self.status.setText(self._thinking_words())
        self._show_button()

    def _undim(self) -> None:
        self._dimming.stop()
        for dim in self._dims:
            dim.setEnabled(False)
        self.status.clear()

    def _think_failed(self, trouble: Trouble) -> None:
        self._pressed = None
        self._undim()
        self._problems = (Problem(field="", text=str(trouble)),)
        self._show_problems()

    # --- problems and the button --------------------------------------------------------------------------------------

    def _all_problems(self) -> list[Problem]:
        """What can't be read in the form and what else is in the way, in the order of the page."""
        unread = self.form.unread()
        found = [Problem(field=name, text=text) for name, text in unread.items()]
        found += [problem for problem in self._problems if problem.field not in unread]
        order = {name: place for place, name in enumerate(self.form.fields())}
        return sorted(found, key=lambda problem: order.get(problem.field, len(order)))

    def _show_problems(self) -> None:
        elsewhere = self.form.show_problems(self._all_problems())
        self.notice.setText("\n".join(problem.text for problem in elsewhere))
        self.notice.setVisible(bool(elsewhere))
        self._show_button()

    def _problem_words(self, count: int) -> str:
        return self.tr("Mend 1 problem first") if count == 1 else self.tr("Mend %d problems first") % count

    def _show_button(self) -> None:
        """The one button always says what will happen."""
        text, glyph = self._what_will_happen()
        self.start.setText(text)
        self.start.setIcon(icon(glyph, "on_accent"))
        why_not = self._why_not_start()
        self.start.setEnabled(not why_not)
        self.start.setToolTip(why_not or self.tr("Ctrl+Return"))

    # --- start --------------------------------------------------------------------------------------------------------

    def press(self) -> None:
        """Start the run, or go to the first problem. What was changed just now is thought over first."""
        if self._why_not_start():
            return
        if not self._settled():
            self._pressed = self._draft
            self._show_button()
            self._think()
            return
        self._go_on()

    def _forget_press(self) -> None:
        """What was asked to start is not what the form says any more, or nobody looks at it."""
        if self._pressed is not None:
            self._pressed = None
            self._show_button()

    def _go_on(self) -> None:
        problems, start = self._all_problems(), self._starter()
        if problems or start is None:
            self._go_to(problems[0].field if problems else self.first_field)
        else:
            self._make_run(start)

    def _make_run(self, start: Callable[[], str]) -> None:
        self._starting = True
        self._show_button()
        in_background(self, start, self._started, self._start_failed)

    def _started(self, run: str) -> None:
        self._starting = False
        self._show_button()
        self.context.live.look()
        self.context.open("runs", run=run)

    def _start_failed(self, trouble: Trouble) -> None:
        self._starting = False
        told = problems_of(trouble)
        if told and all(problem.field for problem in told):
            self._problems = tuple(told)
        self._show_problems()
        self.context.trouble(trouble)

    def _go_to(self, name: str) -> None:
        field = self.form.go_to(name)
        if field is not None:
            self._show_problems()  # a field that was folded away says its own now
            self.columns.show_widget(field)

    # --- recipes ------------------------------------------------------------------------------------------------------

    def ask_recipe(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, self.tr("Open a recipe"), "", self.tr("Recipes (*.json)"))
        if name:
            self._take_recipe_of(lambda: read_beside(Path(name), self.recipe_kind))

    def _take_recipe_of(self, find: Callable[[], Recipe]) -> None:
        in_background(self, find, self.take_recipe, self.context.trouble)

    def ask_where_to_save(self) -> None:
        make = self._recipe_to_save()
        if make is None:
            return
        name, _ = QFileDialog.getSaveFileName(
            self, self.tr("Save the recipe"), "recipe.json", self.tr("Recipes (*.json)")
        )
        if not name:
            return
        done = self.tr("The recipe is in %s.") % name
        in_background(
            self,
            lambda: runs.save_recipe(make(), Path(name)),
            lambda _: self.context.say(done, "good"),
            self.context.trouble,
        )
