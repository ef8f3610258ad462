"""How each family learns and predicts: scikit-learn fits, and what it found is kept as plain arrays that NumPy reads.

Each module has the functions of `ctlr.shallow.model.Learner`.
"""
