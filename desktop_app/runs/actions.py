"""What can be done to runs: a table of actions, each with why it can't be done now, and one small function for each.

Whatever touches the disk happens off the window's thread; what came of it is said in the message bar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PySide6.QtCore import QObject, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices, QGuiApplication
from PySide6.QtWidgets import QMessageBox, QWidget

from core import labels, runner, runs, trash
from core.chain import ChainRecipe
from core.chat import MOST_COLUMNS
from core.errors import Trouble
from core.home import Home
from core.recipe import Recipe
from core.run_summary import RunSummary
from core.runs import RunFolder
from core.state import State
from core.trash import Thrown
from desktop_app import theme
from desktop_app.context import Context, Level
from desktop_app.work import in_background

T = TypeVar("T")
Item = TypeVar("Item")
MOST_TOLD = 3  # troubles in one message; the details have them all
EDITED_ON = {"distill": "plan", "tune": "tune", "merge": "merge", "sweep": "merge"}  # the page of a kind of recipe
Rows = Sequence[RunSummary]


@dataclass(frozen=True)
class Action:
    """One thing to do to the chosen runs. `keys` are for show: the table itself hears them."""

    name: str
    text: str
    icon: str
    perform: Callable[[Rows], None]
    why_not: Callable[[Rows], str]
    keys: str = ""


class RunActions(QObject):
    """The actions on runs of one data folder."""

    made = Signal(str)  # a run that an action made or brought back: worth picking
    rename_wanted = Signal(str)
    tags_wanted = Signal(object)  # rows
    launch_wanted = Signal(object, object)  # the row, its recipe
    refused = Signal()  # a name or tags that were shown before they were written, and could not be

    def __init__(self, context: Context, parent: QWidget) -> None:
        super().__init__(parent)
        self.context, self.home, self._window = context, context.home, parent
        self.table = {action.name: action for action in self._make_table()}

    def _make_table(self) -> list[Action]:
        return [
            Action("stop", self.tr("Stop and keep"), "stop", self.stop, self.why_not_stop),
            Action("resume", self.tr("Resume"), "resume", self.resume, self.why_not_resume),
            Action("launch", self.tr("Launch elsewhere…"), "launch", self.launch, self.why_not_launch),
            Action("again", self.tr("Run again"), "again", self.again, self.why_not_again),
            Action("edit", self.tr("Duplicate and edit"), "edit", self.edit, self.why_not_edit),
            Action("discard", self.tr("Discard…"), "discard", self.discard, self.why_not_discard),
            Action("delete", self.tr("Delete"), "discard", self.delete, self.why_not_delete, "Del"),
            Action("chat", self.tr("Chat with it"), "chat", self.chat, self.why_not_chat),
            Action("export", self.tr("Export…"), "export", self.export, self.why_not_export),
            Action("compare", self.tr("Compare"), "compare", self.compare, self.why_not_any),
            Action("evaluate", self.tr("Evaluate…"), "measure", self.evaluate, self.why_not_any),
            Action("rename", self.tr("Rename"), "rename", self._rename_wanted, self.why_not_one, "F2"),
            Action("tags", self.tr("Tags…"), "tag", self.tags_wanted.emit, self.why_not_any),
            Action("folder", self.tr("Open folder"), "folder_open", self.open_folder, self.why_not_one),
            Action("copy", self.tr("Copy id"), "copy", self.copy_id, self.why_not_any),
        ]

    # --- why not

    def why_not_any(self, rows: Rows) -> str:
        return "" if rows else self.tr("Pick a run first.")

    def why_not_one(self, rows: Rows) -> str:
        if not rows:
            return self.tr("Pick a run first.")
        return "" if len(rows) == 1 else self.tr("Pick one run alone.")

    def _none_may(self, rows: Rows, may: Callable[[RunSummary], bool], reason: Callable[[RunSummary], str]) -> str:
        if not rows:
            return self.tr("Pick a run first.")
        return "" if any(may(row) for row in rows) else reason(rows[0])

    def why_not_stop(self, rows: Rows) -> str:
        return self._none_may(rows, can_stop, lambda row: self._ended_or(row, self.tr("It is stopping already.")))

    def _ended_or(self, row: RunSummary, otherwise: str) -> str:
        return self.tr("It has ended already.") if State(row.state).ended else otherwise

    def why_not_resume(self, rows: Rows) -> str:
        def reason(row: RunSummary) -> str:
            if row.state == State.FINISHED:
                return self.tr("It has finished. “Run again” starts another like it.")
            return self.tr("It waits in the queue.") if row.state == State.QUEUED else self.tr("It is alive.")

        return self._none_may(rows, can_resume, reason)

    def why_not_discard(self, rows: Rows) -> str:
        return self._none_may(rows, is_alive, lambda _: self.tr("It is not alive. “Delete” moves it to the trash."))

    def why_not_delete(self, rows: Rows) -> str:
        if not rows:
            return self.tr("Pick a run first.")
        if any(is_alive(row) for row in rows):
            return self.tr("A run that is alive can't be deleted. Stop it first, or discard it.")
        return ""

    def why_not_again(self, rows: Rows) -> str:
        return self._none_may(rows, has_recipe, lambda _: self.tr("Its recipe can't be read."))

    def why_not_edit(self, rows: Rows) -> str:
        if why := self.why_not_one(rows):
            return why
        return (
            ""
            if rows[0].kind in EDITED_ON
            else self.tr("Only a distillation, a tuning or a merge can be edited on its page.")
        )

    def why_not_chat(self, rows: Rows) -> str:
        if why := self.why_not_any(rows):
            return why
        if not any(row.model for row in rows):
            return self.tr("There is no model to talk with: it has not finished.")
        many = len(models_to_talk_with(rows)) > MOST_COLUMNS
        return self.tr("Four models side by side are the most: pick fewer runs.") if many else ""

    def why_not_export(self, rows: Rows) -> str:
        if why := self.why_not_one(rows):
            return why
        return "" if rows[0].model else self.tr("There is no model to export: it has not made one.")

    def why_not_launch(self, rows: Rows) -> str:
        if why := self.why_not_one(rows):
            return why
        row = rows[0]
        if is_alive(row):
            return self.tr("It is alive here. Stop it first; it goes on from its checkpoint.")
        if row.state == State.FINISHED:
            return self.tr("It has finished. “Run again” makes another like it.")
        return "" if has_recipe(row) else self.tr("Its recipe can't be read.")

    # --- the queue and the engine

    def stop(self, rows: Rows) -> None:
        """Ask for a checkpoint and an end; what waits leaves the queue."""
        asked = [row for row in rows if can_stop(row)]

        def work() -> None:
            for row in asked:
                runs.stop_and_keep(self._folder(row))

        self._do(work, lambda _: None)

    def resume(self, rows: Rows) -> None:
        asked = [row for row in rows if can_resume(row)]

        def work() -> tuple[int, list[Trouble]]:
            done, troubles = _each(asked, lambda row: runs.resume(self.home, self._folder(row)))
            return len(done), troubles + (_each([self.home], runner.ensure_runner)[1] if done else [])

        self._do(work, lambda answer: self._resumed(*answer))

    def _resumed(self, count: int, troubles: list[Trouble]) -> None:
        several = self.tr("%d runs wait to go on.") % count
        self._tell((several if count > 1 else self.tr("One run waits to go on.")) if count else "", troubles)

    def reorder(self, run: str, place: int) -> None:
        """Move a waiting run in the queue; 0 is next."""
        self._do(lambda: runs.reorder(self.home, RunFolder(self.home.runs / run), place), lambda _: None)

    def launch(self, rows: Rows) -> None:
        """Show how the run is started on other machines."""
        row = rows[0]
        self._do(self._folder(row).recipe, lambda recipe: self.launch_wanted.emit(row, recipe))

    def again(self, rows: Rows) -> None:
        """Start new runs of the same recipes."""
        asked = [row.id for row in rows if has_recipe(row)]

        def work() -> tuple[list[tuple[str, str]], list[Trouble]]:
            made, troubles = _each(asked, lambda run: run_again(self.home, run))
            return made, troubles + (_each([self.home], runner.ensure_runner)[1] if made else [])

        self._do(work, lambda answer: self._made_again(*answer))

    def _made_again(self, made: list[tuple[str, str]], troubles: list[Trouble]) -> None:
        for _, left_out in made:
            if left_out:
                self.context.say(
                    self.tr("What the new run makes is not put to %s, for that is there already.") % left_out, "info"
                )
        several = self.tr("%d new runs wait to start.") % len(made)
        self._tell((several if len(made) > 1 else self.tr("One new run waits to start.")) if made else "", troubles)
        if made:
            self.made.emit(made[-1][0])

    def edit(self, rows: Rows) -> None:
        """Open the recipe on the page of its kind."""
        folder, page = self._folder(rows[0]), EDITED_ON[rows[0].kind]
        self._do(folder.recipe, lambda recipe: self.context.open(page, recipe=recipe))

    # --- removing

    def discard(self, rows: Rows) -> None:
        """End living runs and remove them, once the user knows what is lost."""
        asked = [row for row in rows if is_alive(row)]
        if not asked:
            return
        one, several = self.tr("Discard “%s”?") % asked[0].name, self.tr("Discard %d runs?") % len(asked)
        question = self._question(self.tr("Discard"), one if len(asked) == 1 else several, self._consequence(asked))
        gone = question.addButton(self.tr("Discard"), QMessageBox.ButtonRole.DestructiveRole)
        keep = question.addButton(self.tr("Stop and keep"), QMessageBox.ButtonRole.ActionRole)
        theme.set_role(gone, "danger")
        gone.clicked.connect(lambda: self._discard(asked))
        keep.clicked.connect(lambda: self.stop(asked))
        question.open()

    def _question(self, title: str, text: str, more: str) -> QMessageBox:
        """A question whose safe answer is at hand: Return and Escape leave everything as it is."""
        box = QMessageBox(self._window)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setWindowTitle(title)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(text)
        box.setInformativeText(more)
        leave = box.addButton(self.tr("Cancel"), QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(leave)
        box.setEscapeButton(leave)
        return box

    def _consequence(self, rows: Rows) -> str:
        words = [self.tr("It ends at once, and its checkpoints and curves are removed. This can't be undone.")]
        if len(rows) == 1 and rows[0].step and rows[0].steps:
            words.insert(0, self.tr("Step %s of %s is done.") % (f"{rows[0].step:,}", f"{rows[0].steps:,}"))
        words.append(self.tr("“Stop and keep” saves a checkpoint instead, and it can go on later."))
        return " ".join(words)

    def _discard(self, rows: Rows) -> None:
        if len(rows) == 1:
            self.context.say(self.tr("Discarding “%s” …") % rows[0].name)
        self._do(lambda: _each(rows, lambda row: discard(self.home, row.id)), lambda answer: self._discarded(*answer))

    def _discarded(self, spared: list[Thrown | None], troubles: list[Trouble]) -> None:
        thrown = [one for one in spared if one is not None]
        if not thrown:
            self._tell(self.tr("Discarded.") if spared else "", troubles, say_well=True)
            return
        one = self.tr("“%s” had ended meanwhile; it is in the trash.") % thrown[0].name
        several = self.tr("%d runs had ended meanwhile; they are in the trash.") % len(thrown)
        self._tell(one if len(thrown) == 1 else several, troubles, say_well=True, undo=thrown)
        self.context.shelf.refresh()

    def delete(self, rows: Rows) -> None:
        """Move runs that ended to the trash. Asks first only if others build on them."""
        if self.why_not_delete(rows):
            return
        users = users_of(self.home, rows, self.context.live.rows)
        if not users:
            self._delete(rows)
            return
        one, several = self.tr("Delete “%s”?") % rows[0].name, self.tr("Delete %d runs?") % len(rows)
        names = ", ".join(f"“{row.name}”" for row in users[:3]) + (" …" if len(users) > 3 else "")
        more = self.tr("Its student is used by %s, which can't be resumed or run again without it.") % names
        question = self._question(self.tr("Delete"), one if len(rows) == 1 else several, more)
        gone = question.addButton(self.tr("Move to the trash"), QMessageBox.ButtonRole.DestructiveRole)
        theme.set_role(gone, "danger")
        gone.clicked.connect(lambda: self._delete(rows))
        question.open()

    def _delete(self, rows: Rows) -> None:
        folders = [self._folder(row) for row in rows]
        self._do(
            lambda: _each(folders, lambda folder: trash.throw_away(self.home, folder)),
            lambda answer: self._deleted(*answer),
        )

    def _deleted(self, thrown: list[Thrown], troubles: list[Trouble]) -> None:
        text = ""
        if thrown:
            one = self.tr("“%s” is in the trash.") % thrown[0].name
            text = one if len(thrown) == 1 else self.tr("%d runs are in the trash.") % len(thrown)
            self.context.shelf.refresh()
        self._tell(text, troubles, say_well=True, undo=thrown)

    def bring_back(self, thrown: list[Thrown]) -> None:
        """Undo: out of the trash, and into the queue again what waited there."""

        def work() -> tuple[list[RunFolder], list[Trouble]]:
            back, troubles = _each(thrown, lambda one: trash.bring_back(self.home, one))
            wait = any(run.queue_entry.exists() for run in back)
            return back, troubles + (_each([self.home], runner.ensure_runner)[1] if wait else [])

        self._do(work, lambda answer: self._came_back(*answer))

    def _came_back(self, back: list[RunFolder], troubles: list[Trouble]) -> None:
        if back:
            self.made.emit(back[0].id)
            self.context.shelf.refresh()
        several = self.tr("%d runs are back.") % len(back)
        self._tell((several if len(back) > 1 else self.tr("One run is back.")) if back else "", troubles)

    # --- names, places

    def rename(self, run: str, name: str) -> None:
        self._do(lambda: labels.rename(RunFolder(self.home.runs / run), name), lambda _: None, self.refused.emit)

    def retag(self, run: str, tags: tuple[str, ...]) -> None:
        self._do(lambda: labels.retag(RunFolder(self.home.runs / run), tags), lambda _: None, self.refused.emit)

    def _rename_wanted(self, rows: Rows) -> None:
        self.rename_wanted.emit(rows[0].id)

    def chat(self, rows: Rows) -> None:
        """Teacher and student side by side; of several runs, all students."""
        self.context.open("chat", models=models_to_talk_with(rows))

    def export(self, rows: Rows) -> None:
        """Make the model of a run ready for another program."""
        from desktop_app.export.dialog import ask_to_export

        if rows[0].model:
            ask_to_export(self.context, Path(rows[0].model), self._window)

    def compare(self, rows: Rows) -> None:
        """Side by side on the Compare page; of evaluations, the models that they measured are there already."""
        self.context.open("compare", runs=[row.id for row in rows])

    def evaluate(self, rows: Rows) -> None:
        """Ask what to measure of the runs' models, or of their last checkpoints."""
        self.context.open("compare", evaluate=[row.id for row in rows])

    def open_folder(self, rows: Rows) -> None:
        self.show_folder(self._folder(rows[0]).path)

    def show_folder(self, folder: Path) -> None:
        """Show a folder in the desktop's file manager."""
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            QGuiApplication.clipboard().setText(str(folder))
            self.context.say(self.tr("No program opens folders here. The path %s is copied.") % folder, "warning")

    def copy_id(self, rows: Rows) -> None:
        QGuiApplication.clipboard().setText("\n".join(row.id for row in rows))
        self.context.say(self.tr("Copied: %s") % ", ".join(row.id for row in rows))

    # --- how it is done

    def _folder(self, row: RunSummary) -> RunFolder:
        return RunFolder(self.home.runs / row.id)

    def _tell(
        self, well: str, troubles: list[Trouble], *, say_well: bool = False, undo: list[Thrown] | None = None
    ) -> None:
        """What came of several, in one message. Where all went well, `well` is said only if the list doesn't show it."""
        if troubles:
            more = len(troubles) - MOST_TOLD
            told = [well, *(str(trouble) for trouble in troubles[:MOST_TOLD])]
            text = " ".join([part for part in told if part] + ([self.tr("And %d more.") % more] if more > 0 else []))
            details = "\n".join(str(trouble) for trouble in troubles)
            level: Level = "error"
        elif say_well and well:
            text, details, level = well, "", "info"
        else:
            return
        if undo:
            back = list(undo)
            self.context.say(
                text, level, action_text=self.tr("Undo"), action=lambda: self.bring_back(back), details=details
            )
        else:
            self.context.say(text, level, details=details)

    def _do(self, work: Callable[[], T], done: Callable[[T], None], refused: Callable[[], None] = lambda: None) -> None:
        """Off the window's thread; the list of runs is looked at again after it, whatever came of it."""

        def well(answer: T) -> None:
            self.context.live.look()
            done(answer)

        def badly(trouble: Trouble) -> None:
            self.context.live.look()
            refused()
            self.context.trouble(trouble)

        in_background(self, lambda: _in_words(work), well, badly)


def _in_words(work: Callable[[], T]) -> T:
    """Disk errors that nobody put in words are the user's trouble, too."""
    try:
        return work()
    except OSError as error:
        raise Trouble(
            f"{error.filename or 'The data folder'} can't be read or written: {error.strerror or error}.",
            "Check the disk and the permissions.",
        ) from error


def _each(items: Iterable[Item], act: Callable[[Item], T]) -> tuple[list[T], list[Trouble]]:
    """Do it to each, whatever comes of the others: what was done, and why the rest was not."""
    done: list[T] = []
    troubles: list[Trouble] = []
    for item in items:
        try:
            done.append(_in_words(lambda item=item: act(item)))  # type: ignore[misc]
        except Trouble as trouble:
            troubles.append(trouble)
    return done, troubles


def discard(home: Home, run: str) -> Thrown | None:
    """End a living run and remove it. One that ended before the wish reached it goes to the trash, and is returned."""
    folder = RunFolder(home.runs / run)
    if not folder.path.is_dir():
        return None  # somebody else was quicker
    if folder.state().ended or not runs.discard(folder, spare_finished=True):
        return trash.throw_away(home, folder)
    return None


def is_alive(row: RunSummary) -> bool:
    return State(row.state).alive


def can_stop(row: RunSummary) -> bool:
    return row.state in (State.RUNNING, State.QUEUED)


def can_resume(row: RunSummary) -> bool:
    return row.state in (State.STOPPED, State.FAILED, State.CRASHED)


def has_recipe(row: RunSummary) -> bool:
    return row.kind != "unknown"


def run_again(home: Home, run: str) -> tuple[str, str]:
    """Make and queue a run of the same recipe. Returns its id, and where its outcome is not put, for something is there.

    Raises Trouble if the recipe can't be read or no longer fits (its data were moved, say).
    """
    recipe = RunFolder(home.runs / run).recipe()
    left_out = ""
    out = getattr(recipe, "out", None)
    if isinstance(recipe, ChainRecipe) and recipe.of.out is not None and _is_in_the_way(recipe, "of.out"):
        left_out, recipe = recipe.of.out, recipe.model_copy(update={"of": recipe.of.model_copy(update={"out": None})})
    elif out is not None and _is_in_the_way(recipe, "out"):
        left_out, recipe = out, recipe.model_copy(update={"out": None})
    made = runs.new_run(home, recipe.check(), made_from=run)
    runs.enqueue(home, made)
    return made.id, left_out


def _is_in_the_way(recipe: Recipe, field: str) -> bool:
    return any(problem.field == field for problem in recipe.problems())


def users_of(home: Home, rows: Rows, everyone: Rows) -> list[RunSummary]:
    """Other runs whose teacher or student to begin with lies in the folder of one of these."""
    going = {row.id for row in rows}
    folders = [home.runs / row.id for row in rows]
    return [
        other
        for other in everyone
        if other.id not in going
        and any(
            Path(path).is_relative_to(folder) for path in (other.teacher, other.student) if path for folder in folders
        )
    ]


def models_to_talk_with(rows: Rows) -> list[str]:
    """The folders of the runs' models, their teachers before them; before a tuned one, what it was."""
    made = [row for row in rows if row.model]
    teachers = [before for row in made if (before := row.student if row.kind == "tune" else row.teacher)]
    return list(dict.fromkeys([*teachers, *(row.model for row in made if row.model)]))
