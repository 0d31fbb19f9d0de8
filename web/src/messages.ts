/** What a page and its worker say to each other. */

import type { Header } from "./container/container.ts";

export type Region = readonly [x: number, y: number, width: number, height: number];

/** How a picture is wanted. */
export interface DecodeSettings {
  /** 1, 2, 4 or 8: means of boxes of so many by so many pixels, counted from the picture's left upper corner. */
  scale?: number;
  /** The part that is wanted, in pixels; only the tiles that it needs are decoded. */
  region?: Region;
  /** Larger pictures are refused before anything is allocated; null: any size. */
  maxPixels?: number | null;
  /** What to do with a colour profile: "convert" (default) the pixels to sRGB, or "keep" them as they are stored. */
  profile?: "convert" | "keep";
}

export interface DecodedPicture {
  /** Red, green, blue, alpha, not premultiplied: (height, width, 4). */
  readonly rgba: Uint8ClampedArray<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
  readonly header: Header;
  readonly icc?: Uint8Array;
  readonly exif?: Uint8Array;
  readonly xmp?: Uint8Array;
  readonly alpha: boolean;
  readonly exact: boolean;
  readonly latentChecksum: number | null;
  readonly notes: string[];
  readonly seconds: Record<string, number>;
}

export interface Setup {
  readonly kind: "setup";
  /** URL of the folder of the kernels. */
  readonly assets: string;
  /** URL of the folder of models. */
  readonly models: string;
  /** 0: as many as the machine has processors, at most four. */
  readonly threads: number;
}

export interface Work {
  readonly kind: "decode";
  readonly id: number;
  readonly file: Uint8Array<ArrayBuffer>;
  readonly settings: DecodeSettings;
  /** Whether rows are wanted as they are made. */
  readonly rows: boolean;
}

export interface Cancel {
  readonly kind: "cancel";
  readonly id: number;
}

/** Makes a worker a thread of another's, which says by the port what it shares. */
export interface Join {
  readonly kind: "join";
  readonly port: MessagePort;
}

export type Request = Setup | Work | Cancel;

export type Reply =
  | { readonly kind: "progress"; readonly id: number; readonly done: number; readonly total: number }
  | {
      readonly kind: "rows";
      readonly id: number;
      readonly rgba: Uint8ClampedArray<ArrayBuffer>;
      readonly top: number;
      readonly width: number;
    }
  | { readonly kind: "done"; readonly id: number; readonly picture: DecodedPicture }
  | { readonly kind: "failed"; readonly id: number; readonly name: string; readonly message: string }
  /** Asks for one more thread, which shares the work of a model; what that is it learns from the port. */
  | { readonly kind: "thread wanted"; readonly model: string; readonly port: MessagePort }
  /** The model is closed, and its threads are to go. */
  | { readonly kind: "threads done"; readonly model: string };
