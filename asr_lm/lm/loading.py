"""Opening a trained model, whatever its family."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr_lm.errors import InputError
from asr_lm.files import refuse_special_files
from asr_lm.json_files import read_json
from asr_lm.lm.device import resolve_device, without_memory
from asr_lm.lm.families.registry import FAMILIES, GONE
from asr_lm.lm.folder import CONFIG_FILE, HUB, read_config
from asr_lm.lm.places import opening
from asr_lm.lm.precision import PrecisionChoice
from asr_lm.lm.pretrained.place import FAMILY, Place, cached_only, is_gguf, refuse_bare_adapter, split_adapter
from asr_lm.lm.protocol import Ranker
from asr_lm.lm.sizes import BEFORE, NetworkConfig
from asr_lm.text.vocabulary_folder import load_vocabulary

KINDS = (
    "a trained folder, an ARPA or a KenLM file, a folder of Hugging Face's transformers, a GGUF file, hf:NAME, or "
    "BASE+ADAPTER"
)
"""What a model can be."""

OPENAI_GPT = "openai-gpt"
"""Type of the models that have a tokeniser and a class of their own here."""

if TYPE_CHECKING:
    from asr_lm.lm.families.family import Family
    from asr_lm.lm.mixtures.members import Mixture
    from asr_lm.lm.neural import Network, NeuralModel, TrainingContext
    from asr_lm.lm.pretrained.huggingface import HuggingFaceCausalModel


def load_model(path: str | Path, device: str = "cpu", precision: PrecisionChoice = "float32") -> Ranker:
    """The model in a folder, in a bare ARPA or KenLM binary file, or of Hugging Face's ``transformers``.

    Args:
        path: trained folder, ARPA or KenLM file, folder that ``transformers`` wrote, GGUF file, ``hf:NAME``, or one of
            the last three with ``+ADAPTER``.
        device: where a neural model's weights go: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        precision: what matrix products are computed in (:meth:`~asr_lm.lm.protocol.Ranker.compute_in`). Weights of
            ``transformers`` are read in it, so that in bfloat16 they take half the memory from the beginning.

    torch is imported for neural models only.

    Raises:
        InputError: missing, damaged, of another version or of an unknown family; no such device.
    """
    path = Path(path)
    if path.is_dir():
        refuse_special_files(path)
    model = load_foreign(str(path), device, precision) if _is_foreign(path) else _load_own(path, device)
    model.compute_in(precision)
    return model


def _load_own(path: Path, device: str) -> Ranker:
    """As :func:`load_model`, of all but the models of ``transformers``."""
    if not path.exists():
        raise InputError(f"no such model: expected {KINDS}", file=path)
    refuse_bare_adapter(path)
    family = "ngram" if path.is_file() else read_config(path)["family"]
    if family == "ngram":
        from asr_lm.lm.families.ngram import NgramModel

        return NgramModel.load(path)
    if family == FAMILY:
        return load_adapter(path, device)
    return load_mixture(path, device) if family == "mixture" else load_neural(path, device)


def foreign_type(folder: Path) -> str | None:
    """The type of model of a folder that ``transformers`` wrote; None for another one."""
    try:
        config = read_json(folder / CONFIG_FILE)
    except InputError:
        return None
    ours = not isinstance(config, dict) or "format" in config or "family" in config
    return None if ours or not isinstance(config.get("model_type"), str) else config["model_type"]


def _is_foreign(path: Path) -> bool:
    """Whether ``transformers`` reads a model."""
    name = str(path)
    if name.startswith(HUB) or split_adapter(name)[1]:
        return True
    return foreign_type(path) is not None if path.is_dir() else is_gguf(path)


def load_foreign(name: str, device: str = "cpu", precision: PrecisionChoice = "float32") -> Ranker:
    """A model that ``transformers`` knows, with its adapter if it is given one, in the precision asked for.

    Raises:
        InputError: as :func:`asr_lm.lm.pretrained.loading.load_huggingface`.
    """
    from asr_lm.lm.pretrained.loading import load_huggingface, model_type

    place, device = Place.of(name), resolve_device(device)
    is_whole = place.adapter is None and place.gguf is None
    if is_whole and (foreign_type(Path(place.model)) or model_type(place)) == OPENAI_GPT:
        from asr_lm.lm.pretrained.openai_gpt1 import load_openai_gpt

        return load_openai_gpt(place.model, device)
    return load_huggingface(place, device, precision)


def load_adapter(folder: Path, device: str = "cpu") -> HuggingFaceCausalModel:
    """A model of ``transformers`` with the adapter that was trained into a folder; one of the hub from its cache.

    Raises:
        InputError: as :func:`asr_lm.lm.pretrained.adapter_folder.load_adapted`.
    """
    from asr_lm.lm.pretrained.adapter_folder import load_adapted

    with cached_only(), opening(folder):
        return load_adapted(folder, read_config(folder), lambda base: load_model(base, device))


def load_mixture(folder: Path, device: str = "cpu") -> Mixture:
    """A mixture and its members; those of the Hugging Face hub come from its cache, and are never downloaded.

    Raises:
        InputError: missing or damaged, or a member is missing or not what it was.
    """
    from asr_lm.lm.mixtures.estimation import make_mixture
    from asr_lm.lm.mixtures.members import read_members

    with cached_only(), opening(folder):
        record = read_members(folder, read_config(folder), lambda member: load_model(member, device))
    try:
        return make_mixture(record)
    except InputError as error:
        raise InputError(f"damaged model folder: {error.message}", file=folder / CONFIG_FILE, field="mixture") from None


def load_neural(folder: Path, device: str = "cpu") -> NeuralModel:
    """A neural model of a trained folder.

    Raises:
        InputError: missing, damaged, of another version or of an unknown family.
    """
    from asr_lm.lm.weights_file import WEIGHTS_FILE, read_weights

    config, device = read_config(folder), resolve_device(device)
    if (gone := GONE.get(config["family"])) is not None:
        message = f"a model of family {config['family']!r} is of an earlier release and no longer read; {gone}"
        raise InputError(message, file=folder / CONFIG_FILE)
    if config["family"] not in FAMILIES:
        known = ", ".join(["ngram", *FAMILIES])
        raise InputError(
            f"unknown model family {config['family']!r}; expected one of {known}", file=folder / CONFIG_FILE
        )
    family = FAMILIES[config["family"]]
    sizes = network_sizes(family.sizes, config.get("network"), folder)
    vocabulary = load_vocabulary(folder)
    if vocabulary.fingerprint() != config.get("vocabulary_fingerprint") or vocabulary.size != sizes.vocabulary_size:
        raise InputError("damaged model folder: the vocabulary is not the one of the model", file=folder)
    network = _make_network(family, sizes, folder)
    read_weights(folder / WEIGHTS_FILE, network)
    model = family.model_class()(config["family"], network.to(device), vocabulary, config["normalizer"])
    model.trained_on = _trained_on(config, folder)
    return model


def _make_network(family: Family, sizes: NetworkConfig, folder: Path) -> Network:
    """A network whose weights can be read, made only where the file's header says that they are its own.

    Raises:
        InputError: the sizes make no network, or not the one whose weights lie there.
    """
    from asr_lm.lm.weights_file import WEIGHTS_FILE, check_shapes

    make = family.network_class()  # imported before: what a module makes for itself is no shape
    try:
        with without_memory():
            shapes = make(sizes)
        check_shapes(folder / WEIGHTS_FILE, shapes)
        return make(sizes)
    except (RuntimeError, MemoryError, TypeError, OverflowError) as error:
        raise InputError(f"the network cannot be made: {error}", file=folder / CONFIG_FILE, field="network") from None


def _trained_on(config: dict[str, Any], folder: Path) -> TrainingContext:
    """Whether the model was trained on sentences or on texts in order."""
    found = config.get("trained_on") or _context_of_training(config.get("training"))
    if found == "sentence":
        return "sentence"
    if found == "stream":
        return "stream"
    message = f"damaged model folder: expected sentence or stream, not {found!r}"
    raise InputError(message, file=folder / CONFIG_FILE, field="trained_on")


def _context_of_training(training: Any) -> Any:
    """What the options of the training say, which is where folders of the first release have it."""
    options = training.get("options") if isinstance(training, dict) else None
    return options.get("context", "sentence") if isinstance(options, dict) else "sentence"


def network_sizes(config_class: type[NetworkConfig], found: Any, folder: Path) -> Any:
    """The sizes that ``config.json`` of a folder holds.

    Raises:
        InputError: they are not complete, or make no network.
    """
    expected = {field.name for field in fields(config_class)}
    # Sizes that came later are given by keyword only.
    later = {field.name: field.metadata.get(BEFORE, field.default) for field in fields(config_class) if field.kw_only}
    if not isinstance(found, dict) or not expected - set(later) <= set(found) <= expected:
        names = ", ".join(sorted(expected))
        raise InputError(f"damaged model folder: expected {names}", file=folder / CONFIG_FILE, field="network")
    try:
        return config_class(**{**later, **found})
    except InputError as error:
        field = ".".join(filter(None, ("network", error.field)))
        raise InputError(f"damaged model folder: {error.message}", file=folder / CONFIG_FILE, field=field) from None
