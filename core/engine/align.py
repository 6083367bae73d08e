"""Two tokenizers on one text: which bytes every token stands for, and where the tokens of both begin and end together.

The offsets that tokenizers give are counted in characters: they say nothing inside a character that several tokens share, and some
leave spaces out. So a token's bytes are read off its entry in the vocabulary, and a text is aligned by counting them. Only where
that does not give the text (a tokenizer that writes small, composes accents or drops spaces) are offsets asked, and a token then
counts as *sound* only if its own bytes stand in the text where its offsets say; what lies between sound tokens is one stretch that is
left out of any comparison.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from transformers import PreTrainedTokenizerBase

from core.errors import BadModel

SPACE = "\u2581"  # how SentencePiece writes a space
_HEX = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_PLAIN = "a cat sat on the mat"  # what every tokenizer must be able to spell


@dataclass(frozen=True)
class Spelling:
    """The entries of a vocabulary in bytes, by id; None where there is no entry.

    `special_V` marks special tokens, whose bytes are those of their name. With `dummy_space` a text is read as if a space stood before it.
    With `loose_space` the space before a word may be missing in the text (WordPiece).
    """

    bytes_V: list[bytes | None]
    names_V: list[str]
    special_V: np.ndarray
    size_V: np.ndarray
    dummy_space: bool
    loose_space: bool

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, name: str = "this model") -> Spelling:
        """BadModel if it can't be told what the tokenizer's entries stand for; `name` is the model's, for that message."""
        if not getattr(tokenizer, "is_fast", False):
            raise BadModel(
                f"The tokenizer of {name} has no tokenizer.json, so its tokens can't be aligned with those of another.",
                "Choose a teacher of the student's family, or a model that has the file.",
            )
        kinds = _kinds(tokenizer)
        entries = tokenizer.get_vocab()
        width = max(entries.values()) + 1
        bytes_V: list[bytes | None] = [None] * width
        names_V = [""] * width
        for token, number in entries.items():
            bytes_V[number], names_V[number] = _bytes_of(token, kinds), token
        special_V = np.zeros(width, dtype=bool)
        special_V[[number for number in tokenizer.all_special_ids if number < width]] = True
        for number, added in tokenizer.added_tokens_decoder.items():  # written as they are
            bytes_V[number], special_V[number] = added.content.encode(), special_V[number] or added.special
        size_V = np.array([0 if each is None else len(each) for each in bytes_V], dtype=np.int64)
        spelt = b"".join(bytes_V[number] or b"" for number in tokenizer(_PLAIN, add_special_tokens=False).input_ids)
        if spelt not in (_PLAIN.encode(), b" " + _PLAIN.encode()):
            raise BadModel(
                f"The tokens of {name} can't be told in bytes: “{_PLAIN}” reads as {spelt!r}.",
                "Choose a teacher with a byte-level, SentencePiece or WordPiece tokenizer.",
            )
        return cls(bytes_V, names_V, special_V, size_V, spelt.startswith(b" "), "WordPiece" in kinds)

    def __len__(self) -> int:
        return len(self.bytes_V)

    def spell(self, ids: np.ndarray) -> bytes:
        return b"".join(self.bytes_V[number] or b"" for number in ids.tolist())


@dataclass(frozen=True)
class Spans:
    """Where N tokens lie in a text, in bytes from its beginning (a dummy space before it is byte −1); neither array ever falls.

    A token is sound if exactly its bytes stand there. Others share one span with all tokens of their stretch.
    """

    start_N: np.ndarray
    end_N: np.ndarray
    sound_N: np.ndarray

    def followed(self, at: int) -> Spans:
        """These tokens and one more that covers "byte" `at`, which is beyond the text: where both texts end with a token of their own."""
        return Spans(np.append(self.start_N, at), np.append(self.end_N, at + 1), np.append(self.sound_N, True))

    @classmethod
    def of_sizes(cls, sizes_N: np.ndarray, first: int) -> Spans:
        """Tokens that follow one another without a gap, from byte `first` on."""
        end_N = first + np.cumsum(sizes_N)
        return cls(end_N - sizes_N, end_N, np.ones(len(sizes_N), dtype=bool))


def read_back(spelling: Spelling, ids: np.ndarray, begins: bool) -> tuple[str, Spans]:
    """The text that tokens stand for, and where each lies in it.

    `begins` says that the tokens begin a document: then the dummy space of some tokenizers is no part of the text. Where the tokens were
    cut inside a character, the text has whole characters only; a byte inside that can't be text ends it. Tokens that lie outside
    the text, or across its edge, are not sound.
    """
    spelt = spelling.spell(ids)
    dummy = 1 if begins and spelling.dummy_space and spelt.startswith(b" ") else 0
    skipped = 0
    while skipped < min(3, len(spelt)) and spelt[skipped] & 0xC0 == 0x80:  # the rest of a character that was cut
        skipped += 1
    first = dummy or skipped
    try:
        text = spelt[first:].decode()
    except UnicodeDecodeError as error:
        text = spelt[first : first + error.start].decode()
    spans = Spans.of_sizes(spelling.size_V[ids], -first)
    inside_N = (spans.start_N >= -dummy) & (spans.end_N <= len(text.encode()))
    return text, Spans(spans.start_N, spans.end_N, inside_N)


def encode(tokenizer: PreTrainedTokenizerBase, spelling: Spelling, text: str, begins: bool) -> tuple[np.ndarray, Spans]:
    """The tokenizer's ids for a text, without framing, and where each lies in it.

    Where the text goes on from something (not `begins`), its own first space takes the place of the dummy one.
    """
    own_space = not begins and spelling.dummy_space and text.startswith(" ")
    encoded = tokenizer(
        text[1:] if own_space else text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
    )
    ids = np.asarray(encoded.input_ids, dtype=np.int64)
    spelt, wanted = spelling.spell(ids), text.encode()
    for first, whole in ((0, wanted), (-1, b" " + wanted)):
        if spelt == whole:
            return ids, Spans.of_sizes(spelling.size_V[ids], first)
    offsets = np.asarray(encoded.offset_mapping, dtype=np.int64).reshape(-1, 2) + (1 if own_space else 0)
    return ids, _by_offsets(spelling, ids, offsets[:, 0], text)


def groups(one: Spans, other: Spans) -> np.ndarray:
    """The finest grouping in which both sides of every group cover the same bytes.

    (G, 4): tokens [from, to) of `one` and tokens [from, to) of `other`, in the order of the text. A token without bytes belongs to the
    group that follows it. What comes after the last common boundary is in no group.
    """
    common = np.intersect1d(one.end_N, other.end_N)
    edges = []
    for spans in (one, other):
        group_N = np.searchsorted(common, spans.start_N, side="right")
        edges.append(np.searchsorted(group_N, np.arange(len(common) + 1)))
    group_G4 = np.stack([edges[0][:-1], edges[0][1:], edges[1][:-1], edges[1][1:]], axis=1)
    return group_G4[(group_G4[:, 0] < group_G4[:, 1]) & (group_G4[:, 2] < group_G4[:, 3])]


def shared_entries(one: Spelling, other: Spelling) -> list[tuple[int, int]]:
    """Pairs of ids that stand for the same bytes, or are the special tokens of the same name; each id in one pair at most.

    Where several entries of a vocabulary have the same bytes (a letter, and the same letter as a fallback byte) the plain one comes first.
    """

    def by_meaning(spelling: Spelling) -> dict[tuple[bool, bytes], list[int]]:
        found: dict[tuple[bool, bytes], list[int]] = {}
        for number, (special, meaning) in enumerate(zip(spelling.special_V.tolist(), spelling.bytes_V, strict=True)):
            if meaning:
                found.setdefault((special, meaning), []).append(number)
        for ids in found.values():
            ids.sort(
                key=lambda number: (_HEX.fullmatch(spelling.names_V[number]) is not None, spelling.names_V[number])
            )
        return found

    theirs = by_meaning(other)
    return [
        pair
        for meaning, ids in by_meaning(one).items()
        for pair in zip(ids, theirs.get(meaning, ()), strict=False)  # the longer list's rest is not shared
    ]


# ---------------------------------------------------------------------------------------------------- vocabulary entries


def _kinds(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """The types of the tokenizer's model, decoders and pre-tokenizers; "ByteFallback" too if its model says so."""
    backend = tokenizer.backend_tokenizer
    found = {type(backend.model).__name__}
    for part in (backend.decoder, backend.pre_tokenizer):
        if part is not None:
            found |= set(re.findall(r'"type":\s*"(\w+)"', part.__getstate__().decode()))
    if getattr(backend.model, "byte_fallback", False):
        found.add("ByteFallback")
    return found


def _bytes_of(token: str, kinds: set[str]) -> bytes:
    if "ByteLevel" in kinds:
        try:
            return bytes(_BYTE_OF[character] for character in token)
        except KeyError:  # a token of its own, not spelt in the alphabet of bytes
            return token.encode()
    if "ByteFallback" in kinds and (byte := _HEX.fullmatch(token)):
        return bytes([int(byte[1], 16)])
    if "WordPiece" in kinds:
        return token[2:].encode() if token.startswith("##") else b" " + token.encode()
    return token.replace(SPACE, " ").encode()


def _byte_alphabet() -> dict[str, int]:
    """The character that byte-level tokenizers write for each byte: itself where it can be seen, else the next one from U+0100 on."""
    seen = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    unseen = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(0x100 + i): byte for i, byte in enumerate(unseen)}


_BYTE_OF = _byte_alphabet()


# ------------------------------------------------------------------------------------------- tokenizers that change the text


def _by_offsets(spelling: Spelling, ids: np.ndarray, offset_N: np.ndarray, text: str) -> Spans:
    """Spans of tokens that do not spell the text as it stands; `offset_N` are the characters where they say they begin."""
    spelt = text.encode()
    byte_of = np.cumsum([0, *(len(character.encode()) for character in text)])
    span_N: list[tuple[int, int]] = []
    sound_N: list[bool] = []
    at, implied = 0, spelling.dummy_space  # the byte up to which all is settled; whether a space may be read in there
    waiting = 0  # tokens since then whose place isn't known yet
    for number, offset in zip(ids.tolist(), byte_of[offset_N].tolist(), strict=True):
        place = _place(spelling.bytes_V[number], spelt, at, offset, implied or spelling.loose_space, sure=not waiting)
        implied = spelling.dummy_space and bool(spelling.special_V[number])  # what follows a special token is read anew
        if place is None:
            waiting += 1
            continue
        start, end = place
        if start > at and not waiting:  # bytes that no token stands for belong to this one, or changed the one before
            if span_N and not spelt[at:start].isspace():
                at = span_N[-1][0]
                span_N[-1], sound_N[-1] = (at, end), False
            span_N.append((at, end))
            sound_N.append(False)
        else:
            span_N += [*[(at, start)] * waiting, place]
            sound_N += [*[False] * waiting, True]
        at, waiting = end, 0
    span_N += [(at, len(spelt))] * waiting
    sound_N += [False] * waiting
    edge_N2 = np.array(span_N, dtype=np.int64).reshape(-1, 2)
    return Spans(edge_N2[:, 0], edge_N2[:, 1], np.array(sound_N, dtype=bool))


def _place(
    meaning: bytes | None, text: bytes, at: int, offset: int, implied: bool, sure: bool
) -> tuple[int, int] | None:
    """Where (start, end) the token stands at or after byte `at`, if its bytes and its offset agree on that.

    Right at `at`, where `sure`, an `implied` space that it begins with may be missing: a dummy one, or one before a word of WordPiece.
    """
    if not meaning:
        return None
    character = at
    while 0 < character < len(text) and text[character] & 0xC0 == 0x80:
        character -= 1  # the offset of a part of a character is that of the character
    bare = meaning[1:] if implied and meaning.startswith(b" ") else meaning
    for form in (bare, meaning):
        leading = len(form) - len(form.lstrip())  # some offsets leave out the spaces that a token begins with
        if sure and character <= offset <= at + leading and text.startswith(form, at):
            return (-1 if at == 0 and form is not meaning else at), at + len(form)
    leading = len(meaning) - len(meaning.lstrip())
    for start in (offset, offset - leading):
        if start > at and text.startswith(meaning, start) and text[start] & 0xC0 != 0x80:
            return start, start + len(meaning)
    return None
