"""A file of the kernel's that holds one number, such as an energy or a power."""

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
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def read(self) -> int:
        """The number as it is now.

        Raises:
            OSError: The file can no longer be read.
            ValueError: It holds no number, or none that 64 bits can count.
        """
        try:
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            text = os.read(self._descriptor, _LONGEST_BYTES)
        except OSError as error:
            error.filename = str(self._path)
            raise
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"{self._path} holds no number: {text!r}") from None
        if not 0 <= number < 2**64:
            raise ValueError(f"{self._path} is no count of 64 bits: {number}")
        return number
