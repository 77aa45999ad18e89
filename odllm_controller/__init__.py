"""The controller: plans experiments, sends trials to agents, records and reads results."""
