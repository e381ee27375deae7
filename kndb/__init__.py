"""kndb: a knowledge-neuron database. Importing it imports neither torch nor transformers."""
