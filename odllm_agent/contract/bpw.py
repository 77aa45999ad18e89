"""Bits per weight (BPW)."""


def bits_per_weight(n_bytes: int, n_weights: int) -> float:
    """8 x bytes of all weight tensors / number of weights.

    Args:
        n_bytes: Of the tensors alone, without header or padding.
        n_weights: How many weights they hold; at least one.
    """
    return 8 * n_bytes / n_weights
