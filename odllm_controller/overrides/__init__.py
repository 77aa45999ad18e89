"""What is typed after `odllm run`: overrides of an experiment, as Hydra reads them.

writing    an override, so that a shell and Hydra both give its value back
line       the command line of a run, as it is stored, and its words
asked      what a command line asks of Hydra, and of us
composing  the experiments that Hydra composes of it
meant      what was probably meant by a word that Hydra does not take
"""
