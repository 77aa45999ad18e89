"""What the stored numbers mean: metrics, and results ready to be shown."""
