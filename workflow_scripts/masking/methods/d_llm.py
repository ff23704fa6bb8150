"""D-LLM (NeurIPS 2024): a router for every block but the first two."""

from workflow_scripts.masking.routers import plan

__all__ = ["plan"]
