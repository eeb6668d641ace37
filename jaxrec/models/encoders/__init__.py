"""Encoders, which map a history of activities to one vector: one per file, by name in ENCODERS.

To add one, write a class in a file of its own here, and add a line to ENCODERS.
"""

from jaxrec.errors import UserError
from jaxrec.models.encoders.base import Encoder
from jaxrec.models.encoders.convolution import Convolution
from jaxrec.models.encoders.mean import Mean
from jaxrec.models.encoders.recurrent import Recurrent
from jaxrec.models.encoders.transformer import Transformer

ENCODERS: dict[str, type[Encoder]] = {
    "bow": Mean,
    "cnn": Convolution,
    "rnn": Recurrent,
    "transformer": Transformer,
}


def encoder_class(name: str) -> type[Encoder]:
    """Return the class of an encoder.

    Raises:
        UserError: there is no encoder of this name.
    """
    if name not in ENCODERS:
        raise UserError(f"--encoder={name} is unknown; give {', '.join(ENCODERS)}")
    return ENCODERS[name]
