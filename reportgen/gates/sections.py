"""The numbers that sections say in `report.json`, by name: what else a gate may ask for."""

from collections.abc import Mapping

# A gate on a number that no section has is refused before the network runs, so the names must be
# known beforehand. A test holds them against docs/report-schema.md and against real reports.

OF_THE_NETWORK: Mapping[str, tuple[str, ...]] = {
    "architecture": ("parameters", "macs", "calls"),
    "weights": ("parameters", "values", "zeros", "nonfinite", "sketch_width"),
    "dead_filters": (
        "images",
        "firing_bound",
        "units",
        "dead",
        "near_dead",
        "constant",
        "zero_weights",
        "plan_units",
        "plan_always",
        "plan_stays",
        "plan_parameters",
        "plan_macs",
        "plan_bytes",
    ),
    "design": ("images", "folds_share", "uses_dimensions", "uses_of", "strided", "wide"),
    "trust": ("steps", "random_maps", "forgotten_images", "costly", "threshold"),
}
"`dead_filters.zero_weights`"

OF_LAYERS: Mapping[str, tuple[str, ...]] = {
    "activations": ("images", "positions", "other_tokens", "is_averaged", "shown_units", "slices"),
    "kernels": (
        "filters",
        "channels",
        "height",
        "width",
        "groups",
        "symmetric_limit",
        "shown_filters",
        "shown_channels",
        "clipped",
        "slices",
    ),
    "redundancy": (
        "units",
        "weights_each",
        "copies",
        "near",
        "pairs",
        "median_cosine",
        "answers_images",
        "answers_values",
        "answers_alike",
        "answers_first",
        "answers_second",
        "answers_correlation",
        "answers_dimensions",
        "classes_chance",
        "classes_images",
    ),
    "patches": ("images", "is_whole_image", "rectifies"),
    "gradient_flow": (
        "values",
        "mean_absolute",
        "norm",
        "zero_fraction",
        "nonfinite",
        "first_norm",
        "last_norm",
        "ratio",
    ),
    "visualisation": ("images", "steps", "seed"),
}
"`layers[GLOB].redundancy.copies`"

OF_IMAGES: Mapping[str, tuple[str, ...]] = {
    "answers": ("target_rank", "true_probability", "depth_layers"),
    "occlusion": (
        "target",
        "baseline_probability",
        "baseline_logit",
        "positions",
        "flips",
        "peak_row",
        "peak_column",
        "peak_drop",
        "peak_logit_drop",
        "has_evidence",
        "engine_agreement",
        "engine_sample",
    ),
    "gradcam": (
        "target",
        "runner_up",
        "has_evidence",
        "peak_row",
        "peak_column",
        "occlusion_correlation",
        "is_chosen",
        "cam_gap",
    ),
    "gradients": (
        "target",
        "samples",
        "noise",
        "sigma",
        "steps",
        "image_score",
        "baseline_score",
        "attributed",
        "gap",
        "relative_gap",
        "occlusion_correlation",
    ),
    "attention": (
        "heads",
        "shown_heads",
        "tokens",
        "rows",
        "columns",
        "read",
        "rollout_share",
        "peak_row",
        "peak_column",
    ),
}
"`images[GLOB].occlusion.peak_drop`"
