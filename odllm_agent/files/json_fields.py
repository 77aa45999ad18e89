"""Fields of a JSON object that a person may have written."""


class Twice(ValueError):
    """A field is there twice, so that one value of it would be lost."""


def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """The object with these fields; for `json.loads`, as its `object_pairs_hook`.

    Raises:
        Twice: One of them is there twice.
    """
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Twice(f"it has the field {twice!r} twice")
    return content
