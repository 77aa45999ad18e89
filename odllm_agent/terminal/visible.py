"""Text from elsewhere as a terminal may show it: what would steer the terminal is spelt out.

The name of a device, a model or a file is whatever somebody wrote. A code in it may colour, erase
or turn around what stands beside it, or write a line that ODLLM never wrote.
"""

import re

# Controls of either kind, what has no width, what turns the direction of writing, line ends that
# are none of ours, and halves of characters, which no terminal can be sent.
_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_INDENTED = "\n  "


def visible(text: str, keep: str = "") -> str:
    r"""The text with every character that cannot be seen spelt out, such as `\x1b` or `\n`.

    Args:
        text: Any text.
        keep: Such characters that stay as they are.
    """

    def spelt(found: re.Match[str]) -> str:
        character = found[0]
        return character if character in keep else character.encode("unicode_escape").decode()

    return _HIDDEN.sub(spelt, text)


def visible_lines(text: str) -> str:
    """The same of an error as it is told; line ends stay where the next line is indented."""
    return _INDENTED.join(map(visible, text.split(_INDENTED)))
