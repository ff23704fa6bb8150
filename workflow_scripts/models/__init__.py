import sys

# Where scikit-learn is installed, transformers imports it for something that nothing here does: two
# seconds of every job that opens a model. Tasks of the harness can need it, and let it in.
sys.modules.setdefault("sklearn", None)
