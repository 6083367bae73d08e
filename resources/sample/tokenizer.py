"""The sample's tokenizer: a byte-level BPE of 2048 entries trained on generated stories, as a Hugging Face folder.

python -m resources.sample.tokenizer FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from core.files import write_json, write_text
from resources.sample.stories import TOKENIZER_SEED, stories

ENTRIES = 2048
CONTEXT = 512
BOS, EOS, PAD = "<s>", "</s>", "<pad>"  # ids 0, 1, 2
TRAINING_STORIES = 20_000


def build_tokenizer(folder: Path, story_count: int = TRAINING_STORIES) -> None:
    """Train the tokenizer on `story_count` stories and save it in `folder`; the same bytes every time.

    Encoding puts `<s>` before a text; `</s>` after a story is the business of whoever packs documents. There is no
    unknown token: the alphabet is all 256 bytes.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ENTRIES,
        special_tokens=[BOS, EOS, PAD],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(stories(TOKENIZER_SEED, story_count), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    specials = {"bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
    folder.mkdir(parents=True, exist_ok=True)
    write_text(
        folder / "tokenizer.json", json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, indent=1) + "\n"
    )
    write_json(folder / "special_tokens_map.json", specials)
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            **specials,
            "model_max_length": CONTEXT,
            "clean_up_tokenization_spaces": False,
        },
    )


if __name__ == "__main__":
    build_tokenizer(Path(sys.argv[1]))
