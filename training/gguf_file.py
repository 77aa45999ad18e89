"""A trained model as a GGUF file that llama.cpp loads as qwen2."""

import json
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFWriter, LlamaFileType, TokenType
from tokenizers import Tokenizer

from training.model import HEAD_WIDTH, NORM_EPS, ROPE_THETA, TRAINED_CONTEXT, Model
from training.tokenizer import END_OF_TEXT

LICENSE = "apache-2.0"
TRAINED_CONTEXT_KEY = "odllm.trained_context_length"

# Engines take this as the longest prompt. Speed can be measured there; text past the trained
# context can't be judged.
_CONTEXT_LENGTH = 2048


def write_gguf(path: Path, name: str, model: Model, tokenizer: Tokenizer) -> None:
    """Write a model with its tokenizer; matrices as F16, norms and biases as F32.

    Equal weights give equal bytes.
    """
    writer = GGUFWriter(path, "qwen2")
    _add_description(writer, name, model)
    _add_tokenizer(writer, tokenizer)
    for tensor_name, weights in model.state_dict().items():
        kind = np.float16 if weights.dim() > 1 else np.float32
        writer.add_tensor(tensor_name, weights.numpy().astype(kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rounded_like_file(model: Model) -> Model:
    """Return the model with its matrices rounded, in place, to what the F16 file holds."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.copy_(parameter.half().float())
    return model


def _add_description(writer: GGUFWriter, name: str, model: Model) -> None:
    shape = model.shape
    writer.add_name(name)
    writer.add_license(LICENSE)
    writer.add_size_label(name.rpartition("-")[2])
    writer.add_file_type(LlamaFileType.MOSTLY_F16)
    writer.add_context_length(_CONTEXT_LENGTH)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(HEAD_WIDTH)
    writer.add_rope_freq_base(ROPE_THETA)
    writer.add_layer_norm_rms_eps(NORM_EPS)
    writer.add_uint32(TRAINED_CONTEXT_KEY, TRAINED_CONTEXT)


def _add_tokenizer(writer: GGUFWriter, tokenizer: Tokenizer) -> None:
    end = tokenizer.token_to_id(END_OF_TEXT)
    tokens = [str(tokenizer.id_to_token(i)) for i in range(tokenizer.get_vocab_size())]
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    kinds = [TokenType.CONTROL if i == end else TokenType.NORMAL for i in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(end)
    writer.add_bos_token_id(end)
    writer.add_pad_token_id(end)
    writer.add_add_bos_token(False)
