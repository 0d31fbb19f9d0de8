"""Every error that rdae raises on purpose, in one tree.

A library call that is given bad input raises a subclass of RdaeError whose message is one line that says
what was found and what was expected. The command line prints that line and exits with status 1; anything
else that escapes is a bug. This module imports nothing, so that every other module may import it.
"""


class RdaeError(Exception):
    """Base of all errors that come from input rather than from a bug."""


class PictureError(RdaeError):
    """A picture that cannot be read, or that has a form rdae does not take."""


class OutputExistsError(RdaeError):
    """An output file is already there and overwriting was not asked for."""


class WeightsError(RdaeError):
    """Weights that are missing, damaged, or not the ones a file was written with."""


class DeviceError(RdaeError):
    """A device for the networks, such as a GPU, that is not there."""


class TargetError(RdaeError):
    """A size, rate or distortion that no quality gives for a picture."""


class VerifyError(RdaeError):
    """An encoder that does not get back what it encoded: this machine computes wrongly."""


class ResultsError(RdaeError):
    """An evaluation result file that cannot be used."""


class TrainingError(RdaeError):
    """Training that cannot start or go on: bad data, a bad run folder, a loss that is not finite."""


class MissingExtraError(RdaeError):
    """A command needs packages of an optional extra; the message says which extra to install."""


class BatchError(RdaeError):
    """Work on many files that cannot go on with any of them: the model that was asked for cannot be had."""


class StreamError(RdaeError):
    """Bytes that are not a usable .rdae file."""


class NotRdaeError(StreamError):
    """The bytes do not begin like an .rdae file."""


class VersionError(StreamError):
    """A well-formed .rdae file of a format version or with a feature that this program does not know."""


class TruncatedError(StreamError):
    """The bytes end before the file does."""


class CorruptError(StreamError):
    """The bytes contradict themselves: a checksum, a length or a value that no encoder writes."""


def describe(error: Exception, path: object = None) -> str:
    """What an error says, for a line that already names `path`.

    An OSError brings the system's words and perhaps a file; that file is named only if it is not `path`.
    """
    if isinstance(error, OSError) and error.strerror:
        other = error.filename is not None and str(error.filename) != str(path)
        return f"{error.filename}: {error.strerror}" if other else error.strerror
    return str(error) or type(error).__name__
