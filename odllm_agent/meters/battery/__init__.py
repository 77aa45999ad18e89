"""What a battery gives while it feeds the device."""
