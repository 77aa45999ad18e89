"""Streamlit with the explorer already imported, so that the first page does not wait for it."""

from streamlit.logger import set_log_level
from streamlit.web.cli import main

# It warns of every cache that is made before it serves; its options are read only after that.
set_log_level("ERROR")

import odllm_app.shell.explorer  # noqa: E402, F401 - what this is for

main(prog_name="streamlit")
