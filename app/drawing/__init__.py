"""Charts, tables and the words round them."""
