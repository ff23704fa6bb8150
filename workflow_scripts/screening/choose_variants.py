"""Choose the variants of a model that go on to generation, by their screens.

    python -m workflow_scripts.screening.choose_variants \\
        --screens results/reasoner/{dense,wanda-50,wanda-60}/screen.json \\
        --options '{"variants": ["dense", "wanda-50", "wanda-60"], "always": ["dense"],
        "keep": 1, "by": "kl"}' --output results/reasoner/screening.json

Those that go on `always` are no part of the number to `keep`. Equal scores rank in the order of the
variants. KL and loss are the better the lower, agreement the higher.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from workflow_scripts.artefacts.screens import Choice, Screen, read_screen, write_choice
from workflow_scripts.config.entry import parser_of
from workflow_scripts.config.screening import ChoiceJob
from workflow_scripts.errors import InputError
from workflow_scripts.jobs.stage import run_stage


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--screens", required=True, nargs="+", type=Path, help="in folders named by variant"
    )
    parser.add_argument("--options", required=True, help="JSON, see above")
    parser.add_argument("--output", required=True, type=Path)
    given = parser.parse_args(argv)
    options: ChoiceJob = parser_of(ChoiceJob)(given.options)
    found = {path.parent.name: read_screen(path) for path in given.screens}
    screens = {name: found[name] for name in options.variants}
    choice = choose(screens, options)
    write_choice(given.output, choice)
    print(f"go on: {', '.join(choice.going_on)}")


def choose(screens: Mapping[str, Screen], options: ChoiceJob) -> Choice:
    """The choice among variants with these screens.

    Raises `InputError` where they are of different problems or models.
    """
    one, *others = screens
    for other in others:
        for key in ("model_digest", "benchmark", "problems"):
            values = [getattr(screens[name], key) for name in (one, other)]
            if values[0] != values[1]:
                said = f"{one} has {key} {values[0]}, {other} {values[1]}"
                raise InputError(f"--screens: {said}; they cannot be compared")
    scores = {name: getattr(screen.all, options.by) for name, screen in screens.items()}
    sign = -1 if options.by == "agreement" else 1
    rest = [name for name in options.variants if name not in options.always]
    ranked = sorted(rest, key=lambda name: sign * scores[name])
    kept = ranked if options.keep == "all" else ranked[: options.keep]
    return Choice(
        by=options.by,
        variants=options.variants,
        scores=scores,
        always=[name for name in options.variants if name in options.always],
        chosen=[name for name in options.variants if name in kept],
    )


if __name__ == "__main__":
    run_stage(main)
