"""The fact check: claims in words against the neurons with which a model recalls facts.

``FactChecker`` is the way in. ``kndb factcheck calibrate`` makes the calibration that all methods
but ``probability`` need.
"""

from kndb.factcheck.calibrated import METHODS, check_method
from kndb.factcheck.checker import FactChecker
from kndb.factcheck.verdict import Verdict

__all__ = ["METHODS", "FactChecker", "Verdict", "check_method"]
