"""What came of an export: whether it answers as the original, its perplexity beside the original's, its size, and where it is."""

from __future__ import annotations

import shlex
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from core.export import TARGETS
from core.numbers import bytes_text
from core.state import History
from desktop_app import theme
from desktop_app.charts.flow import FlowLayout
from desktop_app.export.results import Exported, exported_of
from desktop_app.forms import parts
from desktop_app.forms.field import Elided, button
from desktop_app.icons import icon
from desktop_app.runs.facts import Fact, FactsView, Section
from desktop_app.sign import Sign

SMALL_LOSS = 0.01  # of the perplexity: no reader would tell
UNSEEN = 5e-5  # of the perplexity: not written


class ExportCard(QFrame):
    """The buttons carry the place of the export, or how it is used."""

    folder_wanted = Signal(object)  # Path
    text_wanted = Signal(str)  # to be copied
    lesson_wanted = Signal()
    again_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        theme.set_role(self, "card")
        self.exported: Exported | None = None
        self.title, self.sign, self.verdict = QLabel(), Sign(size=20), parts.words()
        theme.set_role(self.title, "title")
        self.facts = FactsView()
        self.use, self.use_text = parts.words("muted"), Elided()
        theme.set_role(self.use_text, "mono")
        self.folder = button(self.tr("Open its folder"), "folder_open")
        self.copy = button(self.tr("Copy command"), "copy")
        self.lesson = button(self.tr("What rounding does…"), "help")
        self.again = button(self.tr("Export another way…"), "export")
        self._lay_out()
        self.folder.clicked.connect(self._show_folder)
        self.copy.clicked.connect(lambda: self.text_wanted.emit(self.use_text.whole()))
        self.lesson.clicked.connect(self.lesson_wanted)
        self.again.clicked.connect(self.again_wanted)
        self.hide()

    def _lay_out(self) -> None:
        told = QHBoxLayout()
        told.setSpacing(theme.SPACE)
        told.addWidget(self.sign, 0, Qt.AlignmentFlag.AlignTop)
        told.addWidget(self.verdict, 1)
        buttons = FlowLayout()
        for one in (self.folder, self.copy, self.lesson, self.again):
            buttons.addWidget(one)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(2 * theme.SPACE, 12, 2 * theme.SPACE, 12)
        layout.setSpacing(12)
        layout.addWidget(self.title)
        layout.addLayout(told)
        for widget in (self.facts, self.use, self.use_text):
            layout.addWidget(widget)
        layout.addLayout(buttons)

    def show_export(self, history: History) -> None:
        """Show what came of it; hidden until there is something."""
        self.exported = exported = exported_of(history.results)
        self.setVisible(exported is not None)
        if exported is None:
            return
        target = TARGETS.get(exported.to)
        self.title.setText(self.tr("%s, %s") % (target.title if target else exported.to, exported.type))
        level = "good" if self._nearly_same(exported) else "info"
        self.sign.set_icon(icon(level, level if level == "good" else "muted"))
        self.verdict.setText(self._verdict(exported))
        self.facts.set_sections([Section("", self._facts(exported))])
        how, command = self._use(exported)
        self.use.setText(how)
        self.use_text.set_text(command)
        for one in (self.use, self.use_text, self.copy):
            one.setVisible(bool(command))
        self.lesson.setVisible(exported.to == "int8")

    def _nearly_same(self, of: Exported) -> bool:
        return of.equal + of.near_ties >= of.prompts and (of.change or 0.0) <= SMALL_LOSS

    def _verdict(self, of: Exported) -> str:
        if of.equal == of.prompts:
            said = self.tr("Loaded in %s: all %d answers equal the original's.") % (of.runtime, of.prompts)
        else:
            said = self.tr("Loaded in %s: %d of %d answers equal the original's, token by token.") % (
                of.runtime, of.equal, of.prompts,
            )  # fmt: skip
            if of.near_ties:
                said += (
                    " "
                    + self.tr("Of the others, near ties (the original hardly preferred its own token): %d.")
                    % of.near_ties
                )
        if of.change is not None:
            lost = self.tr("Its perplexity changes by %s.") % f"{of.change:+.2%}"
            if abs(of.change) < UNSEEN:
                lost = self.tr("Its perplexity is the same.")
            said += " " + lost
        return said

    def _facts(self, of: Exported) -> tuple[Fact, ...]:
        facts = []
        if of.size_bytes and of.original_bytes:
            share = self.tr("%s of the original's %s") % (f"{of.size_bytes / of.original_bytes:.0%}", bytes_text(of.original_bytes))  # fmt: skip
            facts.append(Fact(self.tr("Size"), bytes_text(of.size_bytes), share))
        if of.before is not None and of.after is not None:
            where = self.tr("on %s tokens of text") % f"{of.tokens:,}"
            facts.append(Fact(self.tr("Perplexity"), f"{of.before:.3f} → {of.after:.3f}", where))
        if of.agreement is not None:
            facts.append(
                Fact(self.tr("Same first choice"), f"{of.agreement:.1%}", self.tr("of the tokens of that text"))
            )
        template = {
            "same": self.tr("the original's, checked on a conversation"),
            "none": self.tr("none; nor has the original one"),
        }
        facts.append(Fact(self.tr("Chat template"), template.get(of.template, of.template)))
        stops = ", ".join(str(stop) for stop in of.stops)
        facts.append(Fact(self.tr("Stops at"), self.tr("token %s") % stops if stops else self.tr("no token")))
        facts.append(Fact(self.tr("Place"), str(of.path)))
        if of.pushed:
            facts.append(Fact(self.tr("On the Hub"), of.pushed))
        return tuple(facts)

    def _use(self, of: Exported) -> tuple[str, str]:
        """How it is started where it belongs: words, and a command to copy."""
        name, place = of.path.stem.lower(), shlex.quote(str(of.path))
        if of.to == "ollama":
            return self.tr("Give it to Ollama:"), f"ollama create {name} -f {shlex.quote(str(of.path / 'Modelfile'))}"
        if of.to == "gguf":
            return self.tr("Talk to it with llama.cpp:"), f"llama-cli -m {place}"
        if of.to in ("hf", "int8", "int4"):
            return self.tr("Load it with transformers:"), f"AutoModelForCausalLM.from_pretrained({str(of.path)!r})"
        return "", ""

    def _show_folder(self) -> None:
        if self.exported is not None:
            path: Path = self.exported.path
            self.folder_wanted.emit(path if path.is_dir() else path.parent)
