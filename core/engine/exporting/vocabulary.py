"""A tokenizer as a GGUF file keeps it, and the same read back as llama.cpp reads it.

GGUF knows no normalizers, pre-tokenizers and post-processors, only kinds of tokenizers with a name: `llama` (SentencePiece's BPE: pieces
with scores, spaces as ▁, unknown characters as bytes) and `gpt2` (byte-level BPE: merges, and the name of the rule that splits words).
What a tokenizer.json does is matched to one of these, and then proved: the vocabulary that was written must give the same ids to the same
text (`prove`). One that doesn't is refused, for a model that is fed other ids than in its training talks nonsense.
"""

from __future__ import annotations

import heapq
import json
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase

from core.errors import BadModel

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = (
    int(kind)
    for kind in (
        gguf.TokenType.NORMAL,
        gguf.TokenType.UNKNOWN,
        gguf.TokenType.CONTROL,
        gguf.TokenType.USER_DEFINED,
        gguf.TokenType.UNUSED,
        gguf.TokenType.BYTE,
    )
)
SPACE = "▁"
TOKENS_PROVED = 20_000  # of the vocabulary, each by itself

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS: dict[
    str, tuple[str, ...]
] = {  # llama.cpp's name of a pre-tokenizer: the patterns that cut words, one after the other
    "gpt-2": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2),
    "llama-bpe": (_LLAMA3,),
    "qwen2": (_LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"),),
    "tekken": (_TEKKEN,),
}
WHOLE_WORDS = ("llama-bpe", "tekken")  # where a word that is a token is taken without merging


@dataclass(frozen=True)
class Vocabulary:
    """What stands under `tokenizer.ggml` in a GGUF file; `notes` say what is not quite as in the original."""

    model: str  # "llama" or "gpt2"
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float] | None
    merges: list[str] | None
    space_prefix: bool
    adds_bos: bool
    adds_eos: bool
    bos: int | None
    eos: int | None
    unk: int | None
    pad: int | None
    notes: tuple[str, ...] = ()


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, rows: int) -> Vocabulary:
    """The vocabulary of `rows` entries, as many as the embedding has. BadModel for a tokenizer that GGUF has no kind for."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise _refused("it has no tokenizer.json")
    said = json.loads(backend.to_str())
    if said["model"].get("type") != "BPE":
        raise _refused(f"it is of the kind {said['model'].get('type')}, and only BPE can be written")
    if len(tokenizer) > rows:
        raise BadModel(
            f"The tokenizer has {len(tokenizer)} entries, and the model's embedding only {rows} rows.",
            "Save model and tokenizer again, of the same version.",
        )
    spaces, notes = _normalizing(said)
    if spaces is not None:
        return _like_sentencepiece(tokenizer, said, rows, spaces, notes)
    return _byte_level(tokenizer, said, rows, notes)


def _normalizing(said: dict[str, Any]) -> tuple[bool | None, tuple[str, ...]]:
    """Whether text begins with a space in a tokenizer that writes spaces as ▁ (None for any other), and what can't be kept."""
    prefix: bool | None = None
    notes: list[str] = []
    for step in _flat(said.get("normalizer"), "normalizers"):
        kind = step["type"]
        if kind == "Prepend" and step["prepend"] == SPACE:
            prefix = True
        elif kind == "Replace" and step["pattern"] == {"String": " "} and step["content"] == SPACE:
            prefix = bool(prefix)
        elif kind == "NFC":
            notes.append(
                "The tokenizer composes accents first (NFC), which llama.cpp doesn't: text with accents in parts gets other ids."
            )
        else:
            raise _refused(f"it changes text first by {kind}, which GGUF doesn't know")
    for step in _flat(said.get("pre_tokenizer"), "pretokenizers"):
        if step["type"] == "Metaspace":
            prefix = step.get("prepend_scheme", "always") != "never"
    return prefix, tuple(notes)


def _like_sentencepiece(
    tokenizer: PreTrainedTokenizerBase, said: dict[str, Any], rows: int, prefix: bool, notes: tuple[str, ...]
) -> Vocabulary:
    """Pieces get a score: minus the place of the first merge that makes them, since SentencePiece merges the best piece first."""
    model = said["model"]
    if not model.get("byte_fallback"):
        raise _refused("it has no bytes for characters that it doesn't know (byte_fallback)")
    tokens, types = _entries(tokenizer, said, rows)
    place: dict[str, int] = {}
    for rank, merge in enumerate(model["merges"]):
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        place.setdefault(left + right, rank)
    last = float(len(model["merges"]) + 1)
    for index, token in enumerate(tokens):
        if types[index] == NORMAL and len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            types[index] = BYTE
    scores = [
        0.0 if types[i] in (CONTROL, UNKNOWN, BYTE) else -float(place.get(token, last))
        for i, token in enumerate(tokens)
    ]
    return Vocabulary("llama", "default", tokens, types, scores, None, prefix, *_edges(tokenizer), notes)


def _byte_level(
    tokenizer: PreTrainedTokenizerBase, said: dict[str, Any], rows: int, notes: tuple[str, ...]
) -> Vocabulary:
    model = said["model"]
    pre = _split_name(said)
    if bool(model.get("ignore_merges")) != (pre in WHOLE_WORDS):
        raise _refused(
            f"it splits words as {pre}, but takes whole words {'first' if model.get('ignore_merges') else 'last'}"
        )
    tokens, types = _entries(tokenizer, said, rows)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    return Vocabulary("gpt2", pre, tokens, types, None, merges, False, *_edges(tokenizer), notes)


def _split_name(said: dict[str, Any]) -> str:
    patterns: list[str] = []
    for step in _flat(said.get("pre_tokenizer"), "pretokenizers"):
        if step["type"] == "ByteLevel":
            if step.get("add_prefix_space"):
                raise _refused("it puts a space before every text, which GGUF's byte-level tokenizers don't")
            patterns += [_GPT2] if step.get("use_regex", True) else []
        elif step["type"] == "Digits" and step.get("individual_digits"):
            patterns.append(r"\p{N}")
        elif step["type"] == "Split" and "Regex" in step["pattern"] and step["behavior"] in ("Isolated", "Removed"):
            patterns.append(step["pattern"]["Regex"])
        else:
            raise _refused(f"it cuts words by {step['type']}, which GGUF doesn't know")
    for name, known in SPLITS.items():
        if tuple(patterns) == known:
            return name
    raise _refused(
        f"llama.cpp knows no rule that cuts words as this one does: {' then '.join(patterns) or 'not at all'}"
    )


def _flat(step: dict[str, Any] | None, inside: str) -> list[dict[str, Any]]:
    if step is None:
        return []
    return [one for each in step[inside] for one in _flat(each, inside)] if step["type"] == "Sequence" else [step]


def _entries(tokenizer: PreTrainedTokenizerBase, said: dict[str, Any], rows: int) -> tuple[list[str], list[int]]:
    """Tokens by id with their kinds; ids that no token has are filled up as llama.cpp's own converter does."""
    tokens, types = [f"[PAD{index}]" for index in range(rows)], [UNUSED] * rows
    for token, index in said["model"]["vocab"].items():
        tokens[index], types[index] = token, NORMAL
    for added in said["added_tokens"]:
        tokens[added["id"]], types[added["id"]] = added["content"], CONTROL if added["special"] else USER_DEFINED
    unk = said["model"].get("unk_token")
    if unk is not None and unk in said["model"]["vocab"]:
        types[said["model"]["vocab"][unk]] = UNKNOWN
    return tokens, types


def _edges(tokenizer: PreTrainedTokenizerBase) -> tuple[bool, bool, int | None, int | None, int | None, int | None]:
    """Whether text gets bos and eos by itself, and the ids of bos, eos, unk and pad."""
    framed, bare = tokenizer("a").input_ids, tokenizer("a", add_special_tokens=False).input_ids
    before, after = framed[: framed.index(bare[0])], framed[framed.index(bare[0]) + len(bare) :]
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    if before not in ([], [bos]) or after not in ([], [eos]):
        raise _refused(f"it puts the ids {before} before a text and {after} behind it; only bos and eos can be said")
    return bool(before), bool(after), bos, eos, tokenizer.unk_token_id, tokenizer.pad_token_id


def _refused(why: str) -> BadModel:
    return BadModel(f"The tokenizer can't be written to GGUF: {why}.", "Export the model as hf, onnx or int8 instead.")


# ------------------------------------------------------------------------------------------------- in the file and back


def add_vocabulary(writer: gguf.GGUFWriter, vocabulary: Vocabulary) -> None:
    writer.add_tokenizer_model(vocabulary.model)
    writer.add_tokenizer_pre(vocabulary.pre)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores is not None:
        writer.add_token_scores(vocabulary.scores)
    if vocabulary.merges is not None:
        writer.add_token_merges(vocabulary.merges)
    if vocabulary.model == "llama":
        writer.add_add_space_prefix(vocabulary.space_prefix)
    for add, index in (
        (writer.add_bos_token_id, vocabulary.bos),
        (writer.add_eos_token_id, vocabulary.eos),
        (writer.add_unk_token_id, vocabulary.unk),
        (writer.add_pad_token_id, vocabulary.pad),
    ):
        if index is not None:
            add(index)
    writer.add_add_bos_token(vocabulary.adds_bos)
    writer.add_add_eos_token(vocabulary.adds_eos)


def read_vocabulary(file: Path) -> Vocabulary:
    """The vocabulary that stands in a GGUF file."""
    reader = gguf.GGUFReader(file)

    def get(key: str, otherwise: Any = None) -> Any:
        field = reader.get_field(f"tokenizer.ggml.{key}")
        return otherwise if field is None else field.contents()

    return Vocabulary(
        get("model"),
        get("pre", "default"),
        get("tokens"),
        get("token_type"),
        get("scores"),
        get("merges"),
        bool(get("add_space_prefix", True)),
        bool(get("add_bos_token", False)),
        bool(get("add_eos_token", False)),
        get("bos_token_id"),
        get("eos_token_id"),
        get("unknown_token_id"),
        get("padding_token_id"),
    )


Encode = Callable[[list[str]], list[list[int]]]


def encoder(vocabulary: Vocabulary) -> Encode:
    """Texts to ids, without bos and eos, by the rules that llama.cpp has for this kind of vocabulary (src/llama-vocab.cpp)."""
    return _piece_encoder(vocabulary) if vocabulary.model == "llama" else _byte_encoder(vocabulary)


def _byte_encoder(vocabulary: Vocabulary) -> Encode:
    words = {token: index for index, token in enumerate(vocabulary.tokens)}
    merges = [(left, right) for left, right in (merge.split(" ") for merge in vocabulary.merges or ())]
    inner = Tokenizer(models.BPE(words, merges, ignore_merges=vocabulary.pre in WHOLE_WORDS))
    cuts: list[Any] = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in SPLITS[vocabulary.pre]]
    inner.pre_tokenizer = pre_tokenizers.Sequence([*cuts, pre_tokenizers.ByteLevel(False, use_regex=False)])
    kept = [
        token for index, token in enumerate(vocabulary.tokens) if vocabulary.types[index] in (CONTROL, USER_DEFINED)
    ]
    inner.add_tokens([AddedToken(token, normalized=False, special=False) for token in kept])
    return lambda texts: [found.ids for found in inner.encode_batch(texts, add_special_tokens=False)]


def _piece_encoder(vocabulary: Vocabulary) -> Encode:
    words = {token: index for index, token in enumerate(vocabulary.tokens)}
    whole = Tokenizer(models.BPE({"a": 0}, []))  # finds whole tokens in the text, and nothing else
    kept = {t for i, t in enumerate(vocabulary.tokens) if vocabulary.types[i] in (CONTROL, USER_DEFINED, UNKNOWN)}
    whole.add_tokens([AddedToken(token, normalized=False, special=False) for token in sorted(kept)])

    def encode(text: str) -> list[int]:
        ids: list[int] = []
        after_special = True  # the beginning of a text counts as one
        at = 0
        found = whole.encode(text, add_special_tokens=False)
        marks = [(a, b, t) for (a, b), t in zip(found.offsets, found.tokens, strict=True) if t in kept]
        for start, end, token in [*marks, (len(text), len(text), "")]:
            if part := text[at:start]:
                prefix = SPACE if vocabulary.space_prefix and after_special else ""
                ids += _merge_pieces(prefix + part.replace(" ", SPACE), words, vocabulary)
                after_special = False
            if token:
                ids.append(words[token])
                after_special = True
            at = end
        return ids

    return lambda texts: [encode(text) for text in texts]


def _merge_pieces(text: str, words: dict[str, int], vocabulary: Vocabulary) -> list[int]:
    """SentencePiece's BPE: of all neighbours that make a piece together, those of the best score are joined, the leftmost first."""
    scores = vocabulary.scores or []
    pieces: list[str] = list(text)
    after = [*range(1, len(pieces)), -1]
    before = [-1, *range(len(pieces) - 1)]
    heap: list[tuple[float, int, int, str]] = []

    def offer(left: int) -> None:
        right = after[left] if left >= 0 else -1
        if right >= 0 and (joined := pieces[left] + pieces[right]) in words:
            heapq.heappush(heap, (-scores[words[joined]], left, right, joined))

    for left in range(len(pieces) - 1):
        offer(left)
    while heap:
        _, left, right, joined = heapq.heappop(heap)
        if pieces[left] + pieces[right] != joined or after[left] != right or not pieces[left]:
            continue
        pieces[left], pieces[right] = joined, ""
        after[left] = after[right]
        if after[left] >= 0:
            before[after[left]] = left
        offer(before[left])
        offer(left)
    ids: list[int] = []
    for piece in filter(None, pieces):
        if piece in words:
            ids.append(words[piece])
            continue
        for byte in piece.encode("utf-8"):
            ids.append(words.get(f"<0x{byte:02X}>", vocabulary.unk if vocabulary.unk is not None else 0))
    return ids


def prove(vocabulary: Vocabulary, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> int:
    """Encode the texts, and the vocabulary's own tokens, by both; the count of what agreed. BadModel names the first text that doesn't.

    A vocabulary with notes is proved on text to which they don't apply (composed accents).
    """
    step = max(1, len(tokenizer) // TOKENS_PROVED)
    own = [tokenizer.decode([index], skip_special_tokens=False) for index in range(0, len(tokenizer), step)]
    asked = [unicodedata.normalize("NFC", text) if vocabulary.notes else text for text in (*texts, *own)]
    wanted = tokenizer(asked, add_special_tokens=False, verbose=False).input_ids
    for ids, expected in zip(encoder(vocabulary)(asked), wanted, strict=True):
        if ids != expected:
            differing = (place for place, pair in enumerate(zip(ids, expected, strict=False)) if pair[0] != pair[1])
            at = next(differing, min(len(ids), len(expected)))
            shown = tokenizer.decode(expected[max(0, at - 2) : at + 3])
            raise _refused(
                f"read as llama.cpp would, near {shown!r} it gives the ids {ids[at : at + 4]} instead of {expected[at : at + 4]}"
            )
    return len(asked)
