"""Speculative decoding: a student drafts some tokens, the teacher reads all of them in one pass and keeps what it would have said.

Leviathan et al., "Fast Inference from Transformers via Speculative Decoding" (arXiv 2211.17192), algorithm 1; Chen et al., "Accelerating
Large Language Model Decoding with Speculative Sampling" (arXiv 2302.01318), algorithm 2. A drafted token x is kept with the chance
min(1, p(x)/q(x)); the first that is not is replaced by a draw from max(0, p − q), normalised; if all are kept, one more is drawn from p.
So the text is distributed exactly as the teacher's own, and greedy text is the teacher's, token for token. p and q are the
distributions after temperature, top-k and all other settings.

How many tokens are drafted follows from how many were accepted so far, never from the clock, so a seed writes the same again.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import torch

from core.chat import ChatTrouble, Speculation
from core.engine.chat_cache import Memory, rewind
from core.engine.chat_voice import Voice, refuse_nan
from core.tokenizer import same_tokenizer

if TYPE_CHECKING:
    from core.engine.chat_answer import Answer

MOST_DRAFTED = 12
SURE_AFTER = 24  # drafted tokens before the acceptance is trusted enough to switch off
PRIOR, PRIOR_WEIGHT = 0.7, 8
LAYER_PARAMETERS = 1e6  # a layer costs a pass at least as much time as so many parameters do
READ_TOKEN = {"cpu": 0.08}  # what one more token costs a pass, as a share of the pass
READ_TOKEN_ON_GPU = 0.01
TIMED_ALONE = 3  # steps of the teacher alone at an answer's beginning, for the speed-up that is shown


class Drafting:
    """A student that drafts for one answer."""

    def __init__(self, teacher: Voice, student: Voice) -> None:
        self.voice = student
        self.on = True
        self.at_once = 4
        self.drafted = self.accepted = self.passes = 0
        self.seconds = 0.0  # of all rounds
        self.note = ""
        self.cost = (_cost(student) / _cost(teacher)) + READ_TOKEN.get(teacher.device, READ_TOKEN_ON_GPU)
        self._memory: Memory | None = None
        self._alone: list[float] = []

    @property
    def ready(self) -> bool:
        """Whether the next round drafts: not before the teacher alone was timed, nor once drafting does not pay."""
        return self.on and len(self._alone) >= TIMED_ALONE

    def time_alone(self, seconds: float) -> None:
        self._alone.append(seconds)

    def result(self) -> Speculation:
        written = self.passes + self.accepted
        speed_up = None
        if self.seconds and self._alone:
            speed_up = round(statistics.median(self._alone) * written / self.seconds, 3)
        return Speculation(
            drafted=self.drafted,
            accepted=self.accepted,
            acceptance=round(self.accepted / self.drafted, 4) if self.drafted else None,
            tokens_per_pass=round(written / self.passes, 3) if self.passes else 1.0,
            speed_up=speed_up,
            at_once=self.at_once if self.on else 0,
        )

    def round(self, answer: Answer) -> tuple[list[int], list[torch.Tensor]]:
        """Tokens that are the answer's next ones, and the teacher's scores (V,) for each."""
        began, known = time.monotonic(), len(answer.ids) - 1
        count = min(self.at_once, answer.room() - 1)
        drafts, bent_q = self._draft(answer, count)
        scores_TV = answer.scores([*answer.unread, *drafts], keep=len(drafts) + 1)
        tokens = verify(answer, drafts, bent_q, scores_TV)
        assert answer.memory is not None
        kept = known + len(tokens)  # all that was read and stays: the last token is not read yet
        rewind(answer.memory.cache, kept)
        del answer.memory.ids[kept:]
        self.passes += 1
        self.drafted += len(drafts)
        self.accepted += len(tokens) - 1
        self.seconds += time.monotonic() - began
        self._adapt()
        return tokens, list(scores_TV[: len(tokens)])

    def leave(self) -> None:
        """What the student has read stays in its memory for the next turn."""
        if self._memory is not None:
            self.voice.shelf.put(self._memory)
            self._memory = None

    def _draft(self, answer: Answer, count: int) -> tuple[list[int], list[torch.Tensor]]:
        """Drafted tokens, and the student's scores (V,) as the settings bend them."""
        voice, scores = self.voice, torch.empty(0)
        if self._memory is None:
            self._memory = voice.shelf.take(answer.ids, voice.adapter_state(None), voice.model)
        memory, ids = self._memory, list(answer.ids)
        drafts: list[int] = []
        bent: list[torch.Tensor] = []
        known = len(memory.ids)
        if memory.ids != ids[:known]:
            raise AssertionError("the student has read what the answer does not say")
        while len(drafts) < count:
            new = ids[len(memory.ids) :]
            for start in range(0, len(new), 256):
                part = new[start : start + 256]
                scores = voice.read(memory.cache, [part], [len(memory.ids)], memory.adapters, 1, answer.halted)
                memory.ids.extend(part)
            bent.append(answer.chooser.processed(scores[0, -1].to(answer.voice.model.device), ids))
            drafts.append(_drawn(bent[-1], answer))
            ids.append(drafts[-1])
        # a rejected token was read by the student as well: it forgets all drafts but reads the kept ones again with the next round
        kept = min(len(memory.ids), len(answer.ids))
        rewind(memory.cache, kept)
        del memory.ids[kept:]
        return drafts, bent

    def _adapt(self) -> None:
        """Draft as many as promise the most by the acceptance so far; none if the teacher alone is as fast.

        Leviathan et al., theorem 3.8: with the chance α that a token is accepted and the cost c of a drafted one in teacher passes, k drafts
        make (1 − α^(k+1)) / ((1 − α)(kc + 1)) tokens in the time of one.
        """
        alpha = (self.accepted + PRIOR * PRIOR_WEIGHT) / (self.drafted + PRIOR_WEIGHT)
        promised = {k: improvement(alpha, self.cost, k) for k in range(1, MOST_DRAFTED + 1)}
        self.at_once = max(promised, key=lambda k: promised[k])
        if promised[self.at_once] <= 1 and self.drafted >= SURE_AFTER:
            self.on = False
            self.note = (
                f"Drafting was switched off: {self.accepted} of {self.drafted} drafted tokens were accepted, which is too few to be faster than "
                "the teacher alone."
            )


def improvement(alpha: float, cost: float, drafted: int) -> float:
    """Tokens in the time of a pass of the teacher, by Leviathan et al., theorem 3.8."""
    expected = drafted + 1 if alpha >= 1 else (1 - alpha ** (drafted + 1)) / (1 - alpha)
    return float(expected / (drafted * cost + 1))


def verify(answer: Answer, drafts: list[int], bent_q: list[torch.Tensor], scores_TV: torch.Tensor) -> list[int]:
    """The drafts that are kept and one token more, given the student's bent scores for each draft and the teacher's scores (k + 1, V)."""
    chooser, ids = answer.chooser, list(answer.ids)
    refuse_nan(scores_TV, answer.voice)
    for at, draft in enumerate(drafts):
        bent_p = chooser.processed(scores_TV[at], ids)
        if chooser.greedy:
            if (token := int(bent_p.argmax())) != draft:
                return [*drafts[:at], token]
        else:
            p_V, q_V = bent_p.double().softmax(0), bent_q[at].double().softmax(0)
            if float(chooser.chances(1)) * q_V[draft] >= p_V[draft]:
                left_V = (p_V - q_V).clamp_(min=0)
                return [*drafts[:at], _where(left_V, float(chooser.chances(1)))]
        ids.append(draft)
    bent_p = chooser.processed(scores_TV[len(drafts)], ids)
    return [*drafts, _drawn(bent_p, answer)]


def _drawn(bent_V: torch.Tensor, answer: Answer) -> int:
    if answer.chooser.greedy:
        return int(bent_V.argmax())
    return _where(bent_V.double().softmax(0), float(answer.chooser.chances(1)))


def _where(mass_V: torch.Tensor, chance: float) -> int:
    """The first class at which the sum of the masses exceeds `chance` of all; never one without mass."""
    sums_V = mass_V.cumsum(0)
    place = torch.searchsorted(sums_V, sums_V[-1] * chance, right=True)
    return int(place.clamp_(max=int(mass_V.nonzero()[-1])))


def _cost(voice: Voice) -> float:
    """About how long a pass takes, in parameters."""
    return float(voice.parameters + LAYER_PARAMETERS * voice.layers)


def refuse_other_tokenizer(teacher: Voice, student: Voice) -> None:
    """ChatTrouble unless both give the same ids to the same text."""
    same, reason = same_tokenizer(teacher.speaking, student.speaking)
    if same and teacher.entries != student.entries:
        same, reason = False, f"their tables have {teacher.entries} and {student.entries} tokens"
    if not same:
        raise ChatTrouble(
            f"{student.name} can't draft for {teacher.name}: {reason}.",
            "Choose a student that was distilled from this teacher, or another with the same tokenizer.",
        )
    if student is teacher:
        raise ChatTrouble("A model can't draft for itself.", "Choose a smaller one with the same tokenizer.")
