"""Files on a disk or in an object store, by one interface: what workers of a cluster read and write.

A place is a path or a URI. pyarrow opens ``s3://``, ``gs://``, ``abfs://``, ``hdfs://`` and ``file://``, fsspec all
other schemes. What is written is there as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import io
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from asr_lm.errors import InputError
from asr_lm.files import decompressed, make_folder

if TYPE_CHECKING:
    import pyarrow.fs

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(?:::[A-Za-z0-9+.-]+)*://")
_OBJECT_STORES = ("s3", "gcs", "abfs")
"""Here an object is seen when all of it was sent; other file systems rename in one step."""
_PARTIAL = ".partial-"


def is_remote(place: str) -> bool:
    """Whether a place is a URI other than that of a local file."""
    return bool(_SCHEME.match(place)) and not place.startswith("file://")


@dataclass(frozen=True)
class Storage:
    """A file or a folder, and how it is reached. It can be pickled.

    Attributes:
        name: path or URI as it was given.
    """

    name: str

    def __post_init__(self) -> None:
        self._opened()

    def _opened(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """The file system and the path in it.

        Raises:
            InputError: nothing is known that opens such a URI.
        """
        from pyarrow import fs

        if not _SCHEME.match(self.name):
            return fs.LocalFileSystem(), str(Path(self.name).absolute())
        try:
            return cast("tuple[fs.FileSystem, str]", fs.FileSystem.from_uri(self.name))
        except (ValueError, OSError, NotImplementedError):
            return self._of_fsspec()

    def _of_fsspec(self) -> tuple[pyarrow.fs.FileSystem, str]:
        import fsspec
        from pyarrow import fs

        try:
            system, path = fsspec.core.url_to_fs(self.name)
        except (ValueError, ImportError, OSError) as error:
            raise InputError(f"cannot be opened ({error})", file=self.name) from error
        return fs.PyFileSystem(fs.FSSpecHandler(system)), path

    def __truediv__(self, name: str) -> Storage:
        """A file of this folder."""
        return Storage(f"{self.name.rstrip('/')}/{name}")

    @property
    def base(self) -> str:
        """The last part of the name."""
        return self.name.rstrip("/").rpartition("/")[2]

    @property
    def kind(self) -> str:
        """``file``, ``folder``, or ``nothing`` where there is neither.

        Raises:
            InputError: the place cannot be looked at.
        """
        from pyarrow.fs import FileType

        with self._blamed():
            system, path = self._opened()
            found = system.get_file_info(path).type
        return {FileType.File: "file", FileType.Directory: "folder"}.get(found, "nothing")

    @property
    def size(self) -> int:
        """Bytes of a file."""
        with self._blamed():
            system, path = self._opened()
            return int(system.get_file_info(path).size)

    def files(self) -> list[Storage]:
        """The files of the folder, in the order of their names, without hidden ones (``.`` or ``_``).

        Raises:
            InputError: the folder cannot be read.
        """
        from pyarrow.fs import FileSelector, FileType

        with self._blamed():
            system, path = self._opened()
            found = system.get_file_info(FileSelector(path))
        names = sorted(info.base_name for info in found if info.type == FileType.File)
        return [self / name for name in names if not name.startswith((".", "_"))]

    @contextlib.contextmanager
    def open(self) -> Iterator[pyarrow.NativeFile]:
        """The file, for reading at any place.

        Raises:
            InputError: it is not there or cannot be read.
        """
        with self._blamed():
            system, path = self._opened()
            with system.open_input_file(path) as file:
                yield file

    @contextlib.contextmanager
    def unpacked(self) -> Iterator[BinaryIO]:
        """The bytes of the file, decompressed, from the first on."""
        with self.open() as file:
            yield decompressed(cast(BinaryIO, io.BufferedReader(file)))

    def read(self) -> bytes:
        """All bytes of the file."""
        with self.open() as file:
            return cast(bytes, file.read())

    def write(self, content: bytes) -> None:
        """Make the file, or take the place of the one that is there; its folder is made.

        Raises:
            InputError: it cannot be written.
        """
        system, path = self._opened()
        renames = system.type_name not in _OBJECT_STORES
        # Two workers may write the same: each under a name of its own.
        written = f"{path}{_PARTIAL}{uuid.uuid4().hex[:12]}" if renames else path
        if system.type_name == "local":
            make_folder(Path(path).parent)
        with self._blamed("written"):
            with system.open_output_stream(written) as file:
                file.write(content)
            if renames:
                system.move(written, path)

    def delete(self) -> None:
        """Remove the file or the folder with all that is in it, where it is there."""
        with self._blamed("removed"):
            system, path = self._opened()
            {"file": system.delete_file, "folder": system.delete_dir}.get(self.kind, lambda path: None)(path)

    def delete_partial(self) -> None:
        """Remove what writers that were killed have left in this folder."""
        from pyarrow.fs import FileSelector

        with self._blamed("removed"):
            system, path = self._opened()
            for info in system.get_file_info(FileSelector(path, allow_not_found=True)):
                if _PARTIAL in info.base_name:
                    system.delete_file(info.path)

    @contextlib.contextmanager
    def _blamed(self, done: str = "read") -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise InputError("no such file", file=self.name) from None
        except OSError as error:
            first = str(error).partition("\n")[0]
            raise InputError(f"cannot be {done} ({first})", file=self.name) from error
