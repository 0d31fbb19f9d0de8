/** A safetensors file: numbers by name. */

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

type Numbers = Int32Array | Int16Array | Int8Array | Uint8Array;

export class WeightsFile {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Tensors;

  /** Error if it is none. */
  constructor(file: Uint8Array) {
    const length =
      file.length < 8 ? Infinity : Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
    if (!(8 + length <= file.length)) throw new Error("it ends early");
    const { __metadata__, ...entries } = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length)));
    this.metadata = __metadata__;
    this.tensors = new Tensors(entries, file.subarray(8 + length));
  }
}

/** A table's rows, one after the other. */
export class Rows<T extends Float32Array | Int32Array> {
  constructor(
    private readonly values: T,
    private readonly width: number,
  ) {}

  row(number: number): T {
    return this.values.subarray(number * this.width, (number + 1) * this.width) as T;
  }
}

export class Tensors {
  constructor(
    private readonly entries: Readonly<Record<string, Entry>>,
    private readonly data: Uint8Array,
  ) {}

  /** Integers, as they are stored. */
  integers(name: string): Int32Array {
    return Int32Array.from(this.stored(name));
  }

  /** Numbers of any type, as 32-bit floats. */
  floats(name: string): Float32Array {
    const { dtype } = this.entry(name);
    if (dtype === "F32") return new Float32Array(this.bytes(name).buffer);
    if (dtype === "F16") return widened(new Uint16Array(this.bytes(name).buffer));
    return Float32Array.from(this.stored(name));
  }

  /** A table of integers. */
  rows(name: string, width: number): Rows<Int32Array> {
    return new Rows(this.integers(name), width);
  }

  private stored(name: string): Numbers {
    const { buffer } = this.bytes(name);
    switch (this.entry(name).dtype) {
      case "I32":
        return new Int32Array(buffer);
      case "I16":
        return new Int16Array(buffer);
      case "I8":
        return new Int8Array(buffer);
      case "U8":
        return new Uint8Array(buffer);
      default:
        throw new Error(`${name} is ${this.entry(name).dtype}`);
    }
  }

  private entry(name: string): Entry {
    const entry = this.entries[name];
    if (!entry) throw new Error(`${name} is missing`);
    return entry;
  }

  /** A copy, as typed arrays must begin at multiples of their numbers' sizes. */
  private bytes(name: string): Uint8Array<ArrayBuffer> {
    const [first, last] = this.entry(name).data_offsets;
    if (!(first <= last && last <= this.data.length)) throw new Error("it ends early");
    return this.data.slice(first, last) as Uint8Array<ArrayBuffer>;
  }
}

/** IEEE 754's binary16 to binary32. */
function widened(halves: Uint16Array): Float32Array {
  const floats = new Float32Array(halves.length);
  const bits = new Uint32Array(floats.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i];
    const [sign, exponent, fraction] = [(half & 0x8000) << 16, half & 0x7c00, half & 0x03ff];
    if (exponent === 0) {
      floats[i] = (sign ? -1 : 1) * fraction * 2 ** -24;
    } else {
      bits[i] = sign | (exponent === 0x7c00 ? 0x7f800000 : (exponent << 13) + 0x38000000) | (fraction << 13);
    }
  }
  return floats;
}
