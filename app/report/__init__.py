"""`odllm report`: one HTML page of a run that opens without a network, a script or ODLLM."""
