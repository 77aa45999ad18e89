"""OpenVINO: converting, loading, prefill, decode, ceilings."""
