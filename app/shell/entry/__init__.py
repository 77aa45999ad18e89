"""What Streamlit runs.

The script has a folder of its own: Streamlit takes modules in a folder `pages` beside it for pages.
"""
