"""The learning rate of every optimizer where none is said; the names of all optimizers. Loads nothing."""

# The optimizers, each with the rate that training takes: of the few that were tried, what suits the models here, which
# bench/optimizers.py shows. Most are larger than the literature's, which the classes have: with batch norm after every
# product the weights' length does not count.
RATES = {"sgd": 0.01, "momentum": 0.003, "nesterov": 0.003, "adagrad": 0.3, "adadelta": 3.0, "rmsprop-plain": 0.01,
         "rmsprop-centred": 0.01, "rmsprop-momentum": 0.001, "rmsprop": 0.001, "adam": 0.03, "amsgrad": 0.03, "adamw": 0.03,
         "adamax": 0.06, "nadam": 0.03, "radam": 0.03, "lion": 0.01, "lamb": 0.02}
