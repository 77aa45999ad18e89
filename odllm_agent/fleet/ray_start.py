"""`ray start`, ending with the process that started it.

Its standard input closes when that process ends, however that goes; Ray's own processes then end
with this one.
"""

from ray._private import services
from ray.scripts import scripts

from odllm_agent.processes.child import end_with_parent


def main() -> None:
    """Runs `ray start` with the arguments of this process."""
    end_with_parent()
    # Ray takes a loopback address for one of the network, where a head that is kept to loopback
    # does not answer. There is no option against it.
    services.resolve_ip_for_localhost = lambda host: host
    scripts.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
