"""Imported by the process that workers are forked from, so that each starts with the library."""

from workflow_scripts.grading.comparison.expressions import prepare

prepare()
