"""Several processes, one run: who leads, what all must agree on, and how none waits for one that is gone.

`accelerate launch` and `torchrun` start the same engine once for each process and say in its environment which one it is. The main
process (rank 0) holds the lock, writes the journal, heeds the stop request and does what is to be done once; the others do the same
training with a silent journal. They exchange gradients by torch.distributed; everything else goes over its store, a small table of
keys that all processes see:

    told/3       what the main process found out, for the others to go on with (`by_main`)
    trouble      why a process other than the main one had to end; the main one says it in the journal
    ended        the main process is through: the others end, whatever they are waiting for

A thread in each process looks at the last two, for a process that waits for another's gradients can do nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from core.errors import Trouble

if TYPE_CHECKING:
    import torch

MEETING = timedelta(minutes=5)  # for all processes to be there, on machines that start one after the other
EXCHANGE = timedelta(
    minutes=15
)  # for one exchange of gradients; a peer that is gone is noticed at once, a frozen one after this
LOOK_S = 0.25
SIGNS_OF_A_LOST_PEER = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "Timed out waiting",
    "NCCL",
    "ProcessGroup",
    "remote process exited",
)


class NoMeeting(Trouble):
    """The processes of a run don't reach one another."""


@dataclass(frozen=True)
class Rank:
    """Which of the run's processes this is; torch's launchers say it in the environment."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0  # among those of this machine
    local_count: int = 1

    @classmethod
    def from_environment(cls) -> Rank:
        count = int(os.environ.get("WORLD_SIZE", "1"))
        if count == 1:
            return cls()
        local_count = int(os.environ.get("LOCAL_WORLD_SIZE", str(count)))
        return cls(int(os.environ["RANK"]), count, int(os.environ.get("LOCAL_RANK", "0")), local_count)


ALONE = Rank()


class Peers:
    """All processes of a run as one of them sees them. With a single process every method is its plain meaning."""

    def __init__(self, place: Rank = ALONE, store: Any = None) -> None:
        self.place = place
        self._store = store
        self._told = 0
        self._ending = threading.Lock()  # whoever holds it says how the run ends
        self._over = threading.Event()

    @property
    def main(self) -> bool:
        return self.place.rank == 0

    @property
    def count(self) -> int:
        return self.place.count

    @property
    def met(self) -> bool:
        return self._store is not None

    # ------------------------------------------------------------------------------------------------------ meeting

    @classmethod
    def meet(cls, place: Rank) -> Peers:
        """Wait until the main process is there. NoMeeting if it does not come."""
        if place.count == 1:
            return cls(place)
        from torch import distributed

        try:
            store, _, _ = next(distributed.rendezvous("env://", timeout=MEETING))
            peers = cls(place, store)
            store.set(f"here/{place.rank}", "yes")
        except (RuntimeError, ValueError, OSError) as error:
            where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
            raise NoMeeting(
                f"Process {place.rank} of {place.count} can't reach the main one at {where}: {error}.",
                "See that the machines reach each other by that address and port, then resume the run.",
            ) from error
        return peers

    def join(self, device: str) -> None:
        """Open the exchange of tensors: gloo for those in main memory, NCCL for those of NVIDIA GPUs."""
        if self.count == 1:
            return
        import torch
        from torch import distributed

        if device == "cuda":
            torch.cuda.set_device(self.place.local_rank % torch.cuda.device_count())
        distributed.init_process_group(
            "cpu:gloo,cuda:nccl" if device == "cuda" else "gloo",
            store=distributed.PrefixStore("exchange", self._store),
            rank=self.place.rank,
            world_size=self.count,
            timeout=EXCHANGE,
        )

    def watch(self, on_trouble: Callable[[Trouble, str], None]) -> None:
        """From now on end with the others: on word of a peer's trouble the main process calls `on_trouble(trouble, details)` and is gone;
        when the main process has ended, the others are gone."""
        if self.count > 1:
            # its own connection: the other one may be in use by a wait that lasts
            threading.Thread(target=self._look_out, args=(self._store.clone(), on_trouble), daemon=True).start()

    def _look_out(self, store: Any, on_trouble: Callable[[Trouble, str], None]) -> None:
        while not self._over.is_set():
            time.sleep(LOOK_S)
            try:
                word = _read(store, "trouble" if self.main else "ended")
            except RuntimeError:  # the launcher, which keeps the store, is gone; its last act is to end us
                return
            if word is None:
                continue
            if self.main:
                with self._ending:
                    if self._over.is_set():
                        return
                    on_trouble(Trouble(word["what"], word["way_out"]), word["details"])
                    _tell_the_end(store)
                    os._exit(1)
            os._exit(0)

    # ------------------------------------------------------------------------------------------------------- ending

    def begin_to_end(self) -> None:
        """The main process says the ending itself from now on; waits for ever if a peer's trouble is being said just now.

        Again after a first ending could not be written (a full disk), it goes straight on.
        """
        if self._over.is_set():
            return
        self._ending.acquire()
        self._over.set()

    def trouble_of_a_peer(self, patience_s: float = 2.0) -> tuple[Trouble, str] | None:
        """What a peer said before it ended: asked when an exchange broke, for then one is gone."""
        deadline = time.monotonic() + patience_s
        while self.count > 1:
            try:
                word = _read(self._store, "trouble")
            except RuntimeError:
                return None
            if word is not None:
                return Trouble(word["what"], word["way_out"]), word["details"]
            if time.monotonic() > deadline:
                return None
            time.sleep(0.05)
        return None

    def report(self, trouble: Trouble, details: str) -> None:
        """Leave word for the main process why this one ends."""
        here = f"process {self.place.rank} of {self.count}"
        word = {"what": trouble.what, "way_out": trouble.way_out, "details": f"in {here}:\n{details}"}
        try:
            if _read(self._store, "trouble") is None:  # the first one is the cause
                self._store.set("trouble", json.dumps(word))
        except RuntimeError as error:
            print(f"{here} could not tell the main process: {error}", file=sys.stderr, flush=True)

    def leave(self) -> None:
        """The end of this process's part. The main one lets the others go."""
        if self.count == 1:
            return
        self._over.set()
        if self.main:
            _tell_the_end(self._store)

    # ---------------------------------------------------------------------------------------------------- agreement

    def by_main(self, work: Callable[[], Any]) -> Any:
        """The main process does the work while the others wait, however long it takes; all get its result, a JSON value.

        An error of the main process ends the others too.
        """
        if self.count == 1:
            return work()
        key, self._told = f"told/{self._told}", self._told + 1
        if self.main:
            result = work()
            self._store.set(key, json.dumps([result]))
            return result
        while (word := _read(self._store, key)) is None:
            time.sleep(0.02)
        return word[0]

    def lowest(self, value: int) -> int:
        return -self.highest(-value)

    def highest(self, value: int) -> int:
        """The highest of all processes' values. All must call it at the same place."""
        if self.count == 1:
            return value
        import torch
        from torch import distributed

        one = torch.tensor([value])
        distributed.all_reduce(one, distributed.ReduceOp.MAX)
        return int(one)

    def summed(self, values: torch.Tensor) -> torch.Tensor:
        """The sum of all processes' tensors (in main memory, of one shape), for all."""
        if self.count == 1:
            return values
        from torch import distributed

        total = values.clone()
        distributed.all_reduce(total)
        return total

    def same_weights(self, model: torch.nn.Module) -> None:
        """Give every process the main one's parameters and buffers, in place."""
        if self.count == 1:
            return
        from torch import distributed

        for tensor in {id(each): each for each in [*model.parameters(), *model.buffers()]}.values():
            distributed.broadcast(tensor.data, 0)

    def share_of(self, blocks: int) -> int:
        """Of the blocks of a step, how many fall to each process. Trouble if they can't be shared out evenly."""
        if blocks % self.count:
            fitting = [str(n) for n in range(1, blocks + 1) if blocks % n == 0]
            raise Trouble(
                f"A step of {blocks} blocks can't be shared by {self.count} processes.",
                f"Start it with {', '.join(fitting[:8])} processes, or make a run of larger steps.",
            )
        return blocks // self.count


def _tell_the_end(store: Any) -> None:
    try:
        store.set("ended", json.dumps({}))
    except RuntimeError as error:
        print(f"The other processes could not be told the end: {error}", file=sys.stderr, flush=True)


def _read(store: Any, key: str) -> Any:
    return json.loads(store.get(key)) if store.check([key]) else None


def lost_a_peer(error: BaseException) -> bool:
    """True for what torch.distributed raises when another process is gone or does not answer."""
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS_OF_A_LOST_PEER)
