"""Mixture of Depths (arXiv 2404.02258), by the largest of a row or by a threshold of its own."""

from workflow_scripts.masking.routers import plan

__all__ = ["plan"]
