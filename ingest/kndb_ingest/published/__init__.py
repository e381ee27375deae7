"""Neuron lists that others published: read, checked and stored without a model."""
