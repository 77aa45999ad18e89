"""What went wrong: told once per cause, and not tried for ever.

What can be told at once is `alike`; what is not worth trying any more, `Streaks`.
"""

from odllm_agent.failures.attempt import Attempt
from odllm_agent.failures.cause import Cause
from odllm_agent.failures.death import Deed, death
from odllm_agent.failures.grouping import Alike, Failed, alike, counted, last_words, told
from odllm_agent.failures.left_out import LeftOut, merged
from odllm_agent.failures.streaks import Streak, Streaks
from odllm_agent.failures.traits import Traits

__all__ = [
    "Alike",
    "Attempt",
    "Cause",
    "Deed",
    "Failed",
    "LeftOut",
    "Streak",
    "Streaks",
    "Traits",
    "alike",
    "counted",
    "death",
    "last_words",
    "merged",
    "told",
]
