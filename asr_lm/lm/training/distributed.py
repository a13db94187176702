"""Several processes that work on one thing, as ``torchrun`` starts them.

In training every process takes its share of each step's batches, and the gradients are added up before the step
(data parallelism, Li et al. 2020, "PyTorch distributed"). Each process divides its summed loss by the tokens of all
processes, so the sum of the gradients is that of the mean over all tokens, however unevenly they are shared out. With
torch's own wrapper, which averages over processes, it would not be.

torch is imported only where there is more than one process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from asr_lm.lm.training.batches import Batch, BatchSource

_PATIENCE = timedelta(days=2)
"""How long a process waits for another: the first may encode a large text. A process that ends is noticed at once."""


class ProcessLost(Exception):
    """Another process of this run has ended."""

    def __init__(self, message: str = "another process of this run has ended") -> None:
        super().__init__(message)


@dataclass
class Processes:
    """The processes of a run; by default one alone.

    Attributes:
        rank: number of this one, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and prints."""
        return self.rank == 0

    def total(self, *values: float) -> list[float]:
        """Each value summed over the processes."""
        return list(values)

    def agree(self, *flags: bool) -> list[bool]:
        """Whether each flag is up in any process."""
        return [value > 0 for value in self.total(*map(float, flags))]

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Sum the gradients over the processes, in place."""

    def gather(self, value: Any) -> list[Any]:
        """The value of every process, in order of rank."""
        return [value]

    def wait(self) -> None:
        """Go on when all processes are here."""

    @contextlib.contextmanager
    def first_goes_ahead(self) -> Iterator[None]:
        """The first process does what stands within, then the others do."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    @contextlib.contextmanager
    def noticing_interrupts(self) -> Iterator[Interrupts]:
        """Ctrl-C as usual; where there are several processes it is only noted, so that they can stop together."""
        interrupts = Interrupts()
        if self.count == 1 or threading.current_thread() is not threading.main_thread():
            yield interrupts
            return
        handler = signal.signal(signal.SIGINT, lambda number, frame: interrupts.note())
        try:
            yield interrupts
        finally:
            signal.signal(signal.SIGINT, handler)


class Interrupts:
    """Attributes: noted, whether Ctrl-C was pressed."""

    noted = False

    def note(self) -> None:
        """It was."""
        self.noted = True


ALONE = Processes()


class _Group(Processes):
    """More than one process, connected."""

    def total(self, *values: float) -> list[float]:
        import torch
        from torch import distributed

        sums = torch.tensor(values, dtype=torch.float64)
        with _noticing_loss():
            distributed.all_reduce(sums)
        result: list[float] = sums.tolist()
        return result

    def add_gradients(self, parameters: Iterable[Tensor]) -> None:
        import torch
        from torch import distributed

        learning = [parameter for parameter in parameters if parameter.requires_grad]
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in learning]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        with _noticing_loss():
            distributed.all_reduce(flat)
        for one, part in zip(learning, flat.split([one.numel() for one in learning]), strict=True):
            one.grad = part.view_as(one)

    def gather(self, value: Any) -> list[Any]:
        from torch import distributed

        values: list[Any] = [None] * self.count
        with _noticing_loss():
            distributed.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        self.total(0.0)


@contextlib.contextmanager
def _noticing_loss() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost from error


_PLACES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_store: Any = None


def is_shared_run() -> bool:
    """Whether ``torchrun`` started several processes."""
    return all(name in os.environ for name in _PLACES) and int(os.environ["WORLD_SIZE"]) > 1


def join() -> Processes:
    """Meet the other processes that ``torchrun`` started; one alone where there are none."""
    if not is_shared_run():
        return ALONE
    import torch
    from torch import distributed

    if not distributed.is_initialized():
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        meeting = distributed.PrefixStore("group", _open_store())
        distributed.init_process_group(backend, store=meeting, rank=rank, world_size=count, timeout=_PATIENCE)
    return _Group(distributed.get_rank(), distributed.get_world_size())


def leave() -> None:
    """Part from the other processes."""
    global _store
    if _store is not None:
        from torch import distributed

        distributed.destroy_process_group()
        _store = None


def is_first_to_speak() -> bool:
    """Whether this process may print the last message of a run: one of several that end for one reason does."""
    if not is_shared_run():
        return True
    hosted = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if _store is None and not hosted:  # what goes wrong before they meet goes wrong in all of them
        return os.environ["RANK"] == "0"
    try:
        return int(_open_store().add("messages", 1)) == 1
    except RuntimeError:
        return True


def _open_store() -> Any:
    """The key-value store that the processes share."""
    global _store
    if _store is None:
        from torch import distributed

        _store, _, _ = next(distributed.rendezvous("env://"))
    return _store


def local_device(device: str) -> str:
    """The GPU of this process, where all of a machine share out its GPUs."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" and is_shared_run() else device


class SharedBatches:
    """A process's share of batches.

    Of single examples each process takes whole batches in turn; of streams it takes rows, whose state it carries.

    Args:
        source: all batches.
        processes: who shares them.
    """

    def __init__(self, source: BatchSource, processes: Processes) -> None:
        self._source = source
        self._processes = processes
        self.carries_state = source.carries_state

    def count(self, epoch: int) -> int:
        count = self._source.count(epoch)
        return count if self.carries_state else -(-count // self._processes.count)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        if self.carries_state:
            yield from map(self._rows, self._source.batches(epoch, start))
            return
        count = self._processes.count
        turn: list[Batch] = []
        for batch in self._source.batches(epoch, start * count):
            turn.append(batch)
            if len(turn) == count:
                yield turn[self._processes.rank]
                turn = []
        if turn:
            yield turn[self._processes.rank] if self._processes.rank < len(turn) else turn[0][:0]

    def _rows(self, batch: Batch) -> Batch:
        rank, count, rows = self._processes.rank, self._processes.count, len(batch.inputs)
        return batch[rank * rows // count : (rank + 1) * rows // count]


def shared(source: BatchSource, processes: Processes) -> BatchSource:
    """The share of a process; all of it where there is only one."""
    return source if processes.count == 1 else SharedBatches(source, processes)
