"""The fact check: claims in words against the neurons with which a model recalls facts.

``FactChecker`` is the way in. It needs a calibration, which ``kndb factcheck calibrate`` makes.
"""

from kndb.factcheck.calibrated import METHODS
from kndb.factcheck.checker import FactChecker, Verdict

__all__ = ["METHODS", "FactChecker", "Verdict"]
