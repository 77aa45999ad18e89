"""A file of the kernel's that holds one number."""

import os
import weakref
from pathlib import Path

# More digits than any number of 64 bits has, with its sign and the end of the line.
_LONGEST_BYTES = 32


class NumberFile:
    """A number that the kernel shows in a file, kept open so that reading it costs little.

    Args:
        path: The file.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self) -> int:
        """The number as it is now.

        Raises:
            OSError: The file can no longer be read.
            ValueError: It holds no number.
        """
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        return int(os.read(self._descriptor, _LONGEST_BYTES))
