"""Which variants keep the model's thinking, told from its own traces before they generate."""
