"""Optimisers by PyTorch's names, whose steps are made at the client, and minimisation by SciPy's methods."""

from gradproof.client.optim import lr_scheduler
from gradproof.client.optim.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from gradproof.client.optim.lbfgs import LBFGS
from gradproof.client.optim.minimization import minimize
from gradproof.client.optim.optimizer import Optimizer

__all__ = ["LBFGS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler", "minimize"]
