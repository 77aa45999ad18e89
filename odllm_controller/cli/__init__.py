"""The command line: commands, tables, texts, progress."""
