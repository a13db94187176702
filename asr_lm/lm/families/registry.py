"""The neural families: their sizes, and where their networks are.

No network is imported before it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from asr_lm.lm import sizes as size

if TYPE_CHECKING:
    from asr_lm.lm.neural import Network, NeuralModel


@dataclass(frozen=True)
class Family:
    """A neural family.

    Attributes:
        sizes: class of its sizes.
        network: module and class of its network.
        model: module and class of the language model around the network.
        streams: whether it can be trained on text read as a stream; False for networks that need whole sentences.
    """

    sizes: type[size.NetworkConfig]
    network: tuple[str, str]
    model: tuple[str, str] = ("asr_lm.lm.neural", "NeuralLanguageModel")
    streams: bool = True

    def make_network(self, config: size.NetworkConfig) -> Network:
        """A freshly initialised network."""
        return self.network_class()(config)

    def network_class(self) -> type[Network]:
        """Its class, which takes the sizes."""
        network: type[Network] = _find(self.network)
        return network

    def model_class(self) -> type[NeuralModel]:
        """The language model around the network."""
        model: type[NeuralModel] = _find(self.model)
        return model


def _find(place: tuple[str, str]) -> Any:
    return getattr(import_module(place[0]), place[1])


FAMILIES = {
    "nnlm": Family(size.NnlmConfig, ("asr_lm.lm.families.nnlm", "NnlmNetwork")),
    "rnnlm": Family(size.RnnlmConfig, ("asr_lm.lm.families.rnnlm", "RnnlmNetwork")),
    "lstm": Family(size.LstmConfig, ("asr_lm.lm.families.lstm", "LstmNetwork")),
    "bilstm": Family(
        size.BilstmConfig,
        ("asr_lm.lm.families.bilstm", "BilstmNetwork"),
        ("asr_lm.lm.families.bilstm", "BidirectionalModel"),
        streams=False,
    ),
    "birnn-attention": Family(
        size.BirnnAttentionConfig,
        ("asr_lm.lm.families.birnn_attention", "BirnnAttentionNetwork"),
        ("asr_lm.lm.families.birnn_attention", "BirnnAttentionModel"),
    ),
    "gpt1": Family(
        size.Gpt1Config, ("asr_lm.lm.families.gpt1", "Gpt1Network"), ("asr_lm.lm.families.gpt1", "Gpt1Model")
    ),
    "gpt1-choice": Family(
        size.Gpt1ChoiceConfig,
        ("asr_lm.lm.families.gpt1_choice", "Gpt1ChoiceNetwork"),
        ("asr_lm.lm.families.gpt1_choice", "Gpt1ChoiceModel"),
        streams=False,
    ),
}
"""By name in ``config.json`` and on the command line."""
