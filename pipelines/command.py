"""What all commands share: errors become one message and an exit code, and a terminal to write to."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from asr_lm.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

Arguments = TypeVar("Arguments")

BAD_INPUT = 2
INTERRUPTED = 130

_TORCH_ADVICE = (
    "torch and torchaudio must be of one build: install both with "
    "`pip install 'torch>=2.11,<2.12' 'torchaudio>=2.11,<2.12'`, or run `make install`"
)


def parse(arguments: type[Arguments], prog: str, description: str) -> Arguments:
    """The command line as a dataclass; a wrong one ends the program with exit code 2."""
    import tyro

    return tyro.cli(arguments, prog=f"python -m pipelines.{prog}", description=description)


def run(main: Callable[[], None]) -> None:
    """Run a command; bad input prints one message and exits with 2, Ctrl-C exits with 130."""
    try:
        with contextlib.suppress(BrokenPipeError):
            main()
        sys.stdout.flush()
    except InputError as error:
        sys.exit(_failed(str(error)))
    except KeyboardInterrupt:
        print("\ninterrupted; nothing half written is left behind", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ImportError, OSError) as error:
        if "torch" not in str(error) and "libc10" not in str(error):
            raise
        sys.exit(_failed(f"{error}; {_TORCH_ADVICE}"))


def _failed(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return BAD_INPUT


def console(stderr: bool = True) -> Console:
    """A terminal for messages and progress (standard error), or for results (standard output)."""
    from rich.console import Console

    width = None if (sys.stderr if stderr else sys.stdout).isatty() else 120
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)
