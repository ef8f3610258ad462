"""CTLR: which transfer-learning method, tuned how, and what does it gain over training from scratch?"""

__version__ = "0.1.0"
