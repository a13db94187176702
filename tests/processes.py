"""Functions run in several connected processes, as ``torchrun`` connects them."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

WAIT = 120.0
"""Seconds until a process that should have said something is given up."""


def in_processes(function: Callable[..., Any], *arguments: Any, count: int = 2) -> list[Any]:
    """What ``function(rank, *arguments)`` returns in each process, or the exception it raises; None where it died."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")  # a fork has everything imported already
    pipes = [context.Pipe(duplex=False) for _ in range(count)]
    children = [
        context.Process(target=_child, args=(function, arguments, rank, count, port, pipes[rank][1]))
        for rank in range(count)
    ]
    for child in children:
        child.start()
    for _, sender in pipes:
        sender.close()
    try:
        return [_received(receiver) for receiver, _ in pipes]
    finally:
        for child in children:
            child.kill()
            child.join()


def _received(receiver: Connection) -> Any:
    try:
        assert receiver.poll(WAIT), "a process hangs"
        return pickle.loads(receiver.recv_bytes())
    except EOFError:
        return None


def _child(
    function: Callable[..., Any], arguments: tuple[Any, ...], rank: int, count: int, port: int, sender: Connection
) -> None:
    import torch

    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    try:
        result = function(rank, *arguments)
    except BaseException as error:
        traceback.print_exc()
        result = error
    # Plain pickle: multiprocessing's own would pass tensors by shared memory, which ends with the process.
    sender.send_bytes(pickle.dumps(result))
    sender.close()
    os._exit(0)
