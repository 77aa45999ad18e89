"""The forms of model files: GGUF and OpenVINO's, and who can read them."""
