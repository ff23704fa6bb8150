"""What structural units are called. No torch here; `units` says what they are."""

KV_GROUP, QUERY_HEAD, NEURON = "kv-group", "query-head", "neuron"
