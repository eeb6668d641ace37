"""Exceptions whose messages are meant for the user."""


class UserError(Exception):
    """An error outside the program, such as in a flag, in a file or on a disk.

    The message is one line with the error, its location and the remedy. A command prints it without
    a traceback and exits with code 2.

    Example::

        try:
            jaxrec.read_log("no-such-log.csv")
        except jaxrec.UserError as error:
            print(error)
    """


class FailedCheckError(Exception):
    """An output that fails its check and is not kept.

    The message is one line with the worst case. A command prints it without a traceback and exits
    with code 1.

    Example::

        try:
            jaxrec.verify("runs/shop/export/model.tflite")
        except jaxrec.FailedCheckError as error:
            print(error)
    """
