"""Tokenizer, chat template, generation settings and special ids of a merged model, so that it can be talked to at once.

transformers, seconds of imports, is asked only where a tokenizer must be changed.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tokenizers import AddedToken

from core.errors import BadModel
from core.files import read_json, write_json
from core.merge.document import ModelRef
from core.merge.plan import MergePlan
from core.merge.vocabulary import vocabulary_of

FILES = (  # what transformers may read for a tokenizer; settings that are not the tokenizer's come along
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
    "chat_template.jinja",
    "chat_template.json",
)
SPECIAL_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")
MANY = 0.01  # the share of added ordinary tokens from which text is cut noticeably otherwise

# Written after the models' published formats.
TEMPLATES = {
    "chatml": "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "alpaca": "{{ bos_token or '' }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'] + '\\n\\n' }}"
    "{% else %}{{ '### Response:\\n' + message['content'] + (eos_token or '') + '\\n\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}",
    "llama3": "{{ bos_token or '' }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' "
    "+ message['content'].strip() + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
}
TEMPLATE_TOKENS = {"chatml": ("<|im_start|>", "<|im_end|>"), "llama3": ("<|start_header_id|>", "<|eot_id|>")}


def prepare(
    plan: MergePlan,
    folder_of: Callable[[ModelRef], Path],
    folder: Path,
    allow_remote_code: bool,
    notice: Callable[[str], None],
) -> None:
    """Write config, tokenizer and generation settings of a merge into `folder`, everything but the weights.

    Special ids are those of whoever gives the tokenizer; where that is a model of the recipe, not the base, the ids of the base's config
    would name other tokens.
    """
    rule = plan.document.tokenizer
    named = rule.source if rule is not None and isinstance(rule.source, ModelRef) else plan.document.donor
    giver = folder_of(named)
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        if (giver / name).is_file():
            shutil.copyfile(giver / name, folder / name)
    if plan.alignment is not None:
        _with_tokens(plan, folder, allow_remote_code, notice)
    if plan.document.chat_template is not None:
        _set_template(plan, folder_of, folder, allow_remote_code, notice)
    config = dict(plan.config)
    theirs = _settings(giver / "config.json")
    config |= {key: theirs[key] for key in SPECIAL_IDS if key in theirs}
    config.pop("transformers_version", None)
    write_json(folder / "config.json", config)
    generation = _settings(giver / "generation_config.json")
    if generation:
        generation.pop("transformers_version", None)
        write_json(folder / "generation_config.json", generation)


def _settings(file: Path) -> dict[str, Any]:
    try:
        found = read_json(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadModel(f"{file} is not valid JSON: {error}.", "Fetch the model again.") from error
    return found if isinstance(found, dict) else {}


def _with_tokens(plan: MergePlan, folder: Path, allow_remote_code: bool, notice: Callable[[str], None]) -> None:
    """Bring the tokenizer in `folder` to the tokens of the plan, at the ids of the plan."""
    assert plan.alignment is not None
    wanted, held = plan.alignment.tokens, vocabulary_of(folder)
    beyond = [token for token in held if token not in wanted]
    if beyond:
        raise BadModel(
            f"The tokenizer of {plan.document.donor} has tokens without a row of its embedding, as {beyond[0]!r}.",
            "Leave the tokenizer section out, or name another source.",
        )
    missing = [token for token in wanted if token not in held]
    if missing:
        tokenizer = _load(folder, allow_remote_code)
        known = _added_tokens(plan)
        tokenizer.add_tokens([known.get(token, AddedToken(token, normalized=False)) for token in missing])
        _save(tokenizer, folder)
        ordinary = [token for token in missing if token not in known]
        if len(ordinary) > MANY * len(wanted):
            notice(
                f"{len(ordinary)} ordinary tokens were added to the tokenizer as whole words, so it cuts text otherwise than before. "
                "Train the merged model on text, or take tokenizer: {source: base}."
            )
    found = vocabulary_of(folder)
    moved = next((token for token, number in wanted.items() if found.get(token) != number), None)
    if moved is not None:
        raise BadModel(
            f"Token {moved!r} came to id {found.get(moved)} instead of {wanted[moved]} in the merged tokenizer.",
            "Take tokenizer: {source: base}.",
        )


def _added_tokens(plan: MergePlan) -> dict[str, AddedToken]:
    """Added tokens of all inputs as they are there: special or not, stripped or not."""
    found: dict[str, AddedToken] = {}
    for contents in plan.contents.values():
        file = None if contents.folder is None else contents.folder / "tokenizer.json"
        if file is None or not file.is_file():
            continue
        for entry in json.loads(file.read_text(encoding="utf-8")).get("added_tokens") or []:
            options = {
                key: entry[key] for key in ("single_word", "lstrip", "rstrip", "normalized", "special") if key in entry
            }
            found.setdefault(entry["content"], AddedToken(entry["content"], **options))
    return found


def _set_template(
    plan: MergePlan,
    folder_of: Callable[[ModelRef], Path],
    folder: Path,
    allow_remote_code: bool,
    notice: Callable[[str], None],
) -> None:
    """The recipe's own template, one that has a name, or `auto`: the one that most inputs have."""
    said = plan.document.chat_template
    assert said is not None
    tokenizer = _load(folder, allow_remote_code)
    if said == "auto":
        counted: Counter[str] = Counter()
        for model in plan.document.models():
            template = _load(folder_of(model), allow_remote_code).chat_template
            template = template.get("default") if isinstance(template, Mapping) else template
            counted.update([template.strip()] if template else [])
        if not counted:
            notice("None of the models has a chat template, so the result has none either.")
            return
        said = counted.most_common(1)[0][0]
    lacking = [token for token in TEMPLATE_TOKENS.get(said, ()) if token not in tokenizer.get_vocab()]
    if lacking:
        notice(
            f"The chat template {said} uses {lacking[0]}, which is no token of this model: it is written out letter by letter."
        )
    tokenizer.chat_template = TEMPLATES.get(said, said)
    _save(tokenizer, folder)


def _load(folder: Path, allow_remote_code: bool) -> Any:
    from core.engine.models import load_tokenizer

    return load_tokenizer(folder, allow_remote_code)


def _save(tokenizer: Any, folder: Path) -> None:
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    tokenizer.save_pretrained(folder)
