"""Mixture of Depths (arXiv 2404.02258), and Router-Tuning (arXiv 2410.13184)."""

from workflow_scripts.masking.routers import plan

__all__ = ["plan"]
