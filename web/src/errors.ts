/**
 * Every error that a decoder throws on purpose, in one tree; the names are those of rdae's Python package.
 *
 * A message is one line that says what was found and what was expected. `name` is written out, as minifying renames classes.
 */

/** Base of all errors that come from input rather than from a bug. */
export class RdaeError extends Error {
  override name = "RdaeError";
}

/** A picture that there is not enough memory for. */
export class PictureError extends RdaeError {
  override name = "PictureError";
}

/** A model that is missing, damaged, or not the one that a file was written with. */
export class WeightsError extends RdaeError {
  override name = "WeightsError";
}

/** Bytes that are not a usable .rdae file. */
export class StreamError extends RdaeError {
  override name = "StreamError";
}

/** The bytes do not begin like an .rdae file. */
export class NotRdaeError extends StreamError {
  override name = "NotRdaeError";
}

/** A well-formed .rdae file of a format version, or with a feature, that this program does not know. */
export class VersionError extends StreamError {
  override name = "VersionError";
}

/** The bytes end before the file does. */
export class TruncatedError extends StreamError {
  override name = "TruncatedError";
}

/** The bytes contradict themselves: a checksum, a length or a value that no encoder writes. */
export class CorruptError extends StreamError {
  override name = "CorruptError";
}
