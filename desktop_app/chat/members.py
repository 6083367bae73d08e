"""Who talks: up to four models, their handles with the engine, their parts and colours, and who could draft for whom."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from core.chat import MOST_COLUMNS, Sampling
from core.models import ModelEntry
from core.run_summary import RunSummary
from desktop_app.chat.heads import Member
from desktop_app.chat.settings_pane import Drafter
from desktop_app.chat.speech import Wanted


class Members:
    """The columns in order. Two columns of one folder share the loaded model."""

    def __init__(self) -> None:
        self.all: list[Member] = []
        self._handles: dict[str, str] = {}  # by folder, for as long as the window lives
        self._laid: dict[str, tuple[str, ...]] = {}  # by a model's folder, those of the adapters over it

    def __iter__(self) -> Iterator[Member]:
        return iter(self.all)

    def __len__(self) -> int:
        return len(self.all)

    @property
    def full(self) -> bool:
        return len(self.all) >= MOST_COLUMNS

    def add(self, folder: str, name: str, parameters: int | None = None, column: str = "") -> Member:
        taken = {member.column for member in self.all}
        number, wanted = 2, column or name
        while wanted in taken:
            wanted, number = f"{column or name} ({number})", number + 1
        member = Member(wanted, folder, self.handle(folder), name, parameters)
        twin = next((one for one in self.all if one.folder == folder), None)
        if twin is not None:
            member.name = wanted
            copy_what_was_told(twin, member)
        self.all.append(member)
        return member

    def remove(self, column: str) -> Member | None:
        gone = self.column(column)
        if gone is not None:
            self.all.remove(gone)
        return gone

    def column(self, column: str) -> Member | None:
        return next((member for member in self.all if member.column == column), None)

    def of_handle(self, handle: str) -> list[Member]:
        return [member for member in self.all if member.handle == handle]

    def handle(self, folder: str) -> str:
        if folder not in self._handles:
            name, number = Path(folder).name or "model", 2
            wanted = name
            while wanted in self._handles.values():
                wanted, number = f"{name}-{number}", number + 1
            self._handles[folder] = wanted
        return self._handles[folder]

    def in_use(self, folder: str) -> bool:
        """Whether a column, or one that drafts, still needs it."""
        return any(folder in (member.folder, member.draft) for member in self.all)

    def wanted(self, device: str) -> list[Wanted]:
        """Everything that must be in memory to talk."""
        folders = [member.folder for member in self.all] + [member.draft for member in self.all if member.draft]
        return [
            Wanted(self.handle(folder), folder, device, self._laid.get(folder, ())) for folder in dict.fromkeys(folders)
        ]

    def lay(self, column: str, adapter: str) -> None:
        """Lay one more adapter over a column's model; all columns of that model are to be loaded anew."""
        member = self.column(column)
        if member is not None:
            self._laid[member.folder] = (*self._laid.get(member.folder, ()), adapter)
            for one in self.of_handle(member.handle):
                one.loaded, one.loading, one.failure = False, "", ""

    def take_off(self, folder: str) -> bool:
        """Forget the adapters over a model: they could not be laid, or nobody talks with it any more. Whether there were any."""
        return bool(self._laid.pop(folder, ()))

    def fitting_adapters(self, column: str, entries: Sequence[ModelEntry]) -> list[tuple[str, str]]:
        """Folder and name of the adapters that were made for a column's model and are not over it yet."""
        member = self.column(column)
        if member is None:
            return []
        folder, laid = _real(member.folder), self._laid.get(member.folder, ())
        return [
            (str(entry.path), entry.name)
            for entry in entries
            if entry.info is not None
            and entry.info.is_adapter
            and entry.info.base_model is not None
            and _real(entry.info.base_model) == folder
            and str(entry.path) not in laid
        ]

    def cast(self, rows: Sequence[RunSummary], entries: Sequence[ModelEntry]) -> None:
        """Find out who taught whom, and give each its colour: teachers grey, the others one after the other."""
        taught = teachers_of(rows, entries)
        folders = {_real(member.folder) for member in self.all}
        teachers = {taught[folder] for folder in folders if taught.get(folder) in folders}
        series = 0
        for member in self.all:
            folder = _real(member.folder)
            member.part = "teacher" if folder in teachers else "student" if taught.get(folder) in folders else ""
            if member.part != "teacher":
                member.series, series = series, series + 1

    def drafters(self, entries: Sequence[ModelEntry]) -> dict[str, list[Drafter]]:
        """For each column, smaller models with the very same tokenizer, the ones that are in sight first."""
        by_folder = {_real(str(entry.path)): entry for entry in entries}
        shown = {_real(member.folder) for member in self.all}
        found: dict[str, list[Drafter]] = {}
        for member in self.all:
            own = by_folder.get(_real(member.folder))
            info = own.info if own is not None else None
            mark = info.tokenizer.fingerprint if info is not None else None
            if info is None or mark is None:
                continue
            fitting = [
                entry
                for entry in entries
                if entry.info is not None
                and not entry.info.is_adapter
                and entry.info.tokenizer.fingerprint == mark
                and entry.info.parameters < info.parameters
            ]
            fitting.sort(key=lambda entry: (_real(str(entry.path)) not in shown, entry.name))
            found[member.column] = [Drafter(str(entry.path), entry.name) for entry in fitting]
        return found

    def suggested(self) -> Sampling | None:
        return next((member.suggested for member in self.all if member.suggested is not None), None)


def copy_what_was_told(one: Member, other: Member) -> None:
    """The engine loads a model once; every column of it knows the same."""
    names = (
        "loading",
        "share",
        "loaded",
        "failure",
        "template",
        "framing",
        "precision",
        "device",
        "context",
        "suggested",
    )
    for name in names:
        setattr(other, name, getattr(one, name))
    other.adapters = dict(one.adapters)


def teachers_of(rows: Sequence[RunSummary], entries: Sequence[ModelEntry]) -> Mapping[str, str]:
    """The teacher's folder by its student's, as runs and lineages tell it."""
    found: dict[str, str] = {}
    for entry in entries:
        lineage = entry.info.lineage if entry.info is not None else None
        if lineage is not None and lineage.teacher is not None:
            found[_real(str(entry.path))] = _real(lineage.teacher.path)
    for row in rows:
        if row.model and row.teacher:
            found[_real(row.model)] = _real(row.teacher)
    return found


def pair_to_begin_with(rows: Sequence[RunSummary], entries: Sequence[ModelEntry]) -> tuple[list[str], bool]:
    """Two models for a first talk, the teacher first, and whether they are teacher and student: of the newest finished run, else two of
    the sample's family.
    """
    folders = {str(entry.path) for entry in entries if entry.info is not None}
    for row in reversed(rows):
        if row.kind == "distill" and row.model and row.teacher and {row.model, row.teacher} <= folders:
            return [row.teacher, row.model], True
    named = {entry.name: str(entry.path) for entry in entries if entry.info is not None}
    family = [named[name] for name in ("stories-2M", "stories-0.8M") if name in named]
    return family, False


def _real(folder: str) -> str:
    return folder.rstrip("/\\")
