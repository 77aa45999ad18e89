"""The script that Streamlit runs for every page that is drawn."""

import sys

from odllm_app.shell.explorer import main

main(sys.argv[1:])
