"""What commands share with a terminal: arguments, streams, signals, texts safe to show."""
