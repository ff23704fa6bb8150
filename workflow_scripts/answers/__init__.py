"""The answer that a text gives, and whether it equals another."""
