"""The agent: what runs on the device that is measured."""
