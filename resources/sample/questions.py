"""Questions with exact answers, by skill: a story up to a word that follows from what it has told.

The stories come from the grammar of the training text, under a seed of their own, so a model needs no instructions: it
answers with the choice to which it gives the highest log-probability after the prompt.

    python -m resources.sample.questions          prints a few questions of each skill
"""

from __future__ import annotations

import random
import sys
from itertools import count
from typing import NamedTuple

from resources.sample.stories import QUESTION_SEED, story_rng, tell
from resources.sample.telling import Fact

SKILLS = {
    "counting": "sums, differences, halves, and who has more",
    "possession": "who has what after it changed hands",
    "place": "where things were put, where one was and lives",
    "colour": "which colour belongs to what",
    "names": "who somebody was, what was said or wished",
    "order": "first and last, taller and faster, the way back, the days",
    "cause": "what helps, what follows, how one feels, what one learns",
    "agreement": "pronouns, singular and plural",
}
CHOICES = 4


class Question(NamedTuple):
    """`prompt + answer` begins a story; choices and answer carry the space that parts them from the prompt."""

    skill: str
    prompt: str
    answer: str
    choices: tuple[str, ...]

    @property
    def chance(self) -> float:
        """Accuracy of guessing."""
        return 1 / len(self.choices)


def questions(seed: int, per_skill: int) -> list[Question]:
    """`per_skill` questions for each of `SKILLS`, in that order; at most one of a skill from any one story."""
    found: dict[str, list[Question]] = {skill: [] for skill in SKILLS}
    for index in count():
        if all(len(of_skill) == per_skill for of_skill in found.values()):
            return [question for of_skill in found.values() for question in of_skill]
        text, facts = tell(story_rng(seed, index), record=True)
        rng = random.Random(f"questions/{seed}/{index}")
        by_skill: dict[str, list[Fact]] = {}
        for fact in facts:
            by_skill.setdefault(fact.skill, []).append(fact)
        for skill, of_skill in by_skill.items():
            if len(found[skill]) < per_skill:
                found[skill].append(_question(text, of_skill[int(rng.random() * len(of_skill))], rng))
    raise AssertionError("stories never run out")


def _question(text: str, fact: Fact, rng: random.Random) -> Question:
    """Wrong choices that the story has mentioned come first: they are the tempting ones."""
    told = text[: fact.start]
    wrong = sorted(set(fact.choices) - {fact.answer})
    tempting = [choice for choice in wrong if f" {choice}" in told]
    others = [choice for choice in wrong if f" {choice}" not in told]
    distractors = (_shuffled(tempting, rng) + _shuffled(others, rng))[: CHOICES - 1]
    space = " " if told.endswith(" ") else ""
    choices = tuple(space + choice for choice in _shuffled([fact.answer, *distractors], rng))
    return Question(fact.skill, told.removesuffix(" "), space + fact.answer, choices)


def _shuffled(items: list[str], rng: random.Random) -> list[str]:
    return sorted(items, key=lambda _: rng.random())


if __name__ == "__main__":
    for asked in questions(QUESTION_SEED, 3):
        sys.stdout.write(f"[{asked.skill}] {asked.prompt} …\n    {' /'.join(asked.choices)} ->{asked.answer}\n\n")
