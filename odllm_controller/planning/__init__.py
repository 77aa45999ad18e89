"""What is measured, in which order, and what it will take."""
