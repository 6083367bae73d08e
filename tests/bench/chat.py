"""Speculative decoding: how fast a teacher writes alone and with students that draft for it, and whether the text is the same.

    python -m tests.bench.chat --teacher FOLDER --draft FOLDER [--draft FOLDER] --prompt TEXT … [--new-tokens 128] [--rounds 5]

One process; alone and with each draft in random order, the median of per-round ratios. By default the sample's teacher and its smaller
siblings.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from pathlib import Path

from core.chat import Message, Sampling
from core.engine.chat_answer import Answer, Desk
from core.engine.chat_draft import refuse_other_tokenizer
from core.engine.chat_voice import Voice

SAMPLE = Path(__file__).resolve().parents[2] / "resources" / "sample"
PROMPTS = ("Once upon a time", "Tom had a red ball. One day", "It was a rainy day, and")


def written(voice: Voice, draft: Voice | None, prompt: str, new_tokens: int) -> tuple[Answer, float]:
    """A greedy answer and the seconds it took; nothing is known from before."""
    for each in (voice, draft):
        if each is not None:
            each.shelf.memories.clear()

    def failed(answer: Answer, error: BaseException) -> None:
        raise error

    sampling = Sampling(temperature=0, top_p=1, max_new_tokens=new_tokens)
    answer = Answer(
        voice, voice.prompt([Message(role="user", content=prompt)], "raw", new_tokens, "stop"), sampling, draft=draft
    )
    desk = Desk(failed)
    desk.begin(answer)
    began = time.perf_counter()
    while desk.answers:
        list(desk.round())
    return answer, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.chat")
    parser.add_argument("--teacher", type=Path, default=SAMPLE / "stories-5M")
    parser.add_argument("--draft", type=Path, action="append")
    parser.add_argument("--prompt", action="append")
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    wanted = parser.parse_args()
    teacher = Voice(wanted.teacher, wanted.device)
    drafts = [Voice(folder, wanted.device) for folder in wanted.draft or sorted(SAMPLE.glob("stories-0.8M"))]
    for draft in drafts:
        refuse_other_tokenizer(teacher, draft)
    for draft in drafts:
        ratios, found, same = [], [], True
        for _ in range(wanted.rounds):
            for prompt in wanted.prompt or PROMPTS:
                arms: list[Voice | None] = [None, draft]
                random.shuffle(arms)
                taken = {arm: written(teacher, arm, prompt, wanted.new_tokens) for arm in arms}
                ratios.append(taken[None][1] / taken[draft][1])
                same = same and taken[None][0].ids == taken[draft][0].ids
                found.append(taken[draft][0].speculation())
        results = [each for each in found if each is not None]
        drafted, accepted = sum(each.drafted for each in results), sum(each.accepted for each in results)
        low, _, high = statistics.quantiles(ratios, n=4)
        print(
            f"{draft.name} drafts for {teacher.name}: {accepted / max(1, drafted):.1%} of {drafted} accepted, "
            f"{statistics.mean(each.tokens_per_pass for each in results):.2f} tokens a pass, "
            f"{statistics.median(ratios):.2f} times as fast (quartiles {low:.2f} to {high:.2f}), "
            f"{sum(each.at_once == 0 for each in results)} of {len(results)} switched off, text {'the same' if same else 'DIFFERENT'}"
        )


if __name__ == "__main__":
    main()
