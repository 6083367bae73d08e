"""Short, coherent children's stories from a seeded grammar: the text the sample's teachers are trained on.

A story has a cast, a main plot, up to two side plots told in between, and an ending that looks back. Names, owners,
places, colours and numbers are kept, so that what comes later follows from what came before. Story `i` of a seed
depends on nothing but the seed and `i`.

    python -m resources.sample.stories            prints a few stories
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from core.files import write_text
from resources.sample import words
from resources.sample.plots import MAIN, SIDE
from resources.sample.telling import Character, Fact, Teller, a

TRAIN_SEED = 1
HELD_OUT_SEED = 2
TOKENIZER_SEED = 3
QUESTION_SEED = 4
SEPARATOR = "<|endoftext|>"


def story(rng: random.Random) -> str:
    """One story; paragraphs are parted by a newline."""
    return tell(rng, record=False)[0]


def stories(seed: int, count: int | None = None) -> Iterator[str]:
    """The first `count` stories of a seed; without a count, stories for ever."""
    index = 0
    while count is None or index < count:
        yield story(story_rng(seed, index))
        index += 1


def story_rng(seed: int, index: int) -> random.Random:
    """The source of chance of story `index`: a string seed is hashed, so that neighbours have nothing in common."""
    return random.Random(f"{seed}/{index}")


def write_corpus(path: Path, seed: int, count: int) -> None:
    """Write `count` stories, each followed by a line `<|endoftext|>`; the file is whole or absent."""
    write_text(path, "".join(f"{text}\n{SEPARATOR}\n" for text in stories(seed, count)))


def tell(rng: random.Random, record: bool) -> tuple[str, list[Fact]]:
    """One story and, if `record`, the facts in it. Recording does not change the story."""
    t = Teller(rng, record)
    _opening(t)
    main = t.pick(MAIN)(t)
    sides = [t.new(SIDE)(t) for _ in range(t.pick((0, 0, 0, 1, 1, 1, 2)))]
    going = [main, *sides]
    for part in t.shuffled(going):
        next(part)
    while going:
        t.paragraph()
        for part in t.shuffled(going):
            if t.chance(0.7) and next(part, _END) is _END:
                going.remove(part)
    t.paragraph()
    _ending(t)
    return t.finish()


_END = object()


def _opening(t: Teller) -> None:
    h, f, o = t.hero, t.friend, t.other
    t.say(
        f"Once upon a time, there was {a(h.trait)} {h.kind} named {h.name}.",
        f"There once was {a(h.trait)} {h.kind}. {h.His} name was {h.name}.",
        f"{h.name} was {a(h.trait)} {h.kind}.",
        f"Once there lived {a(h.trait)} {h.kind} whose name was {h.name}.",
    )
    t.say(
        f"{t.know('agreement', h.He, ('He', 'She'))} lived {h.home}.",
        f"{h.name} lived {h.home}.",
        f"{h.His} home was {h.home}.",
    )
    t.say(
        f"{h.His} best friend was {f.title}, who was {f.trait}.",
        f"{f.title} was {h.his} friend. {t.know('agreement', f.He, ('He', 'She'))} lived {f.home}.",
        f"{h.He} had a friend, {a(f.trait)} {f.kind} named {f.name}.",
    )
    sky, at = t.pick(words.SKIES), words.PLACES[t.place]
    t.say(
        f"One {sky} day, they went to the {t.place} with {o.title}.",
        f"On {a(sky)} morning, they met {o.name}, {a(o.trait)} {o.kind}, {at} the {t.place}.",
        f"It was {a(sky)} day. {o.title} was waiting for them {at} the {t.place}.",
    )
    t.paragraph()


def _ending(t: Teller) -> None:
    h, f, o = t.hero, t.friend, t.other
    at, place = words.PLACES[t.place], t.know("place", t.place, words.PLACES)
    t.say(
        f"In the evening, {h.name} went home. {h.He} slept well {t.know('place', h.home, _homes(h))}.",
        f"When the sun went down, {_recalled(t, h)} said good night to {f.name} and {t.who('names', o)}.",
        f"They all left the {place} and went home.",
        f"{_recalled(t, f)} and {_recalled(t, o)} waved goodbye.",
        f"At night, {h.name} lay {t.know('place', h.home, _homes(h))} and thought about the day {at} the {place}.",
        _food_at_home(h),
    )
    lesson = t.pick(LESSONS[t.lesson])
    learned = t.know("cause", lesson, (lesson, *(options[0] for key, options in LESSONS.items() if key != t.lesson)))
    t.say(
        f"{h.name} had learned that {learned}.",
        f"And so they learned that {learned}.",
        f"From that day on, {h.name} knew that {learned}.",
        f'"{lesson.capitalize()}," said {f.name}, and it was true.',
        f"{h.name} was still {t.know('names', h.trait, words.TRAITS)}, but now {t.pronoun(h)} knew that {learned}.",
        "It had been a good day. The end.",
    )


def _food_at_home(c: Character) -> str:
    if c.kind in words.ANIMALS:
        return f"At home, {c.name} ate some {words.ANIMALS[c.kind].food} and {words.ANIMALS[c.kind].sound}."
    return f"At home, {c.name} told everything to {c.his} mother and father."


def _homes(c: Character) -> list[str]:
    if c.kind in words.ANIMALS:
        return [animal.home for animal in words.ANIMALS.values()]
    house = c.home.rsplit(" ", 1)[0]
    return [f"{house} {mark}" for mark in words.LANDMARKS]


def _recalled(t: Teller, c: Character) -> str:
    return f"{c.name} the {t.know('names', c.kind, words.ANIMALS)}" if c.kind in words.ANIMALS else c.name


LESSONS = {
    "care": ("one should look after one's things", "things like to stay where we put them"),
    "ready": ("it is good to be ready", "the right tool makes hard work easy"),
    "trade": ("one can get a lot by trading fairly", "a fair trade makes everybody glad"),
    "helped": ("kindness comes back to us", "even a small friend can be a big help"),
    "winning": ("helping is better than winning", "a friend is worth more than a prize"),
    "errand": ("a long way is short with a friend", "it is nice to bring joy to others"),
    "greedy": ("greedy people end up alone", "it is no fun to have everything alone"),
    "share": ("sharing makes everything better", "a shared snack tastes best"),
    "honest": ("it is best to tell the truth", "telling the truth takes away fear"),
    "lie": ("a lie hurts other people", "lies make everything worse"),
    "fun": ("playing is more important than winning", "a race is fun for the last one too"),
    "together": ("together they could do anything", "many hands make light work"),
    "gift": ("a good gift needs a good thought", "it is nice to know what a friend likes"),
    "brave": ("one can be brave with a friend", "being brave means going on when one is afraid"),
    "listen": ("it is wise to listen", "rules are there for a reason"),
    "listened": ("listening keeps us safe", "a good friend says no to a bad plan"),
    "remember": ("it helps to remember what one was told", "a good memory is worth more than gold"),
}

if __name__ == "__main__":
    sys.stdout.writelines(f"{text}\n{SEPARATOR}\n" for text in islice(stories(HELD_OUT_SEED), 8))
