"""What OpenVINO says when it fails."""


def last_line(error: RuntimeError) -> str:
    """The last line of what OpenVINO says; those before are places in its source."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "it does not say why"
