"""The tokens of a GGUF file, by llama.cpp's own tokenizer."""

import ctypes
from collections.abc import Sequence

from odllm_agent.engines.llama_cpp.native import llama as native
from odllm_agent.errors import EngineError


class Vocabulary:
    """Text to token ids and back.

    Args:
        pointer: llama.cpp's vocabulary, which belongs to a loaded model.
    """

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer
        wants_start = native.llama_vocab_get_add_bos(pointer)
        self.start_token = int(native.llama_vocab_bos(pointer)) if wants_start else None

    @classmethod
    def of_file(cls, path: str) -> "Vocabulary":
        """The vocabulary of a file whose weights are not read; kept until the process ends.

        Raises:
            EngineError: llama.cpp refuses the file.
        """
        params = native.llama_model_default_params()
        params.vocab_only = True
        native.llama_backend_init()
        model = native.llama_model_load_from_file(path.encode(), params)
        if not model:
            raise EngineError(
                f"llama.cpp refuses the vocabulary of {path}",
                "check the tokenizer's metadata in it",
            )
        return cls(native.llama_model_get_vocab(model))

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text, without any added at its start or end."""
        raw = text.encode()
        room = len(raw) + 8
        ids = (native.llama_token * room)()
        n_ids = native.llama_tokenize(self._pointer, raw, len(raw), ids, room, False, False)
        if n_ids < 0:
            raise EngineError(
                f"llama.cpp could not tokenize a text of {len(raw)} bytes",
                "check the tokenizer's metadata in the model file",
            )
        return list(ids[:n_ids])

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids; special tokens have none."""
        ids = (native.llama_token * len(tokens))(*tokens)
        room = 16 * len(tokens) + 64
        while True:
            text = ctypes.create_string_buffer(room)
            length = native.llama_detokenize(
                self._pointer, ids, len(tokens), text, room, False, False
            )
            if length >= 0:
                return text.raw[:length].decode("utf-8", "replace")
            room = -length

    def ends(self, token: int) -> bool:
        """Whether a token ends what a model has to say."""
        return bool(native.llama_vocab_is_eog(self._pointer, token))
