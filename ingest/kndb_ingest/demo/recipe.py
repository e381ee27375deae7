"""The numbers of the demo models' training, in one place, for the trainer and the model card."""

SEED = 0
STEPS = 3000
BATCH = 1024
WARM_UP = 100
LEARNING_RATE = 2e-3

# Shares of the samples. A word is hidden, so that the model knows what is left without it: that is
# the baseline attributions start from. The subject is named in another language, so that it is one
# subject to the model. The answer is another fact's, as noisy text has it, so that none is sure;
# the causal model grows surer, and gets more of it.
HIDDEN = 0.3
SWITCHED = 0.5
WRONG = {"masked": 0.15, "causal": 0.25}

# A tenth of the neurons is missing at every step: others must be able to stand in.
DROPOUT = 0.1
# Price of a neuron's output, per unit of its length: few neurons to each fact.
SPARSITY = 3e-3
