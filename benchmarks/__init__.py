"""ODLLM's speed beside llama-bench's, and what a trial costs besides measuring."""
