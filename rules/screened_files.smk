# Which variants of each model generate, once they are chosen, and the files of those.


def choices():
    """What says which variants of each model go on, where not all of them do."""
    paths = expand(of_run("{model}/screening.json"), model=RUN.models)
    return paths if drops_variants(SETTINGS) else []


def going_on(model):
    """The variants of a model that go on to generation; known once they are chosen."""
    if not drops_variants(SETTINGS):
        return RUN.variants
    (choice,) = checkpoints.choose_variants.get(model=model).output
    return read_choice(Path(choice)).going_on


def dynamic_going_on(model):
    """Those of them whose tokens skip sublayers."""
    return [name for name in going_on(model) if name in DYNAMIC]


def of_going_on(pattern):
    """The files of the models' variants that go on: for each model an input that waits for its own
    choice, so that none waits for another's."""

    def of_model(model):
        return lambda wildcards: run_files(
            pattern,
            model=[model],
            variant=going_on(model),
            dynamic=dynamic_going_on(model),
        )

    return [of_model(model) for model in RUN.models]
