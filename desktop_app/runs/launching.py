"""Launch elsewhere: the command lines and files that start a run on other machines, to be copied or saved."""

from __future__ import annotations

import shlex
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from core import launch, runs
from core.errors import Trouble
from core.launch import Place
from core.recipe import Recipe
from core.runs import RunFolder
from desktop_app import theme
from desktop_app.forms import Field, parts
from desktop_app.forms.field import button
from desktop_app.work import in_background

MOST_MACHINES, MOST_PROCESSES = 512, 64
LINES_SHOWN = 4


class LaunchDialog(QDialog):
    """Nothing is started here: it shows and writes what a person takes to the other machines."""

    saved = Signal(object)  # the folder
    troubled = Signal(object)  # Trouble

    def __init__(
        self, run: RunFolder, name: str, recipe: Recipe, *, waits: bool, parent: QWidget | None = None
    ) -> None:
        """`waits`: the run is in the queue of this machine."""
        super().__init__(parent)
        self.run, self.recipe = run, recipe
        self.folder = run.path / "launch"  # where the files are, or will be
        self.setWindowTitle(self.tr("Launch elsewhere"))
        self.resize(820, 660)
        several = min(MOST_PROCESSES, launch.processes_of(recipe))
        self.machines = _number(1, MOST_MACHINES, 1)
        self.per_machine = _number(1, MOST_PROCESSES, several)
        self.port = _number(1024, launch.MOST_PORT, launch.PORT)
        self.problem = parts.words("error")
        self.tabs = QTabWidget()
        self.scripts = {
            "accelerate": _Script(self.tr("On each machine")),
            "torchrun": _Script(self.tr("On each machine")),
            "slurm": _Script(self.tr("On a machine that submits jobs")),
        }
        self.unqueue = QCheckBox(self.tr("Take it out of the queue here when the files are saved"))
        self.unqueue.setChecked(True)
        self.unqueue.setVisible(waits)
        self.where = parts.words("small")
        self.save = button(self.tr("Save to folder…"), "save", "primary")
        self.close_button = button(self.tr("Close"))
        self._compose(name)
        self._connect()
        self._show()

    def _compose(self, name: str) -> None:
        head = parts.words("title", name)
        about = parts.words(
            "muted",
            self.tr(
                "These files work on the run folder itself: every machine must see it at the same path. Journal and checkpoints "
                "stay there, so the run shows here as it goes."
            ),
        )
        numbers = QHBoxLayout()
        numbers.setSpacing(2 * theme.SPACE)
        for title, field, help_text in (
            (self.tr("Machines"), self.machines, self.tr("That share the run.")),
            (self.tr("Processes on each"), self.per_machine, self.tr("One for each GPU.")),
            (self.tr("Port"), self.port, self.tr("Where several machines meet.")),
        ):
            numbers.addWidget(Field(title, field, help_text), 1)
        self.tabs.setAccessibleName(self.tr("Launchers"))
        self.tabs.setDocumentMode(True)
        self.tabs.tabBar().setDrawBase(False)
        titles = {"accelerate": "Accelerate", "torchrun": "torchrun", "slurm": "Slurm"}
        for launcher, script in self.scripts.items():
            self.tabs.addTab(script, titles[launcher])
        foot = QHBoxLayout()
        foot.setSpacing(theme.SPACE)
        foot.addWidget(self.where, 1)
        foot.addWidget(self.close_button)
        foot.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(head)
        layout.addWidget(about)
        layout.addLayout(numbers)
        layout.addWidget(self.problem)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self.unqueue)
        layout.addLayout(foot)

    def _connect(self) -> None:
        for number in (self.machines, self.per_machine, self.port):
            number.valueChanged.connect(self._show)
        self.save.clicked.connect(self._ask_where)
        self.close_button.clicked.connect(self.reject)

    def place(self) -> Place:
        port = self.port.value()
        return Place(self.machines.value(), self.per_machine.value(), None if port == launch.PORT else port)

    def _show(self) -> None:
        """Write all command lines and files anew; or say why the run can't be shared so."""
        place, problem = self.place(), ""
        try:
            launch.refuse_what_cannot_be_shared(self.recipe, place)
        except Trouble as trouble:
            problem = str(trouble)
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        self.save.setEnabled(not problem)
        self.save.setToolTip(problem)
        self.tabs.setVisible(not problem)
        if problem:
            return
        texts = {
            "accelerate": launch.accelerate_script(self.run, self.recipe, place),
            "torchrun": launch.torchrun_script(self.run, self.recipe, place),
            "slurm": launch.slurm_script(self.run, self.recipe, place),
        }
        for launcher, script in self.scripts.items():
            script.show_texts(self._commands(launcher, place), texts[launcher])

    def _commands(self, launcher: str, place: Place) -> list[str]:
        """What is typed on the machines, in their order."""
        names = {
            "accelerate": launch.ACCELERATE_FILE,
            "torchrun": launch.TORCHRUN_FILE,
            "slurm": launch.SLURM_FILE,
        }
        file = shell_word(self.folder / names[launcher])
        if launcher == "slurm":
            return [f"sbatch {file}"]
        if place.machines == 1:
            return [f"sh {file}"]
        first = f"MAIN_PROCESS_IP={self.tr('ADDRESS_OF_THE_FIRST')}"
        return [f"MACHINE_RANK={rank} {first} sh {file}" for rank in range(place.machines)]

    def _ask_where(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, self.tr("Save the files"), str(self.run.path))
        if chosen:
            self.save_to(Path(chosen))

    def save_to(self, folder: Path) -> None:
        """Write the three files; `saved` or `troubled` follows."""
        run, recipe, place = self.run, self.recipe, self.place()
        out_of_queue = self.unqueue.isVisibleTo(self) and self.unqueue.isChecked()

        def work() -> Path:
            launch.write_files(run, recipe, place, folder)
            if out_of_queue:
                runs.unqueue(run)
            return folder

        in_background(self, work, self._was_saved, self.troubled.emit)

    def _was_saved(self, folder: Path) -> None:
        self.folder = folder
        self.where.setText(self.tr("Saved in %s") % folder)
        self._show()
        self.saved.emit(folder)


class _Script(QWidget):
    """What is typed, and the file that it starts; each can be copied."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.commands, self.file = _mono(), _mono()
        self.commands.setAccessibleName(self.tr("Command lines"))
        self.file.setAccessibleName(self.tr("The file"))
        self.copy_commands = button(self.tr("Copy the lines"), "copy", "quiet")
        self.copy_file = button(self.tr("Copy the file"), "copy", "quiet")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(4)
        for title, copy, text in ((where, self.copy_commands, self.commands), (self.tr("The file"), self.copy_file, self.file)):  # fmt: skip
            label = QLabel(title)
            label.setBuddy(text)
            head = QHBoxLayout()
            head.addWidget(label)
            head.addStretch(1)
            head.addWidget(copy)
            layout.addLayout(head)
            layout.addWidget(text, 1 if text is self.file else 0)
        self.copy_commands.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.commands.toPlainText()))
        self.copy_file.clicked.connect(lambda: QGuiApplication.clipboard().setText(self.file.toPlainText()))

    def show_texts(self, commands: list[str], file: str) -> None:
        for box, text in ((self.commands, "\n".join(commands)), (self.file, file)):
            if box.toPlainText() != text:
                box.setPlainText(text)
        rows = min(LINES_SHOWN, len(commands))
        bar = self.commands.horizontalScrollBar().sizeHint().height()
        self.commands.setFixedHeight(rows * self.commands.fontMetrics().lineSpacing() + bar + 3 * theme.SPACE)


def _mono() -> QPlainTextEdit:
    made = QPlainTextEdit()
    made.setReadOnly(True)
    made.setTabChangesFocus(True)
    made.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    made.setLayoutDirection(Qt.LayoutDirection.LeftToRight)  # shells are written so in every script
    theme.set_role(made, "mono")
    return made


def _number(least: int, most: int, value: int) -> QSpinBox:
    made = QSpinBox()
    made.setRange(least, most)
    made.setValue(value)
    made.lineEdit().setTextMargins(theme.SPACE, 0, theme.SPACE, 0)
    return made


def shell_word(path: Path) -> str:
    """A path as a shell reads it back."""
    return shlex.quote(str(path))
