"""Streamlit with the explorer already imported, so that the first page does not wait for it."""

from streamlit.web.cli import main

import app.explorer  # noqa: F401 - what this is for

main(prog_name="streamlit")
