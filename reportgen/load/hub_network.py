"""The network of a Hugging Face folder: timm's, or an image classifier of transformers."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torch

from reportgen.errors import ModelError, OptionError
from reportgen.load import timm_nets
from reportgen.load.fitting import listed
from reportgen.load.hub_folder import HubFolder
from reportgen.load.hub_images import hub_preprocessing
from reportgen.load.limits import Limits, is_out_of_memory, memory_at_most
from reportgen.load.request import Network, Request
from reportgen.load.sizes import size_in
from reportgen.load.timm_network import with_metadata
from reportgen.load.torchvision_nets import Publication

BY_CONFIG = "stated by its config.json"
_SAID = "said by the folder of the model"
_PLAIN = (bool, int, float, str, type(None))
# Each would fetch or run what is not in the folder's weights.
_UNSAFE = ("auto_map", "quantization_config", "custom_pipelines", "transformers_weights")


def hub_network(request: Request, folder: HubFolder) -> Network:
    """The network that a folder describes, with its weights, in eval mode.

    Raises:
        ModelError: if it is no image classifier, or its weights do not fit.
        OptionError: if the package that it needs is missing.
    """
    most = Limits.for_file(folder.weights.stat().st_size).memory
    try:
        with memory_at_most(most):
            if folder.is_of_timm:
                return _of_timm(request, folder)
            return _of_transformers(request, folder)
    except (ModelError, OptionError, MemoryError) as error:
        if not is_out_of_memory(error) and not is_out_of_memory(error.__cause__):
            raise
        raise ModelError(
            f"{folder.path.name}/config.json asks for a network that takes more than "
            f"{most / 2**30:.3g} GiB, which is much more than its weights do. Compare the two."
        ) from error


def _of_timm(request: Request, folder: HubFolder) -> Network:
    config = folder.config
    name = str(config["architecture"])
    timm_nets.require_timm(f"{folder.path.name} holds timm's {name}, which")
    known = timm_nets.metadata(name, f"{folder.path.name}/config.json")
    stated = config.get("pretrained_cfg")
    stated = dict(stated) if isinstance(stated, Mapping) else {}
    for key in ("num_classes", "label_names", "label_descriptions"):
        if key in config:
            stated[key] = config[key]
    if not isinstance(stated.get("input_size"), (list, tuple)):
        stated.pop("input_size", None)
    settings = {}
    if isinstance(config.get("global_pool"), str):
        settings["global_pool"] = config["global_pool"]
    given = config.get("model_args")
    if isinstance(given, Mapping):
        settings |= {str(key): value for key, value in given.items() if _is_plain(value)}
    return with_metadata(
        request,
        name,
        {**known, **{key: value for key, value in stated.items() if value is not None}},
        source=BY_CONFIG,
        said=_SAID,
        is_assumed=False,
        settings=settings,
    )


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    return isinstance(value, _PLAIN)


def _of_transformers(request: Request, folder: HubFolder) -> Network:
    name = folder.path.name
    if find_spec("transformers") is None:
        raise OptionError(
            f"{name} is a network of transformers, which needs that package: "
            "pip install 'torch-reportgen[transformers]'."
        )
    if folder.weights.suffix != ".safetensors":
        raise ModelError(f"{name} has no model.safetensors; save it so (save_pretrained does).")
    if unsafe := [key for key in _UNSAFE if folder.config.get(key)]:
        raise ModelError(
            f"{name}/config.json asks for {unsafe[0]}, which needs more than the weights in the "
            "folder; nothing of it is run. Give plain float weights of a network of transformers."
        )
    if (folder.path / "adapter_config.json").exists():
        raise ModelError(
            f"{name} holds an adapter, whose weights would come beside those of the network: merge "
            "it into the network and save that."
        )
    module = _loaded(folder)
    config = module.config
    count = int(getattr(config, "num_labels", 0))
    names = getattr(config, "id2label", None) or {}
    labels = tuple(str(names.get(index, index)) for index in range(count))
    is_named = any(label != f"LABEL_{index}" for index, label in enumerate(labels))
    channels = int(getattr(config, "num_channels", 3))
    preprocessing, notes = hub_preprocessing(folder.preparation, channels, _SAID)
    size = _fixed_size(config)
    kind = type(module).__name__
    return Network(
        module.float().eval(),
        kind,
        BY_CONFIG,
        Publication(preprocessing, labels if is_named else (), _SAID if is_named else "", False),
        notes,
        {},
        input=(channels, size),
    )


def _loaded(folder: HubFolder) -> Any:
    """The classifier that transformers builds and fills; no code of the folder is run.

    Raises:
        ModelError: if there is none, or a weight is missing or too many.
    """
    import transformers

    name = folder.path.name
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        with torch.random.fork_rng(devices=[]):
            module, told = transformers.AutoModelForImageClassification.from_pretrained(
                folder.path,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                # Other ways of attention may be fetched, and hide what attends to what.
                attn_implementation="eager",
                dtype=torch.float32,
                output_loading_info=True,
            )
    except (
        ArithmeticError,
        ImportError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        words = " ".join(str(error).split())[:200]
        raise ModelError(
            f"{name} is no image classifier that transformers can build: {words}"
        ) from error
    misfits = [f"{key} is missing" for key in sorted(told["missing_keys"])]
    misfits += [f"{key} is not expected" for key in sorted(told["unexpected_keys"])]
    misfits += [f"{key} has another shape" for key in sorted(map(str, told["mismatched_keys"]))]
    if misfits:
        raise ModelError(f"{name} does not fit {type(module).__name__}: {listed(misfits)}.")
    return module


def _fixed_size(config: Any) -> tuple[int, int] | None:
    """(height, width) that the network takes and no other; None where any will do."""
    if getattr(config, "patch_size", None) is None:
        return None  # convolutions take any size; what they were trained at is for the images
    return size_in(getattr(config, "image_size", None))
