"""Which ids a model folder's tokenizer gives to text, and whether two tokenizers are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from core.errors import BadModel
from core.model_files import optional_object, some

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class TokenizerIdentity(BaseModel):
    """Which ids a tokenizer gives to text; `same_tokenizer` compares two.

    The fingerprint covers the ids of a probe text and those of bos and eos. It is None where the tokenizer could not be
    read; `unknown_because` says why.
    """

    model_config = ConfigDict(frozen=True)

    fingerprint: str | None = None
    unknown_because: str = ""
    vocabulary: int | None = None  # entries, added tokens included; the model's embedding may have more rows
    specials: dict[str, int] = Field(default_factory=dict)  # all special tokens and their ids
    bos: str | None = None
    bos_id: int | None = None
    eos: str | None = None
    eos_id: int | None = None
    pad: str | None = None
    pad_id: int | None = None
    unk: str | None = None
    unk_id: int | None = None
    adds_bos: bool = False


# Scripts, accents in both normal forms, code, white space, digits, signs: where tokenizers part ways.
_PROBE = """Once upon a time, there was a little girl named Lily. She didn't know THE answer; it's O'Brien's, we'll see!
The quick brown fox jumps over 13 lazy dogs' backs — “quoted”, ‘so’, (twice)… 50% off @home #1 a/b & c.d@e.org
Überraschung: naïve façade, cafe\u0301 coöperates; ﬁne ligature ½ x² ≤ ∞ ≠ √π €9,99 £5 ¥100
Жили-были дед и баба. Ένας γρήγορος τόπος. 私は猫である。名前はまだ無い。你好，世界！ 안녕하세요 세계
مرحبا بالعالم שלום עולם नमस्ते दुनिया สวัสดีชาวโลก ሰላም
0 1 12 123 1234 12345 123456789 3.14159 1e-9 0xFF 2024-02-29 12:34:56 +1 (555) 010-9999
def f(x, *args):\n    if x == 0:\n\treturn {"a": [1, 2]}  # why?\n        x += 1; y = x**2 != ~x
</div> <!-- --> \\n &amp;
for (int i=0;i<n;++i){a[i]^=b[i]>>3;}\r\nSELECT * FROM t WHERE a LIKE '%x%';
   \t \t\n\n\n  trailing   \u00a0\u2003\u200b
🙂👍🏽👩‍👩‍👧‍👦🇩🇪 ☃️ 𝔘𝔫𝔦 \u0000\u007f\ufffd aaaaaaaaaaaaaaaaaaaaaaaa ================ HTTPServerError camelCase snake_case
"""
_KINDS = ("bos", "eos", "pad", "unk")


def tokenizer_identity(folder: Path) -> TokenizerIdentity:
    """Identity of the tokenizer in a model folder, from tokenizer.json or a GPT-2 vocab.json with merges.txt.

    Raises BadModel when one of its JSON files is broken; a kind that cannot be read here is unknown, with the reason.
    """
    folder = Path(folder)
    settings = optional_object(folder / "tokenizer_config.json")
    special_map = optional_object(folder / "special_tokens_map.json")
    config = optional_object(folder / "config.json")
    tokenizer, why = _load_tokenizer(folder, settings)
    if tokenizer is None:
        return TokenizerIdentity(unknown_because=why)
    kinds: dict[str, Any] = {}
    for kind in _KINDS:
        token = _token_text(settings.get(f"{kind}_token", special_map.get(f"{kind}_token")))
        id_ = tokenizer.token_to_id(token) if token is not None else None
        if token is None and isinstance(config.get(f"{kind}_token_id"), int):
            id_ = config[f"{kind}_token_id"]
            token = tokenizer.id_to_token(id_)
        kinds |= {kind: token, f"{kind}_id": id_}
    marked = [added for added in tokenizer.get_added_tokens_decoder().items() if added[1].special]
    specials = {added.content: id_ for id_, added in marked} | {
        kinds[kind]: kinds[f"{kind}_id"] for kind in _KINDS if kinds[kind] and kinds[f"{kind}_id"] is not None
    }
    if (folder / "tokenizer.json").is_file():  # which outdoes the setting, in transformers 5 too
        adds_bos = tokenizer.encode("a").ids[:1] == [kinds["bos_id"]]
    else:
        adds_bos = bool(settings.get("add_bos_token", False))
    ids = tokenizer.encode(_PROBE, add_special_tokens=False).ids
    digest = hashlib.sha256(json.dumps([ids, kinds["bos_id"], kinds["eos_id"]]).encode()).hexdigest()
    return TokenizerIdentity(
        fingerprint=digest,
        vocabulary=tokenizer.get_vocab_size(with_added_tokens=True),
        specials=specials,
        adds_bos=adds_bos,
        **kinds,
    )


def same_tokenizer(a: Path | TokenizerIdentity, b: Path | TokenizerIdentity) -> tuple[bool, str]:
    """Whether two tokenizers give the same ids and have the same special tokens, and why (not): a clause, no full stop.

    Padding is left out: it is never predicted, and people add it to a tokenizer without changing anything else.
    One that is unknown counts as different. Raises BadModel for a folder whose tokenizer files are broken.
    """
    a, b = (each if isinstance(each, TokenizerIdentity) else tokenizer_identity(each) for each in (a, b))
    for identity in (a, b):
        if identity.fingerprint is None:
            return False, f"they cannot be compared: {identity.unknown_because or 'one of them is unknown'}"
    for kind in ("bos", "eos"):
        mine, theirs = (f"{getattr(i, kind)} ({getattr(i, kind + '_id')})" for i in (a, b))
        if mine != theirs:
            return False, f"their {kind} tokens differ: {mine} and {theirs}"
    padding = {a.pad, b.pad} - {a.bos, a.eos}
    differing = sorted({token for token, _ in a.specials.items() ^ b.specials.items() if token not in padding})
    if differing:
        return False, f"their special tokens differ: {some(differing)}"
    if a.fingerprint != b.fingerprint:
        return False, "they cut the same text into different tokens"
    return True, "both give the same ids to a probe text and have the same special tokens"


def _token_text(token: Any) -> str | None:
    """A special token in a config file is a string or an object with `content`."""
    text = token.get("content") if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def _load_tokenizer(folder: Path, settings: Mapping[str, Any]) -> tuple[Tokenizer | None, str]:
    """The tokenizer, or why it isn't known."""
    fast = folder / "tokenizer.json"
    if fast.is_file():
        return _read_tokenizer(fast, fast.stat().st_mtime_ns), ""
    vocab, merges = folder / "vocab.json", folder / "merges.txt"
    if vocab.is_file() and merges.is_file():
        kind = str(settings.get("tokenizer_class", "GPT2Tokenizer")).removesuffix("Fast")
        if kind in ("GPT2Tokenizer", "GPTNeoXTokenizer"):
            return _byte_level_bpe(vocab, merges), ""
        return None, f"{folder.name} has a slow {kind} only, which splits text by rules of its own: no tokenizer.json"
    if sentencepiece := sorted(folder.glob("*.model")):
        return None, f"{folder.name} has a SentencePiece tokenizer only ({sentencepiece[0].name}): no tokenizer.json"
    return None, f"{folder.name} has no tokenizer"


@lru_cache(maxsize=2)  # large ones take most of a second, and a teacher is looked at again and again
def _read_tokenizer(file: Path, changed_ns: int) -> Tokenizer:
    from tokenizers import Tokenizer

    text = file.read_text(encoding="utf-8", errors="replace")
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises plain Exception for whatever it cannot parse
        raise BadModel(f"{file} is no readable tokenizer ({error}).", "Fetch the tokenizer again.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _byte_level_bpe(vocab: Path, merges: Path) -> Tokenizer:
    from tokenizers import Tokenizer, models, pre_tokenizers

    try:
        tokenizer = Tokenizer(models.BPE.from_file(str(vocab), str(merges)))
    except Exception as error:  # as above
        raise BadModel(
            f"{vocab} and {merges.name} are no readable tokenizer ({error}).", "Fetch them again."
        ) from error
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer
