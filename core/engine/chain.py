"""A chain of distillations, link after link, in one engine: from the first teacher by way of the assistants to the student.

Each link is a distillation of its own in a folder within the run's, with recipe, journal and checkpoints, so that it is resumed and
read like any other. The chain's journal passes on what the links say, with steps, tokens and seconds counted on. Its own checkpoints
hold no weights: each says that a link has sealed its checkpoint of that step.
"""

from __future__ import annotations

import shutil
import signal
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import Any

from core import defaults
from core import events as ev
from core.chain import CAUTION, LINKS, ChainRecipe, link_folder
from core.distill import DistillRecipe
from core.engine import checkpoints, distill
from core.engine.failures import as_trouble
from core.engine.memory import free_unused
from core.engine.models import refuse_to_overwrite
from core.engine.reading import TOKENS
from core.engine.session import Session, StopRequested
from core.files import write_json
from core.home import Home
from core.journal import JournalWriter, last_event, read_journal
from core.numbers import count_text
from core.runs import RunFolder
from core.state import History, fold

KEPT_MARKS = 2  # of the chain's checkpoints


@dataclass(frozen=True)
class Done:
    """What the links before have done."""

    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def and_also(self, results: dict[str, Any]) -> Done:
        return Done(self.steps + results["steps"], self.tokens + results["tokens"], self.seconds + results["seconds"])


class LinkRun(RunFolder):
    """The run folder of one link. Lock, stop request and id are the chain's, and what the last link makes is the chain's, too."""

    def __init__(self, chain: RunFolder, recipe: ChainRecipe, number: int) -> None:
        super().__init__(link_folder(chain.path, recipe.links[number - 1]))
        self.chain = chain
        self.lock_file, self.stop_request = chain.lock_file, chain.stop_request
        if number == len(recipe.links):
            self.artifacts = chain.artifacts

    @property
    def id(self) -> str:
        return self.chain.id

    @property
    def home(self) -> Home:
        return self.chain.home


def run(session: Session) -> dict[str, Any]:
    """Do all links (or those that are left); returns the figures for `RunFinished`, each link's among them."""
    recipe = session.recipe
    assert isinstance(recipe, ChainRecipe)
    if recipe.of.out is not None:
        refuse_to_overwrite(Path(recipe.of.out), session.run.id)
    if not (session.run.path / LINKS).exists():
        session.notice(CAUTION)
    before, found = Done(), []
    for number in range(1, len(recipe.links) + 1):
        link = LinkRun(session.run, recipe, number)
        results = results_of(link)
        if results is None:
            results = go_through(session, recipe, number, before)
            free_unused(session.device)  # the models of this link, before the next loads its own
        if number < len(recipe.links):
            shutil.rmtree(link.checkpoints, ignore_errors=True)
        found.append({"name": recipe.links[number - 1].name, **results})
        before = before.and_also(results)
    return {
        **{name: value for name, value in found[-1].items() if name != "name"},
        "teacher": found[0]["teacher"],
        "teacher_parameters": found[0]["teacher_parameters"],
        "steps": before.steps,
        "tokens": before.tokens,
        "seconds": before.seconds,
        "links": found,
    }


def tidy(run: RunFolder) -> None:
    """Remove what a finished chain needs no more."""
    for link in (run.path / LINKS).iterdir():
        distill.tidy(RunFolder(link))


def results_of(link: RunFolder) -> dict[str, Any] | None:
    """The figures of a link that has finished."""
    end = last_event(link.journal)
    return end.results if isinstance(end, ev.RunFinished) else None


def go_through(chain: Session, recipe: ChainRecipe, number: int, before: Done) -> dict[str, Any]:
    """One link, from its beginning or its newest checkpoint, as `core.engine.__main__.work` does a run."""
    chain.check_stop()
    link = LinkRun(chain.run, recipe, number)
    asked = recipe.link_recipe(number, chain.run.path)
    make_folder(link, asked, chain.run)
    if number > 1 and asked.init != "existing":
        take_tokens(RunFolder(link_folder(chain.run.path, recipe.links[number - 2])), link)
    checkpoints.drop_incomplete(link.checkpoints)
    newest = checkpoints.newest(link.checkpoints)
    step = newest[0] if newest else 0
    history = at_step(chain, before.steps + step)
    if number not in {entered.number for entered in history.links}:
        name = recipe.links[number - 1].name
        chain.say(ev.LinkEntered(number, len(recipe.links), name, before.steps))
    assert history.engine is not None
    with JournalWriter(link.journal) as journal:
        journal.append(replace(history.engine, resumed_from=newest[0] if newest else None))
        session = LinkSession(chain, link, asked, journal, Place(recipe, number, before), history)
        session.catch_up()
        try:
            results = distill.run(session)
        except StopRequested:
            chain.step = before.steps + session.step
            journal.append(ev.RunStopped(session.step))
            raise
        except BaseException as error:
            details = traceback.format_exc()
            checkpoints.drop_incomplete(link.checkpoints)
            with suppress(OSError):  # a full disk: the chain's journal says it, once there is room
                trouble = as_trouble(error, link, session)
                journal.append(ev.RunFailed(trouble.what, trouble.way_out, details, session.step))
            raise
        journal.append(ev.RunFinished(results))
    return results


def make_folder(link: LinkRun, recipe: DistillRecipe, chain: RunFolder) -> None:
    """Write what a run folder begins with; the recipe comes last, and says that the rest is there."""
    if link.recipe_file.exists():
        return
    link.checkpoints.mkdir(parents=True, exist_ok=True)
    link.artifacts.mkdir(exist_ok=True)
    name = f"assistant of {chain.meta().get('name') or chain.id}"
    write_json(link.meta_file, {"name": name, "tags": [], "made_from": chain.id, "created": time.time()})
    write_json(link.recipe_file, recipe.model_dump(mode="json"))


def take_tokens(earlier: RunFolder, link: RunFolder) -> None:
    """Go on with the tokens that the link before has read, which are enough, for no link trains on more than the first.

    So all links are measured on the same held-out text, and none of it was ever trained on.
    """
    kept, wanted = earlier.path / TOKENS, link.path / TOKENS
    if kept.is_dir() and not wanted.exists():
        kept.rename(wanted)


def at_step(chain: Session, step: int) -> History:
    """The chain's history, with nothing in it that comes after `step`, which will be done again."""
    history = fold(read_journal(chain.run.journal))
    if history.step <= step or history.engine is None:
        return history
    # a checkpoint of the link was damaged after the chain had counted on it
    chain.say(replace(history.engine, resumed_from=step or None))
    return fold(read_journal(chain.run.journal))


@dataclass(frozen=True)
class Place:
    """Where in the chain a link stands."""

    recipe: ChainRecipe
    number: int
    before: Done

    @property
    def name(self) -> str:
        return f"link {self.number} of {len(self.recipe.links)}, {count_text(self.recipe.links[self.number - 1].parameters)}"

    def whole(self, planned: ev.TrainingPlanned) -> ev.TrainingPlanned:
        """The training of all links, once this one's is known. The later ones' steps are reckoned from it."""
        batch = planned.micro_batch * planned.accumulation * planned.sequence_length
        filled = planned.tokens / (planned.steps * batch)  # blocks have some padding
        steps, tokens = self.before.steps + planned.steps, self.before.tokens + planned.tokens
        for link in self.recipe.links[self.number :]:
            asked = self.recipe.of.batch_tokens
            later = batch if asked else defaults.batch_tokens(link.tokens, planned.sequence_length)[0]
            steps += ceil(link.tokens / (later * filled))
            tokens += link.tokens
        student = self.recipe.links[-1].parameters
        return replace(planned, steps=steps, tokens=tokens, student_parameters=student, flops_per_token=None)


class LinkSession(Session):
    """Speaks into the journal of its link, and passes on to the chain's what concerns the whole."""

    def __init__(
        self,
        chain: Session,
        link: LinkRun,
        recipe: DistillRecipe,
        journal: JournalWriter,
        place: Place,
        told: History,
    ) -> None:
        heeding = signal.getsignal(signal.SIGTERM)
        super().__init__(link, recipe, journal, chain.devices, chain.peers)
        signal.signal(signal.SIGTERM, heeding)  # the chain's session heeds it for both
        self.chain = chain
        self.place = place
        self._told_step = told.step - place.before.steps
        self._told_teacher = place.number > 1 or any(point.subject == "teacher" for point in told.evaluations)
        self._told = self._evaluations_told(told)

    def stop_wish(self) -> str | None:
        return self.chain.stop_wish()

    def say(self, event: ev.Event) -> None:
        super().say(event)
        self.pass_on(event)

    def catch_up(self) -> None:
        """Tell the chain what the link had said before it was killed, and the chain had not heard or no longer counts."""
        history = fold(read_journal(self.run.journal))
        for event in (*history.steps, *history.evaluations, *history.samples):
            self.pass_on(event)
        self._told_step = max([self._told_step, history.step])
        self._told |= {point.step for point in history.evaluations if point.subject == "student"}

    def pass_on(self, event: ev.Event) -> None:
        before = self.place.before
        match event:
            case ev.PhaseEntered():
                self.chain.phase_name = event.phase
                detail = f"{self.place.name}: {event.detail}" if event.detail else self.place.name
                self.chain.say(replace(event, detail=detail))
            case ev.PhaseProgressed() | ev.ChoiceMade():
                self.chain.say(event)
            case ev.NoticeRaised():
                self.chain.say(replace(event, text=f"{self.place.name}: {event.text}"))
            case ev.TrainingPlanned():
                self.chain.say(self.place.whole(event))
            case ev.StepLogged() if event.step > self._told_step:
                self.chain.step = before.steps + event.step
                seconds = round(before.seconds + event.seconds, 3)
                self.chain.say(
                    replace(event, step=self.chain.step, tokens=before.tokens + event.tokens, seconds=seconds)
                )
            case ev.EvaluationLogged(subject="teacher") if not self._told_teacher:
                self._told_teacher = True
                self.chain.say(event)
            case ev.EvaluationLogged(subject="student") if event.step not in self._told:
                step, tokens = before.steps + event.step, before.tokens + event.tokens
                self.chain.say(replace(event, step=step, tokens=tokens))
            case ev.SampleWritten() if event.step not in self._told:
                self.chain.say(replace(event, step=before.steps + event.step))
            case ev.CheckpointSaved():
                self._mark(before.steps + event.step)

    def _mark(self, step: int) -> None:
        """A checkpoint of the chain: from here it goes on, with the weights that the link keeps."""
        folder = self.chain.run.checkpoints / f"{checkpoints.PREFIX}{step}"
        folder.mkdir(exist_ok=True)
        write_json(folder / "link.json", {"link": self.run.path.name})
        checkpoints.seal(folder, step)
        self.chain.say(ev.CheckpointSaved(step, folder.relative_to(self.chain.run.path).as_posix()))
        checkpoints.keep_newest(self.chain.run.checkpoints, KEPT_MARKS)

    def _evaluations_told(self, told: History) -> set[int]:
        """Steps of this link whose evaluations the chain has heard. Its step 0 is the last of the link before, which was measured too."""
        steps = [point.step - self.place.before.steps for point in told.evaluations if point.subject == "student"]
        first = steps.count(0) > (1 if self.place.number > 1 else 0)
        return {step for step in steps if step > 0} | ({0} if first else set())
