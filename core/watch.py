"""Benchmarks while a student is being trained: every so many steps an evaluation of its checkpoint, a run of its own.

On the training's own device the training waits for it, and says what share of its time that took; on another device it goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field

from core.benchmarks import needs_consent, parse_tasks
from core.errors import BadRecipe
from core.evaluate import EvaluateRecipe
from core.recipe import Problem, Recipe

FIELDS = {  # of an evaluation → of the training that asks for it
    "tasks": "measure_tasks",
    "task_dir": "measure_files",
    "few_shot": "measure_shots",
    "limit": "measure_limit",
    "minimal_pairs": "measure_pairs",
    "skills": "measure_skills",
}
ASKING = ("measure_tasks", "measure_pairs", "measure_skills")  # one of them at least
UNWATCHED: dict[str, Any] = {  # what a training says that is not measured
    "measure_every": None,
    "measure_tasks": (),
    "measure_files": None,
    "measure_shots": None,
    "measure_limit": None,
    "measure_pairs": None,
    "measure_skills": 0,
    "measure_device": None,
}


class WatchedRecipe(Recipe):
    """A training that may be measured as it goes."""

    measure_every: int | None = Field(
        None,
        ge=1,
        description="Steps between measurements on benchmarks; by default none. The finished student is measured, too.",
    )
    measure_tasks: tuple[str, ...] = Field(
        (), description="Benchmarks of lm-evaluation-harness by name or group, as arc_easy or gsm8k_cot@8, or a preset."
    )
    measure_files: str | None = Field(None, description="The folder with their files; nothing is downloaded.")
    measure_shots: int | None = Field(
        None, ge=0, description="Examples before each question; by default each task's own."
    )
    measure_limit: int | None = Field(
        None, ge=1, description="Only the first questions of each task, and the first pairs of each set."
    )
    measure_pairs: str | None = Field(
        None,
        description="Minimal pairs: JSON lines with sentence_good and sentence_bad, a folder of such files, or BLiMP's archive.",
    )
    measure_skills: int = Field(0, ge=0, description="How many of the sample's questions to ask, for each skill.")
    measure_device: str | None = Field(
        None,
        description="Where the student is measured, as cuda:1; by default on the training's own device, which waits meanwhile.",
    )

    def is_due(self, step: int) -> bool:
        """Whether the student is measured after this step."""
        return self.measure_every is not None and step > 0 and step % self.measure_every == 0

    def waits(self, steps: int) -> int:
        """How many evaluations a training of so many steps waits for: those that are due, and the finished student's."""
        if self.measure_every is None or self.measure_device is not None:
            return 0
        return (steps - 1) // self.measure_every + 1

    def watch_problems(self) -> list[Problem]:
        """What stands against measuring, beside the fields of the training."""
        if self.measure_every is None:
            if all(getattr(self, name) == value for name, value in UNWATCHED.items()):
                return []
            return [Problem(field="measure_every", text="Say every how many steps the student is measured, as 200.")]
        if not any(getattr(self, name) for name in ASKING):
            text = "Name what is measured: benchmarks, minimal pairs, or the sample's questions."
            return [Problem(field="measure_tasks", text=text)]
        coded = self._coded()
        if coded:
            text = (
                f"{', '.join(coded)} runs programs that the model writes, which is asked for each time. Leave it out here, "
                "and evaluate the checkpoint or the finished student."
            )
            return [Problem(field="measure_tasks", text=text)]
        some_folder = Path(__file__).parent  # for the student is not there, yet
        return [
            Problem(field=FIELDS[problem.field], text=problem.text)
            for problem in self.evaluation(some_folder, "", None).problems()
            if problem.field in FIELDS
        ]

    def _coded(self) -> list[str]:
        try:
            return [task for task in parse_tasks(self.measure_tasks) if needs_consent(task)]
        except BadRecipe:  # the evaluation says so
            return []

    def evaluation(self, model: Path, name: str, device: str | None) -> EvaluateRecipe:
        """The evaluation of a student that is wanted. `device` is the training's own, on which it runs beside it."""
        asked = {theirs: getattr(self, ours) for theirs, ours in FIELDS.items()}
        return EvaluateRecipe(
            model=str(model),
            name=name,
            device=device or self.measure_device or "auto",
            share_device=True,
            seed=self.seed,
            allow_remote_code=self.allow_remote_code,
            **asked,
        )
