"""What blocks are put together of: the tensors of each part, and the sizes that they have.

Names are llama.cpp's. A size is one of those that `Architecture.sizes` gives, or a number that all
models of a family have; the last is the length of a row. The order is that of the file.
"""

from collections.abc import Mapping

Part = Mapping[str, tuple[str | int, ...]]
"""The sizes of each tensor of a part, by the tensor's name in its block."""

DECAYS = "ssm_a"
"""The tensor of how fast the state of each head fades, all of it below zero."""

ATTENTION: Part = {
    "attn_norm.weight": ("width",),
    "attn_q.weight": ("queries", "width"),
    "attn_k.weight": ("keys", "width"),
    "attn_v.weight": ("keys", "width"),
    "attn_output.weight": ("width", "queries"),
}

BIASED_ATTENTION: Part = {
    "attn_norm.weight": ("width",),
    "attn_q.weight": ("queries", "width"),
    "attn_q.bias": ("queries",),
    "attn_k.weight": ("keys", "width"),
    "attn_k.bias": ("keys",),
    "attn_v.weight": ("keys", "width"),
    "attn_v.bias": ("keys",),
    "attn_output.weight": ("width", "queries"),
}

FUSED_ATTENTION: Part = {
    "attn_norm.weight": ("width",),
    "attn_qkv.weight": ("queries_keys_values", "width"),
    "attn_output.weight": ("width", "queries"),
}

HEAD_NORMS: Part = {"attn_q_norm.weight": ("head",), "attn_k_norm.weight": ("head",)}

# One norm over all heads together, and none before the attention.
WHOLE_NORMS: Part = {"attn_q_norm.weight": ("queries",), "attn_k_norm.weight": ("keys",)}

SINKS: Part = {"attn_output.bias": ("width",), "attn_sinks.weight": ("heads",)}

NORM_BEHIND_ATTENTION: Part = {"post_attention_norm.weight": ("width",)}

NORM_BEHIND_FEED_FORWARD: Part = {"post_ffw_norm.weight": ("width",)}

SHORT_CONVOLUTION: Part = {
    "attn_norm.weight": ("width",),
    "shortconv.conv.weight": ("width", "kernel"),
    "shortconv.in_proj.weight": ("gates_and_width", "width"),
    "shortconv.out_proj.weight": ("width", "width"),
}

STATE_SPACE: Part = {
    "attn_norm.weight": ("width",),
    "ssm_in.weight": ("gates_and_steps", "width"),
    "ssm_conv1d.weight": ("convolved", "ssm_kernel"),
    "ssm_conv1d.bias": ("convolved",),
    "ssm_dt.bias": ("ssm_heads",),
    DECAYS: ("ssm_heads", 1),
    "ssm_d": ("ssm_heads", 1),
    "ssm_norm.weight": ("groups", "group"),
    "ssm_out.weight": ("width", "inner"),
}

NORM_BEFORE_FEED_FORWARD: Part = {"ffn_norm.weight": ("width",)}

GATED: Part = {
    "ffn_gate.weight": ("ffn", "width"),
    "ffn_up.weight": ("ffn", "width"),
    "ffn_down.weight": ("width", "ffn"),
}

FUSED_GATED: Part = {
    "ffn_up.weight": ("gate_and_ffn", "width"),
    "ffn_down.weight": ("width", "ffn"),
}

EXPERTS: Part = {
    "ffn_gate_inp.weight": ("experts", "width"),
    "ffn_gate_exps.weight": ("experts", "expert_ffn", "width"),
    "ffn_up_exps.weight": ("experts", "expert_ffn", "width"),
    "ffn_down_exps.weight": ("experts", "width", "expert_ffn"),
}

EXPERT_BIASES: Part = {
    "ffn_gate_inp.bias": ("experts",),
    "ffn_gate_exps.bias": ("experts", "expert_ffn"),
    "ffn_up_exps.bias": ("experts", "expert_ffn"),
    "ffn_down_exps.bias": ("experts", "width"),
}

EXPERT_BALANCE: Part = {"exp_probs_b.bias": ("experts",)}
