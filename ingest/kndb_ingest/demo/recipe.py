"""Hyperparameters of the demo models' training, used by the trainer and the model card."""

SEED = 0
STEPS = 3000
BATCH = 1024
WARM_UP = 100
LEARNING_RATE = 2e-3

# Shares of the samples. HIDDEN: one word is hidden, which teaches the model the baselines that
# attribution starts from. SWITCHED: the subject is named in another language, so that the model
# treats both names alike. WRONG: the answer is another fact's, as in noisy text, so that the model
# never becomes certain; the causal model is more confident and needs more of them.
HIDDEN = 0.3
SWITCHED = 0.5
WRONG = {"masked": 0.15, "causal": 0.25}

# A tenth of the neurons is dropped out at every step, so that others learn to stand in.
DROPOUT = 0.1
# Penalty on the norm of a neuron's output, which keeps the neurons per fact few.
SPARSITY = 3e-3
