/**
 * What an .rdae file is made of: header, sections, checksums. docs/format.md, sections 2 and 3.
 *
 * All that can be refused without looking into a section is refused here, and nothing is allocated but the list of
 * sections, whose payloads are views of the file's bytes.
 */

import { CorruptError, NotRdaeError, StreamError, TruncatedError, VersionError } from "../errors.ts";
import { crc32, sealedLengths } from "./crc32.ts";
import { Cursor, uint32 } from "./cursor.ts";

export interface Header {
  /** Of the picture, in pixels, 1 to 2³⁰ − 1. */
  width: number;
  height: number;
  /** The first four bytes of the SHA-256 of the model's weights file, in 8 hexadecimal digits. */
  model: string;
  /** 0 to 800: quality in eighths of a step. */
  qualityIndex: number;
  grey: boolean;
  /** log₂ of a tile's side in latents, 4 to 16; null if the latents are not cut into tiles. */
  tile: number | null;
}

export interface Section {
  /** 1 to 127; types that are none of `SectionType` are skippable. */
  type: number;
  payload: Uint8Array;
  skippable: boolean;
}

export interface Container {
  /** Minor version of the format that the file claims. */
  minor: number;
  header: Header;
  flags: number;
  sections: Section[];
  /** CRC-32 of the decoded latents; null if the file does not say it. */
  latentChecksum: number | null;
  /** Whether there are LATENTS, so that decoding needs `header.model`. */
  needsModel: boolean;
}

export const SectionType = {
  LATENTS: 1,
  ALPHA: 2,
  ICC: 3,
  EXIF: 4,
  XMP: 5,
  ALPHA_WEBP: 6,
  PIXELS: 7,
  PIXELS_ALPHA: 8,
} as const;

const Flag = { GREY: 1, ALPHA: 2, METADATA: 4, TILES: 8, CHECKSUM: 16, ALL: 31 } as const;

const MAX_SECTIONS = 65_536;
const MAX_SIDE = 2 ** 30 - 1;
const MAX_QUALITY_INDEX = 800;
/** Beginnings of a damaged file that are tried for being whole files. */
const MAX_TRIES = 4;
const DEFAULT_MAX_PIXELS = 100_000_000;

/**
 * The header of a file, from its first 64 bytes or more, and where its sections start.
 *
 * NotRdaeError, VersionError, TruncatedError and CorruptError as with `parse`, but without the file's checksum nothing
 * says whether its bytes are what they were.
 */
export function peek(bytes: Uint8Array): { header: Header; flags: number; start: number } {
  readVersion(bytes);
  const cursor = new Cursor(bytes, 5);
  return { ...readHeader(cursor), start: cursor.at };
}

/**
 * A whole file, held to all rules that need no decoding.
 *
 * StreamError if the picture has more than `maxPixels` pixels, where a side of less than 64 counts as 64; null: no limit.
 * StreamErrors: NotRdaeError; VersionError for what is well-formed but unknown; TruncatedError if the file ends before its
 * end; CorruptError for all else.
 */
export function parse(bytes: Uint8Array, maxPixels: number | null = DEFAULT_MAX_PIXELS): Container {
  const minor = readVersion(bytes);
  // Damage can look like anything else, so the checksum decides how a refusal is worded.
  const end = bytes.length - 4;
  const intact = end > 4 && crc32(bytes.subarray(0, end)) === uint32(bytes, end);
  let container: Container;
  try {
    container = read(bytes, minor);
  } catch (error) {
    if (!intact) throw damage(bytes, error);
    if (error instanceof TruncatedError || error instanceof CorruptError) {
      throw new CorruptError(`written wrongly: ${error.message.replace("the file is cut short: ", "")}`);
    }
    throw error;
  }
  if (!intact) throw damage(bytes, null);
  const { width, height } = container.header;
  if (maxPixels !== null && Math.max(width, 64) * Math.max(height, 64) > maxPixels) {
    throw new StreamError(`${width} x ${height} pixels, more than the ${maxPixels} allowed`);
  }
  return container;
}

/** The payloads of all sections of a type, in the file's order. */
export function payloads(container: Container, type: number): Uint8Array[] {
  return container.sections.filter((section) => section.type === type).map((section) => section.payload);
}

/** What to say of a file whose checksum does not match, and whose reading ended with `error`, if with any. */
function damage(bytes: Uint8Array, error: unknown): Error {
  let tries = 0;
  for (const length of sealedLengths(bytes)) {
    // One in 2³² is right by chance; a file that was made to have many must not take long.
    if (++tries > MAX_TRIES) break;
    const whole = bytes.subarray(0, length);
    try {
      read(whole, readVersion(whole));
    } catch {
      continue;
    }
    const more = bytes.length - length;
    return new CorruptError(`a whole file, but ${more === 1 ? "1 byte follows" : `${more} bytes follow`} its end`);
  }
  if (error instanceof TruncatedError) return error;
  return new CorruptError("damaged or cut short: checksum does not match");
}

/** The minor version. Of another major version nothing after the version byte is looked at. */
function readVersion(bytes: Uint8Array): number {
  const magic = [..."RDAE"].map((letter) => letter.charCodeAt(0));
  const start = [...bytes.subarray(0, 4)];
  if (start.length === 0 || start.some((byte, i) => byte !== magic[i])) {
    const found = start.map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    throw new NotRdaeError(`not an .rdae file: it begins with ${found || "nothing"}, expected 52 44 41 45`);
  }
  if (bytes.length < 5) throw new TruncatedError(`the file is cut short: it ends after ${bytes.length} bytes`);
  const [major, minor] = [bytes[4] >> 4, bytes[4] & 15];
  if (major !== 1) throw new VersionError(`format version ${major}, this program reads version 1`);
  return minor;
}

/** Flags and header from the byte after the version on, without any check of the one against the sections. */
function readHeader(cursor: Cursor): { header: Header; flags: number } {
  const flags = cursor.varint();
  if (flags > Flag.ALL) {
    throw new VersionError(`flags 0x${flags.toString(16)} ask for a feature that this program does not know`);
  }
  const model = [...cursor.take(4)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const qualityIndex = cursor.varint();
  if (qualityIndex > MAX_QUALITY_INDEX) {
    throw new CorruptError(`quality index ${qualityIndex}, expected 0 to ${MAX_QUALITY_INDEX}`);
  }
  const [width, height] = [cursor.varint(), cursor.varint()];
  if (Math.min(width, height) < 1 || Math.max(width, height) > MAX_SIDE) {
    throw new CorruptError(`size ${width} x ${height}, expected sides of 1 to ${MAX_SIDE}`);
  }
  const tile = flags & Flag.TILES ? cursor.varint() : null;
  if (tile !== null && (tile < 4 || tile > 16)) throw new CorruptError(`tile ${tile}, expected 4 to 16`);
  return { header: { width, height, model, qualityIndex, grey: (flags & Flag.GREY) !== 0, tile }, flags };
}

/** A file but for its checksum, which is taken to be right. */
function read(bytes: Uint8Array, minor: number): Container {
  const cursor = new Cursor(bytes, 5);
  const { header, flags } = readHeader(cursor);
  const checked = (flags & Flag.CHECKSUM) !== 0;
  const end = bytes.length - (checked ? 8 : 4);
  if (end < cursor.at) throw new TruncatedError(`the file is cut short: no checksum after ${bytes.length} bytes`);
  const sections = readSections(new Cursor(bytes, cursor.at, end));
  checkSections(header, flags, sections);
  return {
    minor,
    header,
    flags,
    sections,
    latentChecksum: checked ? uint32(bytes, end) : null,
    needsModel: sections.some((section) => section.type === SectionType.LATENTS),
  };
}

function readSections(cursor: Cursor): Section[] {
  const sections: Section[] = [];
  while (cursor.left > 0) {
    if (sections.length === MAX_SECTIONS) throw new CorruptError(`more than ${MAX_SECTIONS} sections`);
    const byte = cursor.byte();
    const type = byte & 127;
    if (type === 0) throw new CorruptError("section type 0, expected 1 to 127");
    sections.push({ type, payload: cursor.take(cursor.varint()), skippable: byte > 127 });
  }
  return sections;
}

/** The rules of section 2 on which sections there are, how many, how long, and what the flags say of them. */
function checkSections(header: Header, flags: number, sections: Section[]): void {
  const { width, height, tile } = header;
  const count = new Array<number>(128).fill(0);
  const length = new Array<number>(128).fill(0);
  for (const { type, payload, skippable } of sections) {
    if (type > SectionType.PIXELS_ALPHA && !skippable) {
      throw new VersionError(`a section of type ${type}, which this program does not know`);
    }
    count[type] += 1;
    length[type] += payload.length;
  }
  const sum = (list: number[], ...types: number[]) => types.reduce((total, type) => total + list[type], 0);
  const { LATENTS, ALPHA, ICC, EXIF, XMP, ALPHA_WEBP, PIXELS, PIXELS_ALPHA } = SectionType;

  if (sum(count, ALPHA, ALPHA_WEBP, PIXELS_ALPHA) > 1) throw new CorruptError("alpha twice");
  for (const [name, type] of Object.entries({ ICC, EXIF, XMP })) {
    if (count[type] > 1) throw new CorruptError(`${count[type]} ${name} sections, expected 1`);
  }
  const alpha = sum(count, ALPHA, ALPHA_WEBP, PIXELS_ALPHA) > 0 ? Flag.ALPHA : 0;
  const metadata = sum(count, ICC, EXIF, XMP) > 0 ? Flag.METADATA : 0;
  if ((flags & (Flag.ALPHA | Flag.METADATA)) !== alpha + metadata) {
    throw new CorruptError("the flags of alpha and metadata are not what the sections say");
  }

  const tiles = tile === null ? 1 : Math.ceil(width / (16 * 2 ** tile)) * Math.ceil(height / (16 * 2 ** tile));
  if (count[PIXELS_ALPHA] > 0 && count[LATENTS] + count[PIXELS] > 0) {
    throw new CorruptError("latents or more pixels beside pixels with alpha");
  }
  if (count[LATENTS] > 0 ? count[LATENTS] !== tiles : sum(count, PIXELS, PIXELS_ALPHA) === 0) {
    throw new CorruptError(`${count[LATENTS]} sections of latents, expected ${tiles}`);
  }
  const coded = sum(length, LATENTS, PIXELS, PIXELS_ALPHA);
  const least = Math.ceil(width / 64) * Math.ceil(height / 64);
  if (coded < least) {
    throw new CorruptError(`${coded} bytes for ${width} x ${height} pixels, expected at least ${least}`);
  }
}
