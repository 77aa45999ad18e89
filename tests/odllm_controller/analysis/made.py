"""Tasks whose times follow from a formula."""

import itertools

import numpy as np

from odllm_controller.analysis.bounds.bound import Task

N_WEIGHTS = (5e8, 1.5e9, 3e9, 8e9)
BITS = (16.0, 8.5, 5.7, 4.9, 4.5, 3.0)


def tasks(
    bandwidth: float,
    operations_per_s: float,
    *,
    fixed_s: float = 0.0,
    noise: float = 0.0,
    seed: int = 0,
) -> list[Task]:
    """Output tokens of four models at six types, from small to large.

    Args:
        bandwidth: Bytes read per second.
        operations_per_s: Operations done per second, after the reading.
        fixed_s: Seconds of every token besides.
        noise: The standard deviation of the time, as a fraction of it.
        seed: What the noise is drawn from.
    """
    chance = np.random.default_rng(seed)
    models = itertools.product(N_WEIGHTS, BITS)
    sizes = sorted((n_weights * bits / 8, 2 * n_weights) for n_weights, bits in models)
    return [
        Task(
            read_bytes,
            operations,
            (read_bytes / bandwidth + operations / operations_per_s + fixed_s)
            * (1 + noise * float(chance.standard_normal())),
        )
        for read_bytes, operations in sizes
    ]
