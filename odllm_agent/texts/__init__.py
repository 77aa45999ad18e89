"""Texts that models read: by name, or any text file on the device."""
