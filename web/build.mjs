/** Builds web/dist: the library, the worker, the polyfill, the runtime's files and the viewer. Run by `npm run build`. */

import { build } from "esbuild";
import { cp, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");
const runtime = dirname(createRequire(import.meta.url).resolve("onnxruntime-web/wasm"));
// Of the runtime only what runs on processors: no WebGPU, no WebGL.
const RUNTIME_FILES = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];

const common = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
};

/** The runtime stays a file of its own: pages load it only when they decode, and it is not ours. */
const apart = {
  name: "runtime-apart",
  setup({ onResolve }) {
    onResolve({ filter: /^onnxruntime-web\/wasm$/ }, () => ({ path: "./ort.wasm.min.mjs", external: true }));
  },
};

await rm(dist, { recursive: true, force: true });
await mkdir(dist);
// What pages share, the library's state above all, is in a chunk of its own: it must be there once.
await build({
  ...common,
  entryPoints: [
    { in: "src/main.ts", out: "rdae" },
    { in: "src/page/polyfill.ts", out: "rdae-polyfill" },
    { in: "viewer/viewer.ts", out: "viewer/viewer" },
  ],
  outdir: dist,
  splitting: true,
  chunkNames: "rdae-[hash]",
  plugins: [apart],
});
await build({ ...common, entryPoints: ["src/worker.ts"], outfile: join(dist, "rdae-worker.js"), plugins: [apart] });
for (const file of RUNTIME_FILES) await cp(join(runtime, file), join(dist, file));
for (const file of ["index.html", "viewer.css"]) await cp(join(root, "viewer", file), join(dist, "viewer", file));
