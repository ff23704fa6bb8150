"""Calibration sets, and the activation statistics collected on them."""
