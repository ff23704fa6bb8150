"""How each allocation divides a sparsity: a module for every kind, by its name, with `divide`."""


def module_of(kind: str) -> str:
    """The module of a kind of allocation, below the package."""
    return f"allocation.kinds.{kind.replace('-', '_')}"
