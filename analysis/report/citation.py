"""What to cite: this toolkit, the method and the task."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.report.provenance import TOOLKIT, software

__all__ = ["Work", "works"]


@dataclass(frozen=True)
class Work:
    """A reference: its text in APA style, where to find it, and what it is cited for."""

    reason: str
    text: str
    url: str = ""


def works() -> list[Work]:
    """The toolkit (as CITATION.cff has it), the paper of the method, and that of the task."""
    return [
        Work(
            "this toolkit",
            "The MACO psychophysics authors. (2026). MACO psychophysics: a toolkit for human "
            f"psychophysics of neural-network explanations (Version {software()[TOOLKIT]}) "
            "[Computer software].",
        ),
        Work(
            "the visualizations and the study",
            "Fel, T., Boissin, T., Boutin, V., Picard, A., Novello, P., Colin, J., Linsley, D., "
            "Rousseau, T., Cadène, R., Goetschalckx, L., Gardes, L., & Serre, T. (2023). "
            "Unlocking Feature Visualization for Deeper Networks with MAgnitude Constrained "
            "Optimization. arXiv:2306.06805.",
            "https://arxiv.org/abs/2306.06805",
        ),
        Work(
            "the task",
            "Zimmermann, R. S., Borowski, J., Geirhos, R., Bethge, M., Wallis, T. S. A., & "
            "Brendel, W. (2021). How Well do Feature Visualizations Support Causal Understanding "
            "of CNN Activations? arXiv:2106.12447.",
            "https://arxiv.org/abs/2106.12447",
        ),
    ]
