"""Made-up images: one right and with evidence, one unlabelled and without, one without a page."""

import numpy as np

from reportgen.figures.mosaic import levels
from reportgen.report.arrays import Pixels
from reportgen.report.blocks import Heatmap, MapStrip, Photo
from reportgen.report.records import Image, Panel, Prediction
from tests.render.sample_layers import HEIGHT, HOSTILE, IMAGES, LAYERS, SLUGS, WIDTH, blob


def photo(slug: str, name: str, what: str) -> Photo:
    shade = blob(HEIGHT, WIDTH, 0.4, 0.6, 0.06)
    rgb = np.stack([200 * shade + 20, 120 * shade + 60, 90 + 60 * (1 - shade)], axis=2)
    return Photo(Pixels.of(rgb.astype(np.uint8), f"{slug}-{what}"), f"{name}, {what}", f"{what}.")


def occlusion(seen: Photo, is_evident: bool) -> Panel:
    size = 0.6 if is_evident else 0.0004
    drop = size * (blob(5, 7, 0.4, 0.6, 0.05) - 0.1).astype(np.float32)
    flips = drop > 0.4

    def heat(values: np.ndarray, unit: str) -> Heatmap:
        return Heatmap(
            values=values,
            title=f"Drop in {unit}",
            unit=unit,
            signed=True,
            over=seen,
            alt=f"Occlusion map in {unit}; the largest drop is upper right.",
            caption=f"Clean minus occluded {unit} at 5 x 7 positions.",
            window=(16, 16),
            stride=(8, 8),
            marks=flips,
            maximum=0.87 if unit == "probability" else None,
        )

    facts = {
        "target": 3,
        "label": f"tabby {HOSTILE}",
        "target_source": "true class",
        "window": (16, 16),
        "stride": (8, 8),
        "fill": "mean",
        "baseline_probability": 0.87,
        "baseline_logit": 9.25,
        "positions": 35,
        "flips": int(flips.sum()),
        "peak_row": 2,
        "peak_column": 4,
        "peak_drop": float(drop.max()),
        "peak_logit_drop": 3.5,
        "peak_place": "upper right",
        "has_evidence": is_evident,
        "engine": "exact" if is_evident else "plain",
        "engine_asked": "exact",
        "engine_reason": "" if is_evident else f"The network could not be traced {HOSTILE}.",
        "engine_precision": "float32",
        "engine_agreement": None,
        "engine_sample": 0,
    }
    arrays = {"array": drop, "logit_array": drop * 6, "answers": np.where(flips, 1, 3)}
    blocks = {"probability": heat(drop, "probability"), "logit": heat(drop * 6, "logit")}
    return Panel(facts, arrays, blocks)


def gradcam(seen: Photo, is_made: bool) -> Panel:
    named = {"target": 3, "label": f"tabby {HOSTILE}", "target_source": "true class"}
    if not is_made:
        return Panel(named | {"problem": f"There is no map {HOSTILE}."})
    maps = ("gradcam", "rival", "layercam", "hirescam", "stage_1", "cam")
    size = 0.6 * (blob(5, 7, 0.4, 0.6, 0.05) - 0.1).astype(np.float32)
    arrays = {name: size if name != "rival" else -np.abs(size) for name in maps}
    facts = named | {
        "problem": "",
        "score": "logit",
        "runner_up": 1,
        "runner_up_label": f"class 1 {HOSTILE}",
        "maps": maps,
        "methods": ("Grad-CAM", "Grad-CAM", "LayerCAM", "HiResCAM", "Grad-CAM", "CAM"),
        "layers": (*SLUGS[1:2] * 4, *SLUGS[:2]),
        "sides": ("input",) * 4 + ("output",) * 2,
        "low": tuple(float(values.min()) for values in arrays.values()),
        "high": tuple(float(values.max()) for values in arrays.values()),
        "positive": tuple(float(values.clip(0).sum()) for values in arrays.values()),
        "has_evidence": True,
        "peak_row": 2,
        "peak_column": 4,
        "peak_place": "upper right",
        "occlusion_correlation": -0.4,
        "is_chosen": False,
        "cam_head": "linear",
        "cam_layer": f"classifier {HOSTILE}",
        "cam_gap": 0.25,
    }
    blocks = {
        name: Heatmap(
            values=values,
            title=f"tabby {HOSTILE}: Grad-CAM",
            unit="Grad-CAM, logit",
            signed=False,
            over=seen,
            alt="Class activation map.",
            caption="Class activation map.",
            middles=((3.0, 3.0), (HEIGHT - 4.0, WIDTH - 4.0)),
            for_print=name == "gradcam",
        )
        for name, values in arrays.items()
    }
    return Panel(facts, arrays, blocks)


def gradients(seen: Photo, is_made: bool) -> Panel:
    named = {"target": 3, "label": f"tabby {HOSTILE}", "target_source": "true class"}
    if not is_made:
        return Panel(named | {"problem": f"No gradient reaches the image {HOSTILE}."})
    maps = ("gradient", "smoothgrad", "integrated_gradients")
    facts = named | {
        "problem": "",
        "score": "logit",
        "maps": maps,
        "low": (0.0, 0.0, -1.03),
        "high": (0.4, 0.06, 0.96),
        "limit": (0.14, 0.02, 0.24),
        "looks": ("magnitude", "magnitude", "signed"),
        "strongest_places": ("upper right", "centre", "centre"),
        "strongest_shares": (0.31, 0.25, 0.4),
        "missing": ("Guided backpropagation",),
        "reasons": (f"act is SiLU {HOSTILE}.",),
        "samples": 16,
        "noise": 0.15,
        "sigma": 0.54,
        "steps": 32,
        "image_score": 9.25,
        "baseline_score": 1.25,
        "attributed": 7.5,
        "gap": -0.5,
        "relative_gap": 0.0625,
        "occlusion_correlation": 0.43,
    }
    rng = np.random.default_rng(7)
    blocks = {
        name: Photo(
            Pixels.of(rng.integers(0, 255, (HEIGHT, WIDTH), np.uint8), f"night-{name}"),
            f"{name} {HOSTILE}",
            "",
        )
        for name in maps
    }
    return Panel(facts, {}, blocks)


def attention(seen: Photo, is_made: bool) -> Panel:
    if not is_made:
        return Panel({"problem": f"There is no rollout {HOSTILE}."})
    share = (blob(5, 7, 0.4, 0.6, 0.05) / 60).astype(np.float32)
    names = ("rollout", "last", "head_0", "head_1")
    facts = {
        "problem": "",
        "layers": SLUGS[:2],
        "heads": 3,
        "shown_heads": 2,
        "tokens": 36,
        "rows": 5,
        "columns": 7,
        "read": 1,
        "reader": "the class token",
        "rollout_share": 0.75,
        "peak_row": 2,
        "peak_column": 4,
        "peak_place": "upper right",
        "low": (0.0,) * 4,
        "high": (float(share.max()),) * 4,
        "spread": (12.4,) * 4,
    }
    arrays = {"rollout": share, "heads_array": np.stack([share] * 3)}
    blocks = {
        name: Heatmap(
            values=share,
            title=f"{name} {HOSTILE}",
            unit="share of attention",
            signed=False,
            over=seen,
            alt="Attention map.",
            caption="Attention map.",
            middles=((3.0, 3.0), (HEIGHT - 4.0, WIDTH - 4.0)),
            for_print=False,
        )
        for name in names
    }
    return Panel(facts, arrays, blocks)


def images() -> tuple[Image, ...]:
    made = []
    for number, (slug, path) in enumerate(IMAGES):
        seen = photo(slug, path, "seen")
        depth = []
        for index, (_, _, _, _, height, width) in enumerate(LAYERS):
            if height:
                row, low, high = levels(blob(height, width, 0.4, 0.5, 0.05 / (index + 1))[None])
                depth.append(
                    (
                        SLUGS[index],
                        Pixels.of(row[0], f"{SLUGS[index]}-{slug}-mean"),
                        float(low[0]),
                        float(high[0]),
                    )
                )
        blocks = {
            "seen": seen,
            "file": photo(slug, path, "file"),
            "depth": MapStrip(tuple(depth), "Mean maps", "Mean over channels."),
        }
        predictions = tuple(
            Prediction(index, f"class {index} {HOSTILE}", 0.87 / 3**rank, 9.25 - rank)
            for rank, index in enumerate((3, 1, 4, 0, 2))
        )
        made.append(
            Image(
                slug=slug,
                path=path,
                sha256=f"{number:064x}",
                width=640,
                height=480,
                true_class="class 3" if number == 0 else None,
                true_index=3 if number == 0 else None,
                predictions=predictions,
                is_pictured=True,
                notes=("transparency on white",) if number else (),
                panels={
                    "answers": Panel(
                        {
                            "target_rank": 1 if number == 0 else None,
                            "true_probability": 0.87 if number == 0 else None,
                            "depth_peaks": ("centre",) * len(depth),
                        },
                        {},
                        blocks,
                    ),
                    "occlusion": occlusion(seen, is_evident=number == 0),
                    "gradcam": gradcam(seen, is_made=number == 0),
                    "gradients": gradients(seen, is_made=number == 0),
                    "attention": attention(seen, is_made=number == 0),
                },
            )
        )
    unpictured = Image("other", f"other {HOSTILE}.png", "f" * 64, 10, 20, None, None, (), False)
    return (*made, unpictured)
