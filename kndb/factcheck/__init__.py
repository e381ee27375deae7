"""The fact check: claims in words against the neurons with which a model recalls facts.

``FactChecker`` is the way in. ``kndb factcheck calibrate`` makes the calibration that all methods
but ``probability`` need.
"""

from kndb.factcheck.calibrated import METHODS
from kndb.factcheck.checker import FactChecker, Verdict

__all__ = ["METHODS", "FactChecker", "Verdict"]
