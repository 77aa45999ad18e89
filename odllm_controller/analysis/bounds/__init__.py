"""What a device does at most, and how near a trial came to it."""
