# When all rules are known: Snakemake asks their functions for parameters several times for each job.
import gc
from types import FunctionType

for RULE in workflow.rules:
    for ITEM in (*RULE.input, *RULE.params):
        FUNCTION = getattr(ITEM, "callable", ITEM)
        if isinstance(FUNCTION, FunctionType):
            with_signature(FUNCTION)

gc.freeze()  # the rules too, as in door.smk
