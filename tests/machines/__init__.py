"""The smoke experiment on processors that are not here, and on builds of several compilers."""
