/**
 * The memory that the kernels work in, and the threads that share their work.
 *
 * A kernel is called for chunks of panels. Where a page may share memory, other workers take chunks too: they look for the
 * next piece of work in a few integers, `control`, and sleep when there is none for a while. Without that all is done here.
 */

import { PictureError, RdaeError } from "../errors.ts";

/** The functions of assembly/kernels.ts. */
interface Kernels {
  multiply(...numbers: number[]): void;
  gate(...numbers: number[]): void;
  spread(...numbers: number[]): void;
  blank(...numbers: number[]): void;
  shuffle(...numbers: number[]): void;
  halve(...numbers: number[]): void;
  pixels(...numbers: number[]): void;
}

export type Kernel = keyof Kernels;

/** By number, as threads call them. */
const KERNELS: readonly Kernel[] = ["multiply", "gate", "spread", "blank", "shuffle", "halve", "pixels"];

const PAGE = 65536;
/** Of 32-bit memory. */
const MOST_PAGES = 65535;
/** Where a module's own data end. */
const START = 1024;

// Places in `control`. NEXT holds the work's number in the upper half and that of the next chunk in the lower.
const GENERATION = 0;
const NEXT = 1;
const DONE = 2;
const KERNEL = 3;
const CHUNKS = 4;
const COUNT = 5;
/** Pairs of the argument that grows with chunks, and by how much. */
const PANELS = 6;
const SIZE = 7;
/** Not 0 once a thread has failed. */
const BROKEN = 8;
const ARGUMENTS = 9;
const CONTROL_LENGTH = 32;
const MOST_CHUNKS = 0xffff;
/** How often a thread looks for work before it sleeps: about 50 µs. */
const PATIENCE = 2000;
/** What a thread that has taken a chunk, some milliseconds of work, may need for it on a machine that is very busy. */
const LONGEST_MS = 60_000;

/** What a thread is told to begin with. */
export interface Thread {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: Int32Array<SharedArrayBuffer>;
}

/**
 * How a kernel's panels are cut: which of its arguments are those of a chunk's first panel.
 *
 * `multiply` takes panels from pointers on, so x, out and add move with the chunk; the others take the numbers of panels.
 */
const RANGES: Partial<Record<Kernel, readonly [first: number, last: number]>> = {
  gate: [8, 9],
  spread: [11, 12],
  shuffle: [7, 8],
  halve: [8, 9],
  pixels: [8, 9],
};

function call(kernels: Kernels, kernel: Kernel, numbers: number[], first: number, last: number): void {
  if (kernel === "multiply") {
    const [w, bias, x, xStride, out, outStride, rows, depth, , factor, low, high, add] = numbers;
    const more = add && add + first * outStride;
    const [from, to] = [x + first * xStride, out + first * outStride];
    kernels.multiply(w, bias, from, xStride, to, outStride, rows, depth, last - first, factor, low, high, more);
    return;
  }
  const range = RANGES[kernel];
  if (range) {
    numbers[range[0]] = first;
    numbers[range[1]] = last;
  }
  kernels[kernel](...numbers);
}

/**
 * Takes chunks of the work with that number as long as there are any.
 *
 * All reads and writes of `control` are atomic, and so in one order for all threads: whoever has read something of later work
 * finds NEXT changed as well, and takes nothing.
 */
function takeChunks(kernels: Kernels, control: Int32Array, generation: number): void {
  const read = (place: number) => Atomics.load(control, place);
  const [kernel, chunks, panels, size] = [KERNELS[read(KERNEL)], read(CHUNKS), read(PANELS), read(SIZE)];
  const numbers = Array.from({ length: read(COUNT) }, (_, i) => read(ARGUMENTS + i));
  for (;;) {
    const next = read(NEXT);
    const chunk = next & MOST_CHUNKS;
    if (next >>> 16 !== (generation & 0xffff) || chunk >= chunks) return;
    if (Atomics.compareExchange(control, NEXT, next, next + 1) !== next) continue;
    call(kernels, kernel, numbers, chunk * size, Math.min(panels, (chunk + 1) * size));
    Atomics.add(control, DONE, 1);
  }
}

/** What another worker does for the rest of its life. */
export function serve({ module, memory, control }: Thread): void {
  const kernels = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Kernels;
  let seen = 0;
  try {
    for (;;) {
      for (let look = 0; look < PATIENCE && Atomics.load(control, GENERATION) === seen; look++);
      Atomics.wait(control, GENERATION, seen);
      seen = Atomics.load(control, GENERATION);
      takeChunks(kernels, control, seen);
      Atomics.notify(control, DONE);
    }
  } catch {
    Atomics.store(control, BROKEN, 1); // or the work would never be done
  }
}

export class Engine {
  /** A kernel has failed, and threads may still work on what it was about: the engine is of no use any more. */
  broken = false;
  private top = START;
  private readonly control: Int32Array | undefined;

  private constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly kernels: Kernels,
    readonly threads: number,
    control?: Int32Array,
  ) {
    this.control = control;
  }

  /** start: has a worker started that will call `serve`, at some time; of these there is one less than threads. */
  static async open(module: WebAssembly.Module, threads: number, start: (thread: Thread) => void): Promise<Engine> {
    const shared = threads > 1;
    const memory = new WebAssembly.Memory({ initial: 16, maximum: MOST_PAGES, shared });
    const kernels = (await WebAssembly.instantiate(module, { env: { memory } })).exports as unknown as Kernels;
    if (!shared) return new Engine(memory, kernels, 1);
    const control = new Int32Array(new SharedArrayBuffer(4 * CONTROL_LENGTH));
    for (let other = 1; other < threads; other++) start({ module, memory, control });
    return new Engine(memory, kernels, threads, control);
  }

  /** Bytes of memory that it has taken. It never gives any back. */
  get size(): number {
    return this.memory.buffer.byteLength;
  }

  /** So many bytes, of any content; they are given back by `release`, last come first. */
  allocate(bytes: number): number {
    const place = this.top;
    this.top = Math.ceil((place + bytes) / 64) * 64;
    const missing = this.top - this.memory.buffer.byteLength;
    if (missing > 0) {
      try {
        if (this.top > MOST_PAGES * PAGE) throw new RangeError("beyond 32 bits");
        this.memory.grow(Math.ceil(missing / PAGE));
      } catch {
        this.top = place;
        throw new PictureError("not enough memory for the picture");
      }
    }
    return place;
  }

  /** Where the next allocation will be. */
  mark(): number {
    return this.top;
  }

  /** Gives back all that was allocated since a mark. */
  release(mark: number): void {
    this.top = mark;
  }

  /** A part of the memory, until the next allocation. */
  floats(place: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, place, length);
  }

  integers(place: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, place, length);
  }

  bytes(place: number, length: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, place, length);
  }

  /** Calls a kernel for so many panels, in chunks. Numbers are the kernel's arguments. */
  run(kernel: Kernel, numbers: number[], panels = 0): void {
    try {
      if (!this.control || panels < 2) call(this.kernels, kernel, numbers, 0, panels);
      else this.share(this.control, kernel, numbers, panels);
    } catch (error) {
      this.broken = true;
      throw error;
    }
  }

  private share(control: Int32Array, kernel: Kernel, numbers: number[], panels: number): void {
    const size = Math.max(1, Math.ceil(panels / (4 * this.threads)));
    const chunks = Math.ceil(panels / size);
    const write = (place: number, value: number) => Atomics.store(control, place, value);
    const generation = control[GENERATION] + 1;
    // First of all nobody takes more of the work before, whose numbers are about to go.
    write(NEXT, ((generation & 0xffff) << 16) | MOST_CHUNKS);
    write(KERNEL, KERNELS.indexOf(kernel));
    write(CHUNKS, chunks);
    write(COUNT, numbers.length);
    write(PANELS, panels);
    write(SIZE, size);
    numbers.forEach((number, place) => write(ARGUMENTS + place, number));
    write(DONE, 0);
    write(NEXT, (generation & 0xffff) << 16);
    write(GENERATION, generation);
    Atomics.notify(control, GENERATION);
    takeChunks(this.kernels, control, generation);
    // What others still work on takes a moment; longer only if the machine is busy, and then they need the processor.
    for (let look = 0, done; (done = Atomics.load(control, DONE)) < chunks; look++) {
      if (look > PATIENCE) Atomics.wait(control, DONE, done, 1);
      if (Atomics.load(control, BROKEN)) throw new RdaeError("a thread has failed");
      if (look > PATIENCE + LONGEST_MS) throw new RdaeError("a thread does not answer");
    }
  }
}

/** The kernels with fused multiply-add where the browser knows it, else without. shared: for memory that threads share. */
export async function compileKernels(assets: URL, shared: boolean): Promise<WebAssembly.Module> {
  let reason = "";
  for (const fused of ["-fma", ""]) {
    const response = await fetch(new URL(`rdae-kernels${fused}${shared ? "-threads" : ""}.wasm`, assets));
    if (!response.ok) throw new RdaeError(`the kernels are not there (status ${response.status})`);
    try {
      return await WebAssembly.compile(await response.arrayBuffer());
    } catch (error) {
      if (!(error instanceof WebAssembly.CompileError)) throw error;
      reason = error.message; // of a browser that is too old, or a policy without 'wasm-unsafe-eval'
    }
  }
  throw new RdaeError(`the kernels cannot be compiled: ${reason}`);
}
