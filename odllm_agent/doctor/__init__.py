"""What this device can measure, and what stands in the way."""
