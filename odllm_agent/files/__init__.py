"""Files and folders: where they lie, what is typed for them, their checksums and their locks."""
