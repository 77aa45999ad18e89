"""What the system tells of this device, and what it lets us do."""
