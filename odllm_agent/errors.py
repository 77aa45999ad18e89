"""The error tree of ODLLM.

    OdllmError
    ├── UsageError          what was asked for is wrong: an option, a name, a type
    │   └── SettingError    an engine does not know a setting, or cannot honour its value
    ├── ModelError          a model file cannot be had or cannot be used
    │   ├── ModelMissing    there is no such file
    │   ├── ModelInvalid    the file is not a whole GGUF file that the engine can read
    │   ├── ChecksumMismatch  the file is not the one that was named
    │   ├── ModelChanged    the file is no longer the one whose checksum was taken
    │   ├── AccessDenied    a hub or an index does not give the file to whoever asks
    │   ├── DownloadFailed  the file, or all of it, could not be fetched
    │   └── ModelTooLarge   the file does not fit in this device's free memory
    ├── DataMissing         a text or a task's questions cannot be had
    ├── EngineError         an engine is missing, refused to load, or failed while running
    ├── WorkerDied          the process of a trial ended without an answer
    │   └── WorkerLate      it had to be ended, because its time was over
    ├── DiskFull            there is no room where something had to be written
    ├── DispatchError       the fleet could not be reached, or an agent was lost
    ├── JoinRefused         a fleet does not take this device: its token or its versions
    └── StoreError          the results file cannot be opened, read or written
        ├── StoreHeld       another process has it open
        └── ValueRefused    a value is none that the results file can hold

Every error names the culprit in `message` and what to do about it in `remedy`. On the way between
processes an error travels as data: see `odllm_agent.contract.Failure`.
"""


class OdllmError(Exception):
    """The root of all errors that ODLLM raises on purpose.

    Args:
        message: What went wrong, naming the culprit.
        remedy: What the reader can do about it.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  {self.remedy}" if self.remedy else self.message


class UsageError(OdllmError):
    """What was asked for is wrong: an option, a name, a value's type."""


class SettingError(UsageError):
    """An engine does not know a setting, or cannot honour its value."""


class ModelError(OdllmError):
    """A model file cannot be had or cannot be used."""


class ModelMissing(ModelError):
    """There is no file where the model should be."""


class ModelInvalid(ModelError):
    """The file is not a whole GGUF file that the engine can read."""


class ChecksumMismatch(ModelError):
    """The file's bytes are not those that were named."""


class ModelChanged(ModelError):
    """The file is no longer the one whose checksum was taken."""


class AccessDenied(ModelError):
    """A hub or an index does not give the file to whoever asks."""


class DownloadFailed(ModelError):
    """The file, or all of it, could not be fetched."""


class ModelTooLarge(ModelError):
    """The model does not fit in this device's free memory."""


class DataMissing(OdllmError):
    """A text, or the questions of a task, cannot be had."""


class EngineError(OdllmError):
    """An engine is missing, refused to load a model, or failed while running."""


class WorkerDied(OdllmError):
    """The process of a trial ended without an answer."""


class WorkerLate(WorkerDied):
    """The process of a trial was ended because its time was over."""


class DiskFull(OdllmError):
    """There is no room where something had to be written."""


class DispatchError(OdllmError):
    """The fleet could not be reached, or an agent was lost."""


class JoinRefused(OdllmError):
    """A device and a fleet do not fit together; waiting does not help."""


class StoreError(OdllmError):
    """The results file cannot be opened, read or written."""


class StoreHeld(StoreError):
    """Another process has the results file open.

    Args:
        message: What went wrong, naming the culprit.
        remedy: What the reader can do about it.
        holder: The other process, in words.
    """

    def __init__(self, message: str, remedy: str = "", holder: str = "another process") -> None:
        super().__init__(message, remedy)
        # Pickling hands these on.
        self.args = (message, remedy, holder)
        self.holder = holder


class ValueRefused(StoreError):
    """A value is none that the results file can hold."""
