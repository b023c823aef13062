"""What an image goes through before the network sees it: decided here, said in words, and done."""

import math
from fractions import Fraction

import numpy as np
import torch
from PIL import Image

from reportgen.errors import OptionError
from reportgen.load.bands import Bands
from reportgen.load.decode import MAX_PIXELS
from reportgen.load.model import LoadedModel
from reportgen.load.volumes import FIRST, Picture, Volume
from reportgen.options import Options
from reportgen.report.records import Preprocessing

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
ASSUMED_SIZE = (224, 224)

_BY_FLAG = "stated by flag"
_BY_NETWORK = "read from the network"
_ASSUMED = "assumed"


def preprocessing_for(loaded: LoadedModel, options: Options) -> Preprocessing:
    """Flags over what the network fixes over what is published for it over a stated assumption.

    Raises:
        OptionError: if a flag makes no sense.
    """
    published = loaded.preprocessing
    (height, width), size_origin = _size(loaded, options)
    crop, crop_origin = _crop(published, options)
    mean, mean_origin = _colour("mean", options.mean, loaded)
    std, std_origin = _colour("std", options.std, loaded)
    slices, slices_origin = _slices(loaded, options)
    origins = {"size": size_origin, "crop": crop_origin, "mean": mean_origin, "std": std_origin}
    if slices is not None:
        origins["slices"] = slices_origin
    assumed = {
        "size": f"input size {height} x {width} (--input-size)",
        "crop": "the largest centred crop (--crop-pct)",
        "mean": f"mean {_listed(mean)} (--mean)",
        "std": f"std {_listed(std)} (--std)",
        "slices": "as many slices as the first file has (--slices)",
    }
    return Preprocessing(
        height=height,
        width=width,
        resize=None if crop is None else math.floor(min(height, width) / crop),
        interpolation=published.interpolation if published else "bilinear",
        mean=mean,
        std=std,
        channels=loaded.in_channels,
        source=_sentence(origins, assumed),
        slices=slices,
        # Crop and slices alone raise no flag: they are a habit and what the files hold, where a
        # wrong size, mean or std is an error.
        is_assumed=_ASSUMED in (size_origin, mean_origin, std_origin)
        or (
            published is not None and published.is_assumed and published.source in origins.values()
        ),
    )


def _size(loaded: LoadedModel, options: Options) -> tuple[tuple[int, int], str]:
    """(height, width) of the input, and how it is known."""
    if options.input_size:
        height, width = options.input_size
        if min(height, width) < 1 or height * width > MAX_PIXELS:
            raise OptionError(f"--input-size {height} {width} is no size that an image can have.")
        return options.input_size, _BY_FLAG
    published = loaded.preprocessing
    if published and loaded.input_size in (None, (published.height, published.width)):
        return (published.height, published.width), published.source
    if loaded.input_size:
        return loaded.input_size, _BY_NETWORK
    return ASSUMED_SIZE, _ASSUMED


def _slices(loaded: LoadedModel, options: Options) -> tuple[int | None, str]:
    """Slices of the input, `FIRST` for those of the first file, and how they are known."""
    if not loaded.takes_volumes:
        if options.slices is not None:
            raise OptionError(
                f"--slices {options.slices}: this network takes pictures, for it does not begin "
                "with a Conv3d."
            )
        return None, _BY_NETWORK
    if options.slices is not None:
        return options.slices, _BY_FLAG
    if loaded.slices:
        return loaded.slices, _BY_NETWORK
    published = loaded.preprocessing
    if published and published.slices:
        return published.slices, published.source
    return FIRST, _ASSUMED


def _crop(published: Preprocessing | None, options: Options) -> tuple[Fraction | None, str]:
    """Share of the resized shorter side that the crop keeps; None where the image is squeezed."""
    if options.crop_pct is not None:
        if not 0 < options.crop_pct <= 1:
            raise OptionError(
                f"--crop-pct is a share above 0 and up to 1, not {options.crop_pct:g}."
            )
        return Fraction(str(options.crop_pct)), _BY_FLAG
    if published:
        shorter = min(published.height, published.width)
        kept = None if published.resize is None else Fraction(shorter, published.resize)
        return kept, published.source
    return Fraction(1), _ASSUMED


def _colour(
    name: str, stated: tuple[float, ...], loaded: LoadedModel
) -> tuple[tuple[float, ...], str]:
    """`mean` or `std` of the normalisation, one value a channel, and how it is known."""
    channels = loaded.in_channels
    if stated:
        if len(stated) != channels:
            raise OptionError(
                f"--{name} has {_counted(len(stated), 'value')}, "
                f"and the network takes {_counted(channels, 'channel')}."
            )
        lowest = 0.0 if name == "mean" else math.ulp(0.0)
        if not all(lowest <= value <= 1 for value in stated):
            raise OptionError(
                f"--{name} {_listed(stated)} does not fit pixels that run from 0 to 1: "
                + (
                    "give values from 0 to 1."
                    if name == "mean"
                    else "give values above 0, up to 1."
                )
            )
        return stated, _BY_FLAG
    published = loaded.preprocessing
    if published and len(published.mean) == channels:
        return (published.mean if name == "mean" else published.std), published.source
    return (IMAGENET[name] if channels == 3 else (0.5,) * channels), _ASSUMED


def _sentence(origins: dict[str, str], assumed: dict[str, str]) -> str:
    """Who said what, such as `size read from the network; mean and std stated by flag`."""
    if len(set(origins.values())) == 1 and _ASSUMED not in origins.values():
        return origins["size"]
    clauses = []
    for origin in dict.fromkeys(origins.values()):
        names = [name for name in origins if origins[name] == origin]
        if origin != _ASSUMED:
            clauses.append(f"{_anded(names)} {origin}")
    guesses = [assumed[name] for name in origins if origins[name] == _ASSUMED]
    if guesses:
        rest = "the rest" if clauses else "the preprocessing"
        clauses.append(f"nothing states {rest}, so assumed: {_anded(guesses)}")
    return "; ".join(clauses)


def _anded(names: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" for value in values)


def normalise(pixels: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Pixels in [0, 1] to what the network takes: (pixels - mean) / std.

    Args:
        pixels: (... c h w), or (... c slices h w) of volumes.
        preprocessing: what to do.
    """
    mean, std = _per_channel(pixels, preprocessing)
    return (pixels - mean) / std


def denormalise(inputs: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """What the network takes back to pixels, as `normalise` has them; not clipped to [0, 1]."""
    mean, std = _per_channel(inputs, preprocessing)
    return inputs * std + mean


def _per_channel(
    like: torch.Tensor, preprocessing: Preprocessing
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and std as (c 1 1) or (c 1 1 1), where and in the number format that `like` is."""
    ones = (1, 1) if preprocessing.slices is None else (1, 1, 1)
    mean, std = (
        torch.tensor(values, dtype=like.dtype, device=like.device).view(-1, *ones)
        for values in (preprocessing.mean, preprocessing.std)
    )
    return mean, std


def input_pixels(picture: Picture, preprocessing: Preprocessing) -> torch.Tensor:
    """A decoded picture (`L`, `RGB`, bands or slices) as float32 in [0, 1], before normalisation.

    It is (c h w), of volumes (c slices h w).

    Grey becomes RGB by repetition, RGB becomes grey by ITU-R 601 luma; then resize and centre crop
    as torchvision's transforms do them on a Pillow image, antialiased, rounded to 8 bits. Bands
    and slices are resized one by one, and not rounded.
    """
    if isinstance(picture, (Bands, Volume)):
        *rows, height, width = picture.values.shape
        planes = (Image.fromarray(plane) for plane in picture.values.reshape(-1, height, width))
        resized = np.stack([np.array(_resized_and_cropped(p, preprocessing)) for p in planes])
        return torch.from_numpy(resized.reshape(*rows, *resized.shape[1:])).clamp(0, 1)
    picture = picture.convert("L" if preprocessing.channels == 1 else "RGB")
    levels = np.array(_resized_and_cropped(picture, preprocessing))
    levels = levels.reshape(*levels.shape[:2], preprocessing.channels).transpose(2, 0, 1)
    # By NumPy: in each thread that decodes, PyTorch would take threads of its own.
    return torch.from_numpy(np.ascontiguousarray(levels, np.float32) / np.float32(255))


def _resized_and_cropped(picture: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """The (height, width) part of `picture` that the network sees."""
    how = Image.Resampling[preprocessing.interpolation.upper().replace("-EXACT", "")]
    crop = (preprocessing.width, preprocessing.height)
    width, height = _resized(*picture.size, preprocessing)
    if width * height > MAX_PIXELS:
        # A sliver such as 1 x 5000 would grow past all memory: resample the cropped part alone.
        return picture.resize(crop, how, box=crop_box(*picture.size, preprocessing))
    if (width, height) != picture.size:
        picture = picture.resize((width, height), how)
    left, top = _corner(width, height, preprocessing)
    return picture.crop((left, top, left + crop[0], top + crop[1]))


def _resized(width: int, height: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """(width, height) after the resize, which covers a box shaped like the crop.

    The shorter side of the box is `resize`. For a square crop that is torchvision's rule: the
    shorter side of the picture becomes `resize`, the other follows, rounded down.
    """
    if preprocessing.resize is None:
        return preprocessing.width, preprocessing.height
    shorter = min(preprocessing.height, preprocessing.width)
    box_width = round(preprocessing.resize * preprocessing.width / shorter)
    box_height = round(preprocessing.resize * preprocessing.height / shorter)
    if box_width * height > box_height * width:
        return box_width, int(box_width * height / width)
    return int(box_height * width / height), box_height


def _corner(width: int, height: int, preprocessing: Preprocessing) -> tuple[int, int]:
    """(left, top) of the centre crop in the resized picture, rounded as torchvision rounds."""
    return round((width - preprocessing.width) / 2), round((height - preprocessing.height) / 2)


def crop_box(
    width: int, height: int, preprocessing: Preprocessing
) -> tuple[float, float, float, float]:
    """(left, top, right, bottom) of what the network sees, in the pixels of the upright file."""
    resized_width, resized_height = _resized(width, height, preprocessing)
    left, top = _corner(resized_width, resized_height, preprocessing)
    across, down = width / resized_width, height / resized_height
    return (
        left * across,
        top * down,
        (left + preprocessing.width) * across,
        (top + preprocessing.height) * down,
    )
