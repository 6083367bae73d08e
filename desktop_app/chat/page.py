"""The Chat page: one to four models side by side, one field for all of them, conversations that are kept.

The engine is a process of its own (`speech.py`); what it says is folded (`hearing.py`) and shown as turns (`thread.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path as Folder
from typing import Any

from PySide6.QtCore import QByteArray, Qt
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from core.chat import Died, Sampling
from core.conversations import Answered
from core.errors import Trouble
from core.numbers import bytes_text
from core.speaker import Seat
from desktop_app import theme
from desktop_app.chat.beginning import Beginning, Hint
from desktop_app.chat.composer import Composer
from desktop_app.chat.head_row import HeadRow
from desktop_app.chat.heads import Member, weight_bytes
from desktop_app.chat.hearing import Hearing, context_used
from desktop_app.chat.kept_list import KeptList
from desktop_app.chat.members import Members
from desktop_app.chat.path import Path, Turn
from desktop_app.chat.picker import Picker
from desktop_app.chat.sampling import PresetChoice
from desktop_app.chat.settings_pane import SettingsPane
from desktop_app.chat.speech import Ask, Kept, Speech
from desktop_app.chat.strip import RunStrip, Strip
from desktop_app.chat.template_dialog import TemplateDialog
from desktop_app.chat.thread import ThreadView
from desktop_app.chat.voting import Voting
from desktop_app.commands import Command
from desktop_app.context import Context
from desktop_app.forms import parts
from desktop_app.forms.field import button
from desktop_app.page import Page
from desktop_app.work import in_background

LAYOUT, PANE = "chat/splitter", "chat/settings"


class ChatPage(Page):
    """`opened(models=folders)` talks with these; `opened(model=folder)` adds one. See the module."""

    name = "chat"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self.speech = Speech(context.home, self)
        self.members, self.path = Members(), Path()
        self.voting = Voting(context, self.members, self)
        self.blind = self.voting.blind
        self.hearing = Hearing(self.members, self)
        self.kept: Kept | None = None
        self._opening = ""  # the conversation that is on its way
        self._beginning = False  # a new conversation is on its way
        self._sampling = Sampling()
        self._kept_in_memory_said = False
        self._place = ""  # where models are loaded, and why
        self._waits_for_shelf: list[str] = []
        self.list, self.pane, self.turns, self.composer = KeptList(context), SettingsPane(), ThreadView(), Composer()
        self.preset, self.picker = PresetChoice(), Picker(self)
        self.beginning, self.hint = Beginning(context), Hint()
        self.add = button(self.tr("Add a model"), "add")
        self.blind_button = button(self.tr("Blind comparison"), "blind")
        self.settings_button = button(self.tr("Settings"), "settings")
        self.engine_strip, self.run_strip = Strip(), RunStrip()
        self.stack, self.middle = QStackedWidget(), QStackedWidget()
        self.heads = HeadRow(
            lambda what: self._why_not_add() if what == "twice" else self._why_not_again(),
            lambda column: self.members.fitting_adapters(column, context.shelf.entries),
        )
        self._lay_out()
        self._connect()
        self.make_shortcuts()
        self._show_members()
        self._show_turns()

    # --- how it looks -------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.blind_button.setCheckable(True)
        self.settings_button.setCheckable(True)
        title = QLabel(self.tr("Chat"))
        theme.set_role(title, "head")
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(title)
        head.addStretch(1)
        for one in (self.add, self.blind_button, self.settings_button):
            head.addWidget(one)
        self.composer.extras.addWidget(self.preset)
        self.answering = parts.words("small")
        self.composer.extras.addWidget(self.answering, 1)
        talk = QWidget()
        column = QVBoxLayout(talk)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(theme.SPACE)
        column.addWidget(self.heads)
        self.middle.addWidget(self.hint)
        self.middle.addWidget(self.turns)
        column.addWidget(self.middle, 1)
        column.addWidget(self.composer)
        self.stack.addWidget(self.beginning)
        self.stack.addWidget(talk)
        self.splitter = QSplitter(Qt.Orientation.Horizontal)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.setHandleWidth(2 * theme.SPACE)
        for at, part in enumerate((self.list, self.stack, self.pane)):
            self.splitter.addWidget(part)
            self.splitter.setStretchFactor(at, 1 if at == 1 else 0)
        self.splitter.setSizes([216, 800, 288])
        self.pane.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(3 * theme.SPACE, 2 * theme.SPACE, 3 * theme.SPACE, 2 * theme.SPACE)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        for strip in (self.engine_strip, self.run_strip, self.voting.strip):
            layout.addWidget(strip)
        layout.addWidget(self.splitter, 1)

    def _connect(self) -> None:
        speech, context = self.speech, self.context
        speech.heard.connect(self._hear)
        speech.kept.connect(self._keep)
        speech.asked.connect(self._asked)
        speech.troubled.connect(self._refused)
        speech.settled.connect(self._settled)
        speech.dropped.connect(self._take_back)
        speech.restarted.connect(self._restarted)
        self.hearing.died.connect(self._died)
        self.hearing.failed.connect(lambda event: context.trouble(Trouble(event.what, event.way_out)))
        context.shelf.changed.connect(self._shelf_changed)
        context.live.listed.connect(lambda _: self._look_at_runs())
        self.list.opened.connect(self.open_conversation)
        self.list.new_wanted.connect(self.new_conversation)
        self.list.gone.connect(self._conversation_gone)
        self.list.renamed.connect(speech.rename)
        self.composer.said.connect(self.say)
        self.composer.stop_wanted.connect(self.stop)
        self.composer.last_wanted.connect(self.edit_last)
        self.turns.edited.connect(self._edit)
        self.turns.version_wanted.connect(self._show_version)
        self.turns.answer_wanted.connect(self._show_answer)
        self.turns.again_wanted.connect(lambda said, column: self.regenerate(said, [column]))
        self.turns.voted.connect(self._vote)
        self.preset.picked.connect(self._take_sampling)
        self.pane.sampling_changed.connect(self._take_sampling)
        self.pane.mode_chosen.connect(self._choose_mode)
        self.pane.draft_chosen.connect(self._choose_draft)
        self.pane.adapter_changed.connect(self._set_adapter)
        self.pane.template_wanted.connect(self.show_template)
        self.pane.device_chosen.connect(self._choose_device)
        self.picker.picked.connect(lambda path: self.add_model(str(path)))
        self.add.clicked.connect(self.choose_model)
        self.blind_button.toggled.connect(self._turn_blind)
        self.settings_button.toggled.connect(self._show_pane)
        self.heads.wanted.connect(self._do_with_model)
        self.heads.adapter_switched.connect(self._set_adapter)
        self.heads.adapter_laid.connect(self._lay_adapter)
        self.beginning.pair_wanted.connect(self.talk_with)
        self.beginning.choice_wanted.connect(self.choose_model)
        self.hint.suggested.connect(self.composer.put)
        self.engine_strip.acted.connect(self._start_again)
        self.run_strip.acted.connect(self.give_memory_back)
        self.voting.counted.connect(self._show_turns)
        self.voting.strip.acted.connect(lambda: self.blind_button.setChecked(False))
        self.splitter.splitterMoved.connect(lambda *_: self._remember())

    def _remember(self) -> None:
        if self.isVisible():
            self.context.settings.set_layout(LAYOUT, self.splitter.saveState())
            self.context.settings.set_layout(PANE, QByteArray(b"open" if self.settings_button.isChecked() else b"shut"))

    def _show_pane(self, wanted: bool) -> None:
        self.pane.setVisible(wanted)
        if wanted:
            self._show_members()
            in_background(self, _device_ids, self._offer_devices, self.context.trouble)
        self._remember()

    def _offer_devices(self, ids: Sequence[str]) -> None:
        self.pane.device.set_options([("auto", self.tr("Choose for me")), *((one, one) for one in ids)])

    # --- what the window asks -----------------------------------------------------------------------------------------

    def opened(self, **what: Any) -> None:
        settings = self.context.settings
        if not (state := settings.layout(LAYOUT)).isEmpty():
            self.splitter.restoreState(state)
        self.settings_button.setChecked(bytes(settings.layout(PANE).data()) == b"open")
        self.list.refresh()
        if not self.context.shelf.loaded:
            self.context.shelf.refresh()
        wanted = [str(folder) for folder in what.get("models") or ()]
        if wanted:
            self.talk_with(wanted)
        elif what.get("model"):
            self.add_model(str(what["model"]))
        if isinstance(what.get("conversation"), str):
            self.open_conversation(what["conversation"])
        self._look_at_runs()
        (self.composer if self.members.all else self.add).setFocus()

    def left(self) -> None:
        """The models stay in memory for the next word; their memory is offered back, once."""
        loaded = [member for member in self.members if member.loaded]
        if not loaded or self._kept_in_memory_said or self.hearing.live:
            return
        self._kept_in_memory_said = True
        self.context.say(
            self.tr("The chat keeps %s in memory, about %s.") % (_names(loaded), bytes_text(weight_bytes(loaded))),
            action_text=self.tr("Give it back"),
            action=self.give_memory_back,
        )

    def closing(self) -> None:
        thread = self.speech.close()
        if thread is not None:
            in_background(self, thread.join, lambda _: None)

    def commands(self) -> list[Command]:
        return [
            Command("chat.new", self.tr("New conversation"), self.new_conversation, "add", "Ctrl+N"),
            Command("chat.add", self.tr("Add a model to the chat…"), self.choose_model, "models", "Ctrl+M", self._why_not_add),
            Command("chat.stop", self.tr("Stop the answers"), self.stop, "stop", "Esc", self._why_not_stop),
            Command("chat.again", self.tr("Answer again, all models"), self.regenerate_last, "again", "Ctrl+R", self._why_not_again),
            Command("chat.edit", self.tr("Edit what you said last"), self.edit_last, "edit", "", self._why_not_again),
            Command("chat.blind", self.tr("Blind comparison"), self.blind_button.toggle, "blind", "", self._why_not_blind),
            Command("chat.compare", self.tr("Compare these models on benchmarks"), self.compare, "compare", "", self._why_not_nobody),
            Command("chat.settings", self.tr("Settings of the chat"), self.settings_button.toggle, "settings"),
            Command("chat.search", self.tr("Search conversations"), self.list.search.setFocus, "search", "Ctrl+F"),
            Command("chat.memory", self.tr("Give the models' memory back"), self.give_memory_back, "memory", "", self._why_not_give_back),
        ]  # fmt: skip

    def _run_command(self, command: Command) -> None:
        """Esc where nothing is being written is no mistake."""
        if command.name != "chat.stop" or self._writing():
            super()._run_command(command)

    # --- the models ---------------------------------------------------------------------------------------------------

    def choose_model(self) -> None:
        if why_not := self._why_not_add():
            self.context.say(why_not, "warning")
            return
        shelf = self.context.shelf
        place = self.add.mapToGlobal(self.add.rect().bottomLeft())
        if self.isVisible():
            edge = self.mapToGlobal(self.rect().bottomRight())
            place.setX(max(self.mapToGlobal(self.rect().topLeft()).x(), min(place.x(), edge.x() - self.picker.width())))
        self.picker.open_at(place, shelf.entries, loaded=shelf.loaded)

    def talk_with(self, folders: Sequence[str]) -> None:
        """Talk with these alone, in a new conversation if something was said in this one."""
        if [member.folder for member in self.members] != list(folders):
            if self.kept is not None:
                self.new_conversation()
            for member in list(self.members.all):
                self._remove(member.column)
            for folder in folders:
                self._add(folder)
        self._load()

    def add_model(self, folder: str) -> None:
        if self.members.full:
            self.context.say(self._why_not_add(), "warning")
            return
        self._add(folder)
        self._load()
        self.composer.setFocus()

    def _add(self, folder: str, column: str = "") -> Member:
        entry = self.context.shelf.entry(folder)
        name = entry.name if entry is not None else Folder(folder).name
        size = entry.info.parameters if entry is not None and entry.info is not None else None
        return self.members.add(folder, name, size, column)

    def _load(self) -> None:
        self._await_models()
        self._show_members()
        self._show_turns()
        self._kept_in_memory_said = False
        self.speech.load(self.members.wanted(self._device()))

    def _await_models(self) -> None:
        """Those that are not in memory will be."""
        wanted = [member for member in self.members if not (member.loaded or member.loading or member.failure)]
        self.hearing.await_models([member.column for member in wanted])

    def remove_model(self, column: str) -> None:
        self._remove(column)
        if self.blind_button.isChecked() and self._why_not_blind():
            self.blind_button.setChecked(False)
        self._show_members()
        self._show_turns()

    def _remove(self, column: str) -> None:
        gone = self.members.remove(column)
        if gone is not None:
            if any(said for said, of in self.hearing.live if of == column):
                self.speech.halt(column)
            for folder in (gone.folder, gone.draft):
                if folder and not self.members.in_use(folder):
                    self.speech.unload(self.members.handle(folder))
                    self.members.take_off(folder)
            for place in [one for one in self.hearing.live if one[1] == column]:
                del self.hearing.live[place]

    def compare(self) -> None:
        """The models that talk, on the Compare page."""
        self.context.open("compare", models=list(dict.fromkeys(member.folder for member in self.members)))

    def give_memory_back(self) -> None:
        """All models leave the memory; the conversation stays, and the next word brings them back."""
        self.speech.give_back()
        self.hearing.forget_engine()
        self._place = ""
        self._show_members()
        self._look_at_runs()

    def _device(self) -> str:
        return str(self.pane.device.value() or "auto")

    def _choose_device(self, _device: str) -> None:
        if self.members.all:
            for member in self.members:
                member.loaded, member.loading = False, ""
            self._load()

    def _choose_mode(self, column: str, mode: Any) -> None:
        member = self.members.column(column)
        if member is not None:
            member.mode = mode
            self._show_members()
            self._show_turns()

    def _choose_draft(self, column: str, folder: str) -> None:
        member = self.members.column(column)
        if member is None:
            return
        before, member.draft = member.draft, folder
        if before and not self.members.in_use(before):
            self.speech.unload(self.members.handle(before))
        self._load()

    def _set_adapter(self, column: str, adapter: str, scale: float) -> None:
        member = self.members.column(column)
        if member is not None:
            member.adapters[adapter] = scale
            self._show_members()

    def _lay_adapter(self, column: str, adapter: str) -> None:
        """The model is loaded anew with it; from then on it can be switched off and on."""
        if self._writing():
            self.context.say(self.tr("Wait for the answers, or stop them: the model is loaded anew for it."), "warning")
            return
        self.members.lay(column, adapter)
        self._load()

    def _show_members(self) -> None:
        shelf, members = self.context.shelf, self.members
        members.cast(self.context.live.rows, shelf.entries)
        hidden = self.blind.on
        self.heads.show_members(members.all, blind=hidden)
        if self.settings_button.isChecked():
            self.pane.show_members(members.all, members.drafters(shelf.entries), blind=hidden)
        self.preset.suggest(members.suggested())
        self.beginning.look()
        self.stack.setCurrentIndex(1 if members.all else 0)
        self.composer.set_hint(self.hint.look(members.all))
        self.answering.setText("" if hidden else self._who_goes_on())
        self._look_at_buttons()

    def _who_goes_on(self) -> str:
        """Which of the models have no chat template, where others have."""
        loaded = [member for member in self.members if member.loaded]
        going_on = [member for member in loaded if member.raw]
        mixed = going_on and len(going_on) < len(loaded)
        return self.tr("%s: no chat template, goes on with the text") % _names(going_on) if mixed else ""

    def _do_with_model(self, what: str, column: str) -> None:
        member = self.members.column(column)
        if member is None:
            return
        actions: dict[str, Callable[[], None]] = {
            "template": lambda: self.show_template(column),
            "form": lambda: self._show_form_of(column),
            "again": lambda: self.regenerate_last([column]),
            "compare": self.compare,
            "show": lambda: self.context.open("models", model=Folder(member.folder)),
            "twice": lambda: self.add_model(member.folder),
            "remove": lambda: self.remove_model(column),
        }
        actions[what]()

    def _show_form_of(self, column: str) -> None:
        self.settings_button.setChecked(True)
        form = self.pane.models.get(column)
        if form is not None:
            self.pane.ensureWidgetVisible(form)
            form.mode.setFocus()

    def show_template(self, column: str) -> None:
        member = self.members.column(column)
        if member is not None:
            dialog = TemplateDialog(member, self)
            dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            dialog.open()

    def _settled(self, reason: str) -> None:
        self._place = reason
        self.pane.device_field.set_help(reason)

    # --- why not ------------------------------------------------------------------------------------------------------

    def _writing(self) -> bool:
        """Whether something is being written to the conversation in sight, or has just been asked."""
        known = self.kept.said if self.kept is not None else {}
        return self._beginning or any(said in known for said, _ in self.hearing.live)

    def _why_not_busy(self) -> str:
        return self.tr("Wait for the answers, or stop them.") if self._writing() else ""

    def _why_not_nobody(self) -> str:
        if not self.members.all:
            return self.tr("Choose a model first.")
        return self.tr("None of the models could be loaded.") if all(one.failure for one in self.members) else ""

    def _why_not_last(self) -> str:
        return "" if self._turns() else self.tr("Nothing was said yet.")

    def _why_not_stop(self) -> str:
        return "" if self._writing() else self.tr("Nothing is being written.")

    def _why_not_again(self) -> str:
        return self._why_not_busy() or self._why_not_nobody() or self._why_not_last()

    def _why_not_add(self) -> str:
        if self.blind.on:
            return self.tr("End the blind comparison first.")
        return self.tr("Four models side by side are the most: take one away first.") if self.members.full else ""

    def _why_not_blind(self) -> str:
        if len({member.folder for member in self.members}) < 2 or len({m.folder for m in self.members}) < len(
            self.members
        ):
            return self.tr("Choose two different models or more to compare.")
        return self._why_not_busy()

    def _why_not_give_back(self) -> str:
        held = any(member.loaded or member.loading for member in self.members)
        return "" if held else self.tr("No model is in memory.")

    def _look_at_buttons(self) -> None:
        busy = self._why_not_busy()
        for one, why_not, text in (
            (self.add, self._why_not_add(), self.tr("Choose another model to talk with (Ctrl+M)")),
            (self.blind_button, "" if self.blind.on else self._why_not_blind(), self.tr("Hide the names, and vote")),
        ):
            _allow(one, why_not, text)
        self.composer.set_state(busy=bool(busy), why_not=self._why_not_nobody())
        self.turns.allow(busy or self._why_not_nobody())

    # --- saying -------------------------------------------------------------------------------------------------------

    def _ask(self) -> Ask:
        seats = {}
        for member in self.members:
            if not member.failure:
                draft = self.members.handle(member.draft) if member.draft else None
                adapters = dict(member.adapters) or None
                seats[member.column] = Seat(member.handle, member.folder, self._sampling, member.mode, draft, adapters)
        models = [one for one in self.members.wanted(self._device()) if not self._failed(one.handle)]
        conversation = self.kept.id if self.kept is not None else ""
        return Ask(seats, models, self.pane.system.toPlainText().strip(), self.pane.when_full(), conversation)

    def _failed(self, handle: str) -> bool:
        return any(member.failure for member in self.members.of_handle(handle))

    def say(self, text: str) -> None:
        """Say something after what is in sight."""
        if why_not := self._why_not_busy() or self._why_not_nobody():
            self.composer.put(text)
            self.context.say(why_not, "warning")
            return
        turns = self._turns()
        before, after = "", {}
        if turns:
            before = turns[-1].said.id
            found = {column: turns[-1].answer(column) for column in turns[-1].answers}
            after = {column: answer.id for column, answer in found.items() if answer is not None}
        self._beginning = True
        self.speech.say(text, self._ask(), before, after)
        self._look_at_buttons()

    def _edit(self, said: str, text: str) -> None:
        turn = self._turn(said)
        if turn is not None and not self._why_not_busy() and not self._why_not_nobody():
            self._beginning = True
            self.speech.edit(said, text, self._ask())
            self._look_at_buttons()

    def regenerate(self, said: str, columns: Sequence[str]) -> None:
        """Have these columns answer again."""
        ask = self._ask()
        wanted = [column for column in columns if column in ask.seats]
        if wanted and not self._why_not_busy():
            for column in wanted:
                self.path.forget_answer(said, column)
            self._beginning = True
            self.speech.again(said, wanted, ask)
            self._look_at_buttons()

    def regenerate_last(self, columns: Sequence[str] = ()) -> None:
        turns = self._turns()
        if turns:
            self.regenerate(turns[-1].said.id, list(columns) or [member.column for member in self.members])

    def edit_last(self) -> None:
        turns = self._turns()
        view = self.turns.views.get(turns[-1].said.id) if turns else None
        if view is not None and not self._why_not_busy():
            view.question.begin_edit()

    def stop(self) -> None:
        if self._writing():
            self.speech.halt()

    def _asked(self, kept: Kept, said: str, columns: Sequence[str]) -> None:
        """It is on the disk and on its way."""
        self._beginning = False
        begun = self.kept is None
        self.hearing.expect(said, columns)
        if self.blind.on:
            self.blind.hide(said, [member.column for member in self.members])
        self.path.show_version(kept.said[said].before, said)
        self.kept = kept
        self.list.mark(kept.id)
        if begun:
            self.list.refresh()
        self._await_models()
        self._show_members()
        self._show_turns()

    def _refused(self, trouble: Trouble, words: str) -> None:
        """It could not be said or sent: the words go back into the field."""
        self._take_back(words)
        self.context.trouble(trouble)

    def _take_back(self, words: str) -> None:
        self._beginning = False
        if words and not self.composer.words.toPlainText():
            self.composer.put(words)
        for member in self.members:
            member.loading = ""
        self._show_members()

    # --- what is heard ------------------------------------------------------------------------------------------------

    def _hear(self, events: list[Any]) -> None:
        """At most thirty times a second; only what changed is drawn."""
        heard = self.hearing.take(events)
        if heard.over:
            self._show_members()
            self._show_turns()
            self.list.refresh()
            return
        if heard.members:
            loading = any(getattr(event, "kind", "") in ("loaded", "unloaded", "failed") for event in events)
            if loading:
                self._show_members()
                self._show_turns()
                self._look_at_runs()
            else:
                self.heads.show_members(self.members.all, blind=self.blind.on)
        for said in heard.turns:
            self.turns.update_live(said)
        if any(getattr(event, "kind", "") == "loaded" for event in events) and all(one.loaded for one in self.members):
            self.engine_strip.say("")

    def _keep(self, kept: Kept) -> None:
        if kept.id == self._opening:
            self._opening = ""
            self._show_conversation(kept)
        elif self.kept is not None and kept.id == self.kept.id:
            renamed = kept.title != self.kept.title
            self.kept = kept
            self._show_turns()
            if renamed:
                self.list.refresh()
        else:
            self.list.refresh()

    def _died(self, event: Died) -> None:
        self._beginning = False
        what = self.tr("%s What was said is kept.") % event.what
        self.engine_strip.say(what, "error", self.tr("Start it again"))
        self._look_at_buttons()
        self._look_at_runs()

    def _restarted(self) -> None:
        words = self.tr("The chat engine ended and is being started again, with its models. What was said is kept.")
        self.engine_strip.say(words, "info")
        self._await_models()
        self._show_members()

    def _start_again(self) -> None:
        self.engine_strip.say("")
        for member in self.members:
            member.failure = ""
        self._load()

    # --- conversations ------------------------------------------------------------------------------------------------

    def new_conversation(self) -> None:
        """Begin anew, with the same models."""
        self.kept, self._opening = None, ""
        self.path.clear()
        self.blind.verdicts.clear()
        self.list.mark("")
        self._show_members()
        self._show_turns()
        self.composer.setFocus()

    def open_conversation(self, conversation: str) -> None:
        self._opening = conversation
        self.speech.open(conversation)

    def _show_conversation(self, kept: Kept) -> None:
        """Show one that was kept, with its models; they are loaded when something is said."""
        self.path.clear()
        self.kept = kept
        last: dict[str, Answered] = {answer.column: answer for answer in kept.answers.values()}
        of_columns = [
            (answer.model, column) for column, answer in last.items() if answer.model in kept.models or not kept.models
        ]
        for folder in kept.models:
            if folder not in {one for one, _ in of_columns}:
                of_columns.append((folder, ""))
        for member in list(self.members.all):
            if (member.folder, member.column) not in of_columns:
                self._remove(member.column)
        for folder, column in of_columns:
            known = self.members.column(column) if column else None
            if (known is None or known.folder != folder) and not self.members.full:
                self._add(folder, column)
        if self.blind.on:
            self.blind_button.setChecked(False)
        self.pane.set_system(list(kept.said.values())[-1].system if kept.said else "")
        self.list.mark(kept.id)
        self._show_members()
        self._show_turns()

    def _conversation_gone(self, conversation: str) -> None:
        if self.kept is not None and self.kept.id == conversation:
            self.new_conversation()

    def _turns(self) -> list[Turn]:
        return self.path.turns(self.kept) if self.kept is not None else []

    def _turn(self, said: str) -> Turn | None:
        return next((turn for turn in self._turns() if turn.said.id == said), None)

    def _show_turns(self) -> None:
        turns, hearing = self._turns(), self.hearing
        remarks = {**hearing.notes}
        for place, words in hearing.failures.items():
            remarks[place] = (*remarks.get(place, ()), words)
        self.turns.set_turns(
            turns,
            lambda said: self.blind.order(said, self.members.all),
            hearing.live,
            blind=lambda said: self.blind.letters(said, self.members.all),
            verdicts=self.blind.verdicts,
            remarks=remarks,
        )
        self.middle.setCurrentIndex(1 if turns else 0)
        self._count_context(turns)
        self._look_at_buttons()

    def _count_context(self, turns: Sequence[Turn]) -> None:
        """The context that the answers in sight take; what is being written counts itself."""
        writing = {column for _, column in self.hearing.live}
        for member in self.members:
            if member.loaded and member.column not in writing:
                answers = (turn.answer(member.column) for turn in reversed(turns))
                newest = next((answer for answer in answers if answer is not None), None)
                member.used = context_used(newest) if newest is not None else 0
        self.heads.show_members(self.members.all, blind=self.blind.on)

    def _show_version(self, said: str, at: int) -> None:
        turn = self._turn(said)
        if turn is not None and 0 <= at < len(turn.versions):
            self.path.show_version(turn.said.before, turn.versions[at])
            self._show_turns()

    def _show_answer(self, said: str, column: str, at: int) -> None:
        turn = self._turn(said)
        if turn is not None and 0 <= at < len(turn.answers.get(column, ())):
            self.path.show_answer(said, column, turn.answers[column][at].id)
            self._show_turns()

    # --- sampling -----------------------------------------------------------------------------------------------------

    def _take_sampling(self, sampling: Sampling) -> None:
        self._sampling = sampling
        self.preset.show_sampling(sampling)
        if self.sender() is not self.pane:
            self.pane.sampling.set_sampling(sampling)

    # --- blind comparison ---------------------------------------------------------------------------------------------

    def _turn_blind(self, wanted: bool) -> None:
        if wanted and (why_not := self._why_not_blind()):
            self.blind_button.setChecked(False)
            self.context.say(why_not, "warning")
            return
        if wanted:
            self.voting.begin()
        else:
            self.voting.stop()
        self._show_members()
        self._show_turns()

    def _vote(self, said: str, best: str | None) -> None:
        if (turn := self._turn(said)) is not None:
            self.voting.vote(turn, best)

    # --- empty, and what runs need ------------------------------------------------------------------------------------

    def _shelf_changed(self) -> None:
        for member in self.members:
            entry = self.context.shelf.entry(member.folder)
            if entry is not None and entry.info is not None and member.parameters is None:
                member.parameters = entry.info.parameters
        self._show_members()

    def _look_at_runs(self) -> None:
        self.run_strip.look(self.context.live.rows, self.members.all)
        if not self.members.all:
            self.beginning.look()


def _allow(one: QPushButton, why_not: str, text: str) -> None:
    one.setEnabled(not why_not)
    one.setToolTip(why_not or text)
    one.setAccessibleDescription(why_not or text)


def _names(members: Sequence[Member]) -> str:
    return ", ".join(member.name for member in members)


def _device_ids() -> list[str]:
    from core.devices import devices

    return [device.id for device in devices() if device.usable]
