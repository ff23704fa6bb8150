"""What each method makes of a model: a module for every method, by its name, with `plan`."""


def module_of(method: str) -> str:
    """The module of a method, below the package."""
    return f"masking.methods.{method.replace('-', '_')}"
