"""What a trial will need, told before it runs."""
