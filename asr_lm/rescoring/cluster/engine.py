"""Who does the work on a list: this process, or the workers of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

from asr_lm.errors import InputError

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Works on tasks that do not depend on one another."""

    def work(self, worker: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """The number of each task and what a worker makes of it, as they are ready, in any order.

        Args:
            worker: is copied to wherever the work is done; its copies live from task to task.
            tasks: small values; both can be pickled.

        Raises:
            InputError: the worker raises it.
        """


class ThisProcess:
    """One task after another, in order."""

    def work(self, worker: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """See :class:`Engine`."""
        return enumerate(map(worker, tasks))


@dataclass(frozen=True)
class Ray:
    """Actors of a Ray cluster. Ray starts those again that die and gives them their tasks again.

    Ray Data is not used here: on a machine whose CPUs the actors fill it has none left for its own tasks, and its
    checkpoints filter rows, so that a run taken up would cut the rest of a list into other parts.

    Attributes:
        workers: how many actors; they start as room for them is found.
        gpus: of each actor.
    """

    workers: int
    gpus: int = 0

    @classmethod
    def connected(cls, address: str | None, workers: int | None, gpus: int = 0) -> Ray:
        """Join the cluster at an address, or start one of this machine.

        Args:
            address: ``auto``, or host and port; None starts a cluster.
            workers: how many actors; None is one for each CPU that is there (each GPU where they have some).
            gpus: of each actor.

        Raises:
            InputError: Ray is not installed, or there is no cluster.
        """
        try:
            import ray
        except ImportError as error:
            raise InputError(f"needs Ray: `pip install 'asr_lm[ray]'` ({error})", parameter="engine") from None
        if workers is not None and workers < 1:
            raise InputError(f"expected a number above 0, not {workers}", parameter="workers")
        if not ray.is_initialized():
            how: dict[str, Any] = {"address": address} if address else _LOCAL | {"num_cpus": workers}
            try:
                ray.init(logging_level="ERROR", log_to_driver=False, **how)
            except (ConnectionError, ValueError) as error:
                first = str(error).partition("\n")[0]
                raise InputError(f"no Ray cluster at {address} ({first})", parameter="address") from error
        most = int(ray.cluster_resources().get("GPU" if gpus else "CPU", 1))
        return cls(workers or max(1, most), gpus)

    def work(self, worker: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """See :class:`Engine`."""
        import ray

        how = ray.remote(max_restarts=-1, max_task_retries=_TRIES, num_cpus=1, num_gpus=self.gpus)
        actor, given = how(_Actor), ray.put(worker)
        actors = [actor.remote(given, os.getcwd()) for _ in range(min(self.workers, len(tasks)))]
        # There may be room for fewer: only who is there gets tasks.
        asked = {one.is_there.remote(): one for one in actors}
        waiting, left = iter(enumerate(tasks)), len(tasks)
        while left:
            (done,), _ = ray.wait(list(asked), num_returns=1)
            one, found = asked.pop(done), self._got(done)
            for number, task in islice(waiting, _AHEAD if found is None else 1):
                asked[one.result.remote(number, task)] = one
            if one not in asked.values():
                ray.kill(one)  # makes room for another that died
            if found is not None:
                left -= 1
                yield found
        for one in actors:
            ray.kill(one)

    @staticmethod
    def _got(done: Any) -> Any:
        """What an actor gave: None where it only said that it is there.

        Raises:
            InputError: the worker raised it, or its process ended again and again.
        """
        import ray

        try:
            found = ray.get(done)
        except ray.exceptions.RayActorError as error:
            *_, last = str(error).strip().splitlines()
            message = f"a worker did not start, or ended {_TRIES} times over the same part: {last.strip()}"
            raise InputError(message, parameter="workers") from error
        if found is not None and isinstance(found[1], InputError):
            raise found[1]
        return found


_LOCAL: dict[str, Any] = {
    "address": "local",
    "include_dashboard": False,
    "object_store_memory": 128 * 2**20,
    "_system_config": {"worker_niceness": 0},
}
"""A cluster of this machine. Tasks and results are small, and workers need not give way to all other programs."""

_TRIES = 20
"""How often a part is given to a worker that dies over it."""

_AHEAD = 2
"""Tasks that an actor has at a time, so that it need not wait for the next one."""


class _Actor:
    """A copy of a worker in a process of its own."""

    def __init__(self, worker: Callable[[Any], Any], folder: str) -> None:
        with contextlib.suppress(OSError):  # paths are those of the command, where this machine has its folder
            os.chdir(folder)
        self._worker = worker

    def is_there(self) -> None:
        """Ends as soon as the process runs."""

    def result(self, number: int, task: Any) -> tuple[int, Any]:
        """The task's number and what the worker makes of it, or what is wrong."""
        try:
            return number, self._worker(task)
        except InputError as error:
            return number, error


def in_order(results: Iterable[tuple[int, Result]]) -> Iterator[Result]:
    """Results in the order of their tasks; those that come early wait.

    >>> list(in_order([(1, "b"), (0, "a"), (2, "c")]))
    ['a', 'b', 'c']
    """
    early: dict[int, Result] = {}
    wanted = 0
    for number, result in results:
        early[number] = result
        while wanted in early:
            yield early.pop(wanted)
            wanted += 1
