"""Making the reference ladder: its text, its tokenizer, its three models and their files.

Nothing here is needed to run ODLLM; the trained files ship inside ``odllm_agent``.
"""
