"""llama-bench's figures in all of its forms."""
