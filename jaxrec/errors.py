"""The exceptions whose message is meant for the person at the keyboard."""


class UserError(Exception):
    """Something outside the program is wrong: a flag, a file, a disk.

    The message is one line that says what is wrong, where, and what to do about it. A command
    prints it without a traceback and exits with code 2.

    Example:
        try:
            jaxrec.read_log("no-such-log.csv")
        except jaxrec.UserError as error:
            print(error)
    """


class FailedCheckError(Exception):
    """What was made does not pass its check, and was not kept.

    The message is one line that names the worst case. A command prints it without a traceback and
    exits with code 1.

    Example:
        try:
            jaxrec.verify("runs/shop/export/model.tflite")
        except jaxrec.FailedCheckError as error:
            print(error)
    """
