"""How a story is told: a cast, sentences in many wordings, and the facts that later sentences rest on.

A `Teller` collects sentences. Where a word follows from what was said before (a sum, a place, an owner), the plot
wraps it in `know`, so that the same grammar that writes the training text also gives questions with exact answers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from resources.sample import words

T = TypeVar("T")


class Character(NamedTuple):
    """Somebody in the cast. `he`, `him`, `his` are the right pronouns, whatever the gender."""

    name: str
    kind: str
    trait: str
    home: str
    he: str
    him: str
    his: str

    @property
    def He(self) -> str:  # noqa: N802 - the pronoun at the start of a sentence
        return self.he.capitalize()

    @property
    def His(self) -> str:  # noqa: N802
        return self.his.capitalize()

    @property
    def title(self) -> str:
        """ "Gus the cat" for animals; a person goes by the name alone."""
        return f"{self.name} the {self.kind}" if self.kind in words.ANIMALS else self.name


class Thing(NamedTuple):
    """A thing that is known by its colour: "red kite"."""

    colour: str
    noun: str

    def __str__(self) -> str:
        return f"{self.colour} {self.noun}"


class Fact(NamedTuple):
    """The word(s) at `text[start:start + len(answer)]` follow from the text before; `choices` are of the same kind."""

    skill: str
    start: int
    answer: str
    choices: tuple[str, ...]


def a(phrase: str) -> str:
    """The phrase with its indefinite article."""
    return f"an {phrase}" if phrase[0] in "aeiou" or phrase.startswith("honest") else f"a {phrase}"


def listing(items: Sequence[str]) -> str:
    return f"{', '.join(items[:-1])}, and {items[-1]}" if len(items) > 2 else " and ".join(items)


def number(n: int) -> str:
    return words.NUMBERS[n]


def amount(n: int, noun: str) -> str:
    """ "one apple", "two apples"."""
    return f"{words.NUMBERS[n]} {noun if n == 1 else words.COUNTED[noun]}"


class Teller:
    """Tells one story. All chance comes from `rng.random()`, whose sequence Python guarantees across versions."""

    def __init__(self, rng: random.Random, record: bool = False) -> None:
        self._draw = rng.random
        self._record = record
        self._known: list[tuple[str, str, tuple[str, ...]]] = []
        self._parts: list[str] = []
        self._used: set[object] = set()
        self.lesson = ""
        self.hero, self.friend, self.other = self._cast()
        self.place = self.new(_PLACES)

    # Chance

    def chance(self, probability: float) -> bool:
        return self._draw() < probability

    def between(self, low: int, high: int) -> int:
        return low + int(self._draw() * (high - low + 1))

    def pick(self, options: Sequence[T]) -> T:
        return options[int(self._draw() * len(options))]

    def new(self, options: Sequence[T]) -> T:
        """One of `options` that this story has not used yet, so that a word never means two things in it."""
        while (option := options[int(self._draw() * len(options))]) in self._used:
            pass
        self._used.add(option)
        return option

    def shuffled(self, items: Iterable[T]) -> list[T]:
        rest = list(items)
        return [rest.pop(int(self._draw() * len(rest))) for _ in range(len(rest))]

    def thing(self) -> Thing:
        return Thing(self.new(words.COLOURS), self.new(words.TOYS))

    def _cast(self) -> tuple[Character, Character, Character]:
        animals = self._draw()
        return self._character(animals), self._character(animals), self._character(animals)

    def _character(self, animals: float) -> Character:
        is_animal = animals < 0.3 or (animals < 0.6 and self.chance(0.5))
        is_she = self.chance(0.5)
        pronouns = ("she", "her", "her") if is_she else ("he", "him", "his")
        trait = self.new(words.TRAITS)
        if is_animal:
            kind = self.new(_ANIMAL_KINDS)
            name = self.new(words.SHE_ANIMALS if is_she else words.HE_ANIMALS)
            return Character(name, kind, trait, words.ANIMALS[kind].home, *pronouns)
        home = f"in a {self.new(words.HOUSES)} by the {self.new(words.LANDMARKS)}"
        name = self.new(words.GIRLS if is_she else words.BOYS)
        return Character(name, "girl" if is_she else "boy", trait, home, *pronouns)

    # Telling

    def say(self, *variants: str) -> None:
        """One of the wordings, as the next sentence(s)."""
        if sentence := variants[int(self._draw() * len(variants))]:
            self._parts.append(sentence)

    def paragraph(self) -> None:
        if self._parts[-1] != "\n":
            self._parts.append("\n")

    def then(self, sentence: str) -> str:
        """The sentence, often behind an opening that only says that time passes."""
        opening = _OPENINGS[int(self._draw() * len(_OPENINGS))]
        return opening + sentence if opening else sentence[0].upper() + sentence[1:]

    def speech(self, speaker: str, line: str) -> str:
        """`line` (ending in one of . ! ?) as direct speech in one of the usual orders."""
        verb = self.pick(_VERBS[line[-1]])
        if self._draw() < 0.35:
            return f'{speaker[0].upper()}{speaker[1:]} {verb}, "{line}"'
        return f'"{line[:-1]},"' + f" {verb} {speaker}." if line[-1] == "." else f'"{line}" {verb} {speaker}.'

    def know(self, skill: str, answer: str, choices: Iterable[str]) -> str:
        """Mark `answer` as following from what was told; `choices` are answers of the same kind."""
        if not self._record:
            return answer
        self._known.append((skill, answer, tuple(choices)))
        return f"\0{len(self._known) - 1}\0{answer}"

    def who(self, skill: str, character: Character) -> str:
        """The name of a character, where it follows who it must be."""
        return self.know(skill, character.name, (self.hero.name, self.friend.name, self.other.name))

    def count(self, n: int) -> str:
        """A number that follows from earlier numbers."""
        return self.know("counting", words.NUMBERS[n], words.NUMBERS[max(0, n - 2) : n + 3])

    def pronoun(self, character: Character) -> str:
        return self.know("agreement", character.he, ("he", "she"))

    def colour(self, colour: str) -> str:
        return self.know("colour", colour, words.COLOURS)

    def spot(self, spot: str) -> str:
        return self.know("place", spot, words.SPOTS)

    def mark(self, landmark: str) -> str:
        return self.know("order", landmark, (mark for _, mark in words.LANDSCAPE))

    def feeling(self, feeling: str) -> str:
        return self.know("cause", feeling, words.FEELINGS)

    def elder(self, elder: words.Elder) -> str:
        return self.know("names", elder.name, (other.name for other in words.FAMILY))

    def food(self, food: str) -> str:
        return self.know("names", food, words.FOODS)

    def toy(self, noun: str) -> str:
        return self.know("names", noun, words.TOYS)

    def finish(self) -> tuple[str, list[Fact]]:
        text = " ".join(self._parts).replace(" \n ", "\n")
        if not self._record:
            return text, []
        pieces = re.split("\0(\\d+)\0", text)
        told, facts = pieces[0], []
        for index, piece in zip(pieces[1::2], pieces[2::2], strict=True):
            skill, answer, choices = self._known[int(index)]
            facts.append(Fact(skill, len(told), answer, choices))
            told += piece
        return told, facts


_PLACES = tuple(words.PLACES)
_ANIMAL_KINDS = tuple(words.ANIMALS)
_OPENINGS = ("", "", "", "Then ", "Soon ", "After that, ", "A little later, ", "After a while, ", "Just then, ")
_VERBS = {
    ".": ("said", "said", "said", "answered", "whispered", "replied"),
    "!": ("cried", "shouted", "called", "said"),
    "?": ("asked", "asked", "wondered"),
}
