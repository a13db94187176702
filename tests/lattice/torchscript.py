"""A TorchScript archive that writes a file when it is loaded."""

# No `from __future__ import annotations`: torch reads the annotations of what it compiles.
from pathlib import Path

import torch


class _Writer(torch.nn.Module):
    def __init__(self, mark: str) -> None:
        super().__init__()
        self.mark = mark
        self.made = torch.zeros(1)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.mark, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.mark = state[0]
        self.training = state[1]
        self.made = torch.from_file(self.mark, True, 4)


def write_archive(path: Path, mark: Path) -> None:
    """Write the archive; who loads it makes the file ``mark``."""
    torch.jit.script(_Writer(str(mark))).save(str(path))
