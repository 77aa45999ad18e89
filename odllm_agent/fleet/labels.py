"""The labels by which Ray knows the machines of a fleet."""

DEVICE, NAME, VERSION = "odllm-device", "odllm-name", "odllm-version"
ROLE, HEAD = "odllm-role", "head"

OURS = ("odllm-", "ray.io/")
"""How labels begin that nobody may choose."""
