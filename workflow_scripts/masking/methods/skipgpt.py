"""SkipGPT (arXiv 2506.04179): a router for attention and one for the MLP of every block."""

from workflow_scripts.masking.routers import plan

__all__ = ["plan"]
