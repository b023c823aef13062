"""The numbers of a comparison that a gate may ask for, with `compare:` in front."""

from collections.abc import Mapping
from typing import NamedTuple

from reportgen.gates.names import Unit


class Compared(NamedTuple):
    """One number of a comparison of two reports, A before and B after."""

    unit: Unit
    words: str


COMPARED_NUMBERS: Mapping[str, Compared] = {
    "images_compared": Compared("count", "images that both saw."),
    "accuracy_a": Compared("share", "right answers of A on these."),
    "accuracy_b": Compared("share", "right answers of B on these."),
    "accuracy_drop": Compared("difference", "the former minus the latter."),
    "answers_changed": Compared("count", "images that are answered otherwise, or no more."),
    "answers_changed_share": Compared("share", "the same, of those with an answer in A or B."),
    "answers_broken": Compared("count", "images answered rightly by A and wrongly by B."),
    "answers_corrected": Compared("count", "images answered wrongly by A and rightly by B."),
    "dead_share_a": Compared("share", "rectified units of A that are dead."),
    "dead_share_b": Compared("share", "rectified units of B that are dead."),
    "dead_share_rise": Compared("difference", "the latter minus the former."),
    "units_died": Compared("count", "units that fire in A and are dead in B."),
    "units_born": Compared("count", "units that are dead in A and fire in B."),
    "zero_weights_rise": Compared("difference", "share of weights that are zero, B minus A."),
    "parameters_ratio": Compared("number", "parameters of B divided by those of A."),
    "macs_ratio": Compared("number", "multiply-accumulates of B divided by those of A."),
    "bytes_ratio": Compared("number", "size of B's file divided by that of A's."),
    "weight_change": Compared("number", "norm of B's weights minus A's, divided by that of A's."),
    "weight_change_max": Compared("number", "the same for the layer where it is largest."),
    "activation_distance_max": Compared(
        "number", "earth mover's distance of the activations, of the layer where it is largest."
    ),
    "occlusion_correlation_min": Compared(
        "number", "rank correlation of the occlusion maps, of the image where it is smallest."
    ),
    "gradcam_correlation_min": Compared(
        "number", "rank correlation of the Grad-CAM maps, of the image where it is smallest."
    ),
}
