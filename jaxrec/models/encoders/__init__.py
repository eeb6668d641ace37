"""Encoders: a history of activities becomes one vector. A file each, and all by name in ENCODERS.

To add one, write a class in a file of its own here, and a line in ENCODERS.
"""

from jaxrec.errors import UserError
from jaxrec.models.encoders.contract import Encoder
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
    """Find an encoder.

    Raises:
        UserError: there is none of this name.
    """
    if name not in ENCODERS:
        raise UserError(f"--encoder={name} is unknown; give {', '.join(ENCODERS)}")
    return ENCODERS[name]
