"""The options of an attribution run, as one value, and the four named presets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from kndb.attribution.quadrature import RULES
from kndb.errors import UsageError

Baseline = Literal["words", "mean", "tokens", "zero"]
Factor = Literal["difference", "activation"]
Normalise = Literal["none", "layer"]
Hook = Literal["post", "pre"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Options of the engine. "The paper" is Chen et al. 2024 (AMIG, arXiv 2308.13198).

    Attributes:
        baseline: where paths start. ``words``: one path for each word of the prompt, from the
            neurons of the sentence in which that word is masked (Eq. 3), attributions summed;
            ``mean``: one path from the mean of those; ``tokens``: one path from the mean over the
            sentences in which each *token* is masked, special tokens and the answer position
            included (the released code); ``zero``: one path from zero (Dai et al. 2022).
        factor: the gradient is multiplied by the ``difference`` between the ends (Eq. 2) or by
            the observed ``activation`` (as Eq. 3 and both peers write it).
        quadrature: a rule of :mod:`kndb.attribution.quadrature`; with a ``tolerance``, Gauss rules
            with nodes at both ends of the path (Lobatto's).
        nodes: the number of nodes of a fixed rule.
        tolerance: refine paths until the estimated errors of a prompt's scores, as L2 relative to
            their L2 norm and of any neuron relative to the top score, and the completeness residual
            of each path are within it (see :mod:`kndb.attribution.adaptive`); None for a fixed
            rule.
        max_nodes: the maximum number of nodes at which the model is run on one path, over all its
            panels; a path that would need more is left as it is.
        normalise: ``layer``: divide by the layer's sum of scores (Eq. 5); ``none``: do not.
        hook: whether neurons are read before (``pre``) or after (``post``) their activation
            function.
    """

    baseline: Baseline = "words"
    factor: Factor = "difference"
    quadrature: str = "gauss-legendre"
    nodes: int = 1
    tolerance: float | None = 0.01
    max_nodes: int = 255
    normalise: Normalise = "none"
    hook: Hook = "post"

    def __post_init__(self) -> None:
        """Reject invalid options.

        Raises:
            UsageError: an unknown option value, or a tolerance that cannot be reached.
        """
        for name, kind in (
            ("baseline", Baseline),
            ("factor", Factor),
            ("normalise", Normalise),
            ("hook", Hook),
        ):
            _one_of(name, getattr(self, name), get_args(kind))
        _one_of("quadrature", self.quadrature, tuple(RULES))
        if self.tolerance is not None and not self.tolerance > 0:
            raise UsageError(f"The tolerance must be above 0; {self.tolerance} was given.")
        for name in ("nodes", "max_nodes"):
            if getattr(self, name) < 1:
                raise UsageError(f"The {name} must be 1 or more; {getattr(self, name)} was given.")
        if self.tolerance is not None and (self.quadrature, self.factor) != (
            "gauss-legendre",
            "difference",
        ):
            raise UsageError(
                "A tolerance needs the gauss-legendre quadrature and the difference factor; "
                f"{self.quadrature} and {self.factor} were given."
            )

    def changed(self, **changes: Any) -> Settings:
        """A copy with some options changed; None means unchanged."""
        return replace(self, **{key: value for key, value in changes.items() if value is not None})

    def as_dict(self) -> dict[str, Any]:
        """The options as plain values, for a run's record."""
        return asdict(self)


def _one_of(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"There is no {name} {value!r}; choose from {', '.join(choices)}.")


PRESETS: dict[str, Settings] = {
    "amig": Settings(),
    "amig-paper": Settings(
        factor="activation", quadrature="right", nodes=20, tolerance=None, normalise="layer"
    ),
    "amig-code": Settings(
        baseline="tokens", factor="activation", quadrature="left", nodes=20, tolerance=None
    ),
    "ig-zero": Settings(
        baseline="zero", factor="activation", quadrature="linspace", nodes=20, tolerance=None
    ),
}
"""``amig``: Eq. 2 and 3, exact. ``amig-paper``: Eq. 3-5 to the letter. ``amig-code``: the
arithmetic of heng840/AMIG, garns.py. ``ig-zero``: Dai et al. 2022, as EleutherAI released it."""


def preset(name: str, family: str) -> Settings:
    """The settings of a preset for a family of models.

    ``amig-code`` hooks causal models before the activation (``mlp.c_fc``), as the released code
    does.

    Raises:
        UsageError: there is no such preset.
    """
    if name not in PRESETS:
        raise UsageError(f"There is no preset {name!r}; choose from {', '.join(PRESETS)}.")
    pre = name == "amig-code" and family == "causal_lm"
    return PRESETS[name].changed(hook="pre" if pre else None)
