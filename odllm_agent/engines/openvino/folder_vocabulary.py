"""Text to token ids and back, by the tokenizer in a folder of OpenVINO's form."""

from collections.abc import Sequence

from odllm_agent.engines.openvino.error import last_line
from odllm_agent.errors import EngineError


class FolderVocabulary:
    """The tokenizer of a folder; text that looks like a special token is taken for one.

    Args:
        folder: The folder.

    Raises:
        EngineError: It holds no tokenizer that openvino-genai can read.
    """

    def __init__(self, folder: str) -> None:
        import openvino_genai  # noqa: PLC0415 - only a text needs it, and it takes half a second

        try:
            self._tokenizer = openvino_genai.Tokenizer(folder)
        except RuntimeError as error:
            raise EngineError(
                f"openvino-genai finds no tokenizer in {folder}: {last_line(error)}",
                "export it with its tokenizer: openvino_tokenizer.xml and .bin",
            ) from error
        begins = self._encoded("", add_special_tokens=True)[:1]
        self.start_token = begins[0] if begins == [self._tokenizer.get_bos_token_id()] else None

    def tokenize(self, text: str) -> list[int]:
        """The token ids of a text, without any added at its start or end."""
        return self._encoded(text, add_special_tokens=False)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids; special tokens have none."""
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def ends(self, token: int) -> bool:
        """Whether a token ends what a model has to say."""
        return token == int(self._tokenizer.get_eos_token_id())

    def _encoded(self, text: str, *, add_special_tokens: bool) -> list[int]:
        encoded = self._tokenizer.encode(text, add_special_tokens=add_special_tokens)
        return [int(token) for token in encoded.input_ids.data[0]]
