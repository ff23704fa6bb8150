"""Imported by the process that workers are forked from, so that each starts with the library."""

import os

from workflow_scripts.answers.comparison.expressions import prepare

prepare()

# the parser prints what it cannot read, and a worker complains that is stopped while it starts
_silent = os.open(os.devnull, os.O_WRONLY)
os.dup2(_silent, 1)
os.dup2(_silent, 2)
