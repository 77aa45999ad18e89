"""Making files of other types, by llama.cpp's quantizer."""
