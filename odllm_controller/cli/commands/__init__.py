"""The commands beside `odllm run`, each in a module of its own."""
