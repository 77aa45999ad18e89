"""llama.cpp: loading, prefill, decode, memory, ceilings."""
