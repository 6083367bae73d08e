"""The sample's text: stories whose facts hold, a tokenizer that loses nothing, questions that the story answers."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from resources.sample import words
from resources.sample.questions import SKILLS, Question, questions
from resources.sample.stories import (
    HELD_OUT_SEED,
    LESSONS,
    QUESTION_SEED,
    SEPARATOR,
    TOKENIZER_SEED,
    TRAIN_SEED,
    stories,
    story,
    story_rng,
    tell,
    write_corpus,
)
from resources.sample.tokenizer import build_tokenizer

VALUE = {word: n for n, word in enumerate(words.NUMBERS)}
NUMBER = "|".join(sorted(words.NUMBERS, key=len, reverse=True))


@pytest.fixture(scope="module")
def many() -> list[str]:
    return list(stories(TRAIN_SEED, 4000))


@pytest.fixture(scope="module")
def asked() -> list[Question]:
    return questions(QUESTION_SEED, 100)


@pytest.fixture(scope="module")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(folder, story_count=3000)
    return folder


# Stories


def test_story_depends_only_on_seed_and_index(many: list[str]) -> None:
    assert list(stories(TRAIN_SEED, 20)) == many[:20]
    assert story(story_rng(TRAIN_SEED, 17)) == many[17]
    assert next(stories(HELD_OUT_SEED, 1)) != many[0]


def test_recording_facts_does_not_change_the_story(many: list[str]) -> None:
    for index in range(200):
        text, facts = tell(story_rng(TRAIN_SEED, index), record=True)
        assert text == many[index]
        assert facts
        for fact in facts:
            assert text[fact.start :].startswith(fact.answer)
            assert fact.answer in fact.choices


def test_held_out_stories_are_not_in_the_training_text(many: list[str]) -> None:
    assert len({TRAIN_SEED, HELD_OUT_SEED, TOKENIZER_SEED, QUESTION_SEED}) == 4
    training = set(stories(TRAIN_SEED, 12_000))
    held_out = list(stories(HELD_OUT_SEED, 3000))
    assert sum(text in training for text in held_out) < 0.001 * len(held_out)
    assert len(set(many)) > 0.999 * len(many)


def test_vocabulary_is_that_of_a_child(many: list[str]) -> None:
    types = {word.lower() for text in many for word in re.findall(r"[A-Za-z'-]+", text)}
    assert 900 <= len(types) <= 1300


def test_stories_are_short_whole_sentences_in_paragraphs(many: list[str]) -> None:
    for text in many:
        assert 60 < len(text.split()) < 320
        assert text.endswith((".", '."'))
        assert SEPARATOR not in text
        assert "\0" not in text
        assert not re.search(r'  |\n\n|\n | \n|(?:^|[.!?] |\n)"?[a-z]|\b(\w+) \1\b', text), text


def test_article_fits_the_next_word(many: list[str]) -> None:
    for text in many:
        for article, word in re.findall(r"\b([Aa]n?) (\w+)", text):
            assert article.lower() == ("an" if word[0] in "aeiou" or word == "honest" else "a"), f"{article} {word}"


def test_number_agrees_with_its_noun(many: list[str]) -> None:
    plural = {many_: one for one, many_ in words.COUNTED.items()}
    seen = 0
    for text in many:
        for count, noun in re.findall(rf"\b({NUMBER}) (?:more )?(\w+)", text):
            if noun in plural or noun in words.COUNTED:
                seen += 1
                assert (count == "one") == (noun in words.COUNTED), f"{count} {noun}"
    assert seen > 1000


def test_pronoun_fits_the_hero(many: list[str]) -> None:
    gender = dict.fromkeys((*words.GIRLS, *words.SHE_ANIMALS), "She") | dict.fromkeys(
        (*words.BOYS, *words.HE_ANIMALS), "He"
    )
    checked = 0
    for text in many:
        for name, pronoun in re.findall(r"named (\w+)\. (He|She) lived", text):
            checked += 1
            assert gender[name] == pronoun
    assert checked > 200


def test_a_recipe_counts_up(many: list[str]) -> None:
    pattern = re.compile(
        rf"need(?:ed)? ({NUMBER}) \w+\b.*?only ({NUMBER}) .*?need(?:ed)? ({NUMBER}) more.*?"
        rf"(?:found|brought) ({NUMBER}) .*?(?:other|brought) ({NUMBER})[.,]",
        re.S,
    )
    sums = [[VALUE[word] for word in match.groups()] for text in many if (match := pattern.search(text))]
    assert len(sums) > 100
    for need, have, missing, first, second in sums:
        assert need == have + missing
        assert missing == first + second


def test_collected_things_add_up(many: list[str]) -> None:
    """Follow the collection through the story, sentence by sentence, and find each stated count right."""
    start = re.compile(rf"(?:That day )?(\w+) had ({NUMBER}) (\w+)(?:, and|\.) (\w+) had ({NUMBER})\b")
    checked = 0
    event = re.compile(
        rf"(?P<giver>\w+) gave (?:(?P<a>\w+) )?(?P<n>{NUMBER}) \w+(?: to (?P<b>\w+))?\."
        rf"|(?P<finder>\w+) (?:found|got|picked up) (?P<m>{NUMBER}) more\b"
        rf"|\b(?:[Hh]e|[Ss]he|[Nn]ow|and|That|So) (?:(?P<who>[A-Z]\w+) )?(?:had|made) (?P<stated>{NUMBER})\b(?! more)"
    )
    for text in many:
        if not (match := start.search(text)):
            continue
        one, first, _, two, second = match.groups()
        held = {one: VALUE[first], two: VALUE[second]}
        last = one
        for found in event.finditer(text, match.end()):
            if found["giver"] in held and (to := found["a"] or found["b"]) in held:
                held[found["giver"]] -= VALUE[found["n"]]
                held[to] += VALUE[found["n"]]
            elif found["finder"] in held:
                last = found["finder"]
                held[last] += VALUE[found["m"]]
            elif found["stated"] and (found["who"] or last) in held:
                checked += 1
                assert held[found["who"] or last] == VALUE[found["stated"]], text
    assert checked > 500


def test_the_way_back_is_the_way_there_reversed(many: list[str]) -> None:
    mark = dict(words.LANDSCAPE)
    leg = "|".join(mark)
    there = re.compile(rf"({leg}),?\.? (?:(?:and |then |Then |at last |they went |, )*)({leg}).*?({leg})", re.S)
    back = re.compile(
        r"(?:came to|First came) (the \w+)(?: first)?, then (?:to )?(the \w+), (?:and last to|then) (the \w+)"
    )
    checked = 0
    for text in many:
        if (returned := back.search(text)) and (gone := there.search(text)):
            checked += 1
            assert [mark[place] for place in gone.groups()] == list(reversed(returned.groups())), text
    assert checked > 100


def test_a_lesson_fits_what_happened(many: list[str]) -> None:
    honest = [text for text in many if "telling the truth" in text and "learned" in text]
    lied = [text for text in many if any(lesson in text for lesson in LESSONS["lie"])]
    assert len(honest) > 10
    assert len(lied) > 10
    assert all('"It was not' in text or "Then he told" in text or "Then she told" in text for text in lied)
    assert not any("that was a lie" in text for text in honest)


def test_every_story_can_be_told_whatever_the_chance() -> None:
    """No plot runs out of words, at either end of the dice."""

    class Loaded(random.Random):
        def __init__(self, near: float) -> None:
            super().__init__(5)
            self.near = near

        def random(self) -> float:
            roll = super().random()
            return roll if roll < 0.5 else self.near

    for near in (0.0, 0.999999):
        assert len(story(Loaded(near)).split()) > 60


def test_corpus_file_holds_the_stories_parted_by_separator_lines(tmp_path: Path, many: list[str]) -> None:
    path = tmp_path / "stories.txt"
    write_corpus(path, TRAIN_SEED, 30)
    documents = path.read_text(encoding="utf-8").split(f"\n{SEPARATOR}\n")
    assert documents == [*many[:30], ""]
    assert [each.name for each in tmp_path.iterdir()] == ["stories.txt"]


def test_a_corpus_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_corpus(tmp_path / "missing" / "stories.txt", TRAIN_SEED, 2)
    assert list(tmp_path.iterdir()) == []


# Tokenizer


def test_tokenizer_has_2048_entries_and_three_specials(tokenizer_folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 2048
    assert [tokenizer.token_to_id(token) for token in ("<s>", "</s>", "<pad>")] == [0, 1, 2]


def test_tokenizer_is_the_same_each_time(tokenizer_folder: Path, tmp_path: Path) -> None:
    build_tokenizer(tmp_path / "again", story_count=3000)
    for path in tokenizer_folder.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_transformers_loads_the_tokenizer_and_loses_nothing(tokenizer_folder: Path, many: list[str]) -> None:
    transformers = pytest.importorskip("transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(tokenizer_folder)
    assert tokenizer.model_max_length == 512
    for text in [*many[:200], "Zoë's 3 naïve\tcats — 猫 🐈  , \n\n end ."]:
        ids = tokenizer.encode(text)
        assert ids[0] == tokenizer.bos_token_id
        assert tokenizer.eos_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == text
        assert tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) == text


def test_a_story_is_short_in_tokens(tokenizer_folder: Path, many: list[str]) -> None:
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    lengths = [len(encoding.ids) for encoding in tokenizer.encode_batch(many)]
    assert 130 < sum(lengths) / len(lengths) < 220
    assert max(lengths) <= 400


# Questions


def test_every_skill_has_as_many_questions_as_asked_for(asked: list[Question]) -> None:
    assert [question.skill for question in asked] == [skill for skill in SKILLS for _ in range(100)]
    assert len({(question.prompt, question.skill) for question in asked}) == len(asked)


def test_questions_depend_only_on_the_seed(asked: list[Question]) -> None:
    assert questions(QUESTION_SEED, 100) == asked
    assert questions(QUESTION_SEED + 1, 100) != asked


def test_choices_are_distinct_and_hold_the_answer(asked: list[Question]) -> None:
    for question in asked:
        assert 2 <= len(set(question.choices)) == len(question.choices) <= 4
        assert question.answer in question.choices
        assert question.chance == 1 / len(question.choices)


def test_the_story_goes_on_with_the_answer(asked: list[Question]) -> None:
    told = list(stories(QUESTION_SEED, 1500))
    for question in asked:
        assert any(text.startswith(question.prompt + question.answer) for text in told)


def test_a_choice_is_tokenized_as_the_story_would_have_it(asked: list[Question], tokenizer_folder: Path) -> None:
    """Scoring joins the ids of prompt and choice; they must be those of the joined text."""
    tokenizer = Tokenizer.from_file(str(tokenizer_folder / "tokenizer.json"))
    for question in asked:
        apart = tokenizer.encode(question.prompt).ids + tokenizer.encode(question.answer, add_special_tokens=False).ids
        assert apart == tokenizer.encode(question.prompt + question.answer).ids


def test_the_answer_has_no_favourite_position(asked: list[Question]) -> None:
    for position in range(3):
        hits = [question.choices[position] == question.answer for question in asked if len(question.choices) == 4]
        assert 0.15 < sum(hits) / len(hits) < 0.35


@pytest.mark.parametrize("skill", ["counting", "possession", "order", "names"])
def test_the_last_word_mentioned_is_not_the_answer(asked: list[Question], skill: str) -> None:
    """A model must know the facts: choosing what was named last is wrong more often than not."""
    of_skill = [question for question in asked if question.skill == skill]
    last = [max(q.choices, key=lambda choice, q=q: q.prompt.rfind(choice.strip())) == q.answer for q in of_skill]
    assert sum(last) / len(last) < 0.6
