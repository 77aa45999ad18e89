"""What experiments are composed from; installed as `odllm_conf`."""
