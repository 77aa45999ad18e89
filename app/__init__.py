"""The explorer: a page in the browser that shows what is in a store."""
