/** Builds web/dist: the library, the worker, the polyfill, the kernels and the viewer. Run by `npm run build`. */

import { main as compile } from "assemblyscript/asc";
import { build } from "esbuild";
import { cp, mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");

const common = {
  absWorkingDir: root,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
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
});
await build({ ...common, entryPoints: ["src/worker.ts"], outfile: join(dist, "rdae-worker.js") });

// With fused multiply-add, which is quicker where a browser knows it; and with memory that threads share.
for (const fused of [true, false]) {
  for (const threads of [true, false]) {
    const features = [...(fused ? ["relaxed-simd"] : []), ...(threads ? ["threads"] : [])];
    const { error, stderr } = await compile([
      join(root, "assembly", "kernels.ts"),
      ...["--outFile", join(dist, `rdae-kernels${fused ? "-fma" : ""}${threads ? "-threads" : ""}.wasm`)],
      ...["-O3", "--noAssert", "--runtime", "stub", "--importMemory", "--initialMemory", "16"],
      ...["simd", ...features].flatMap((feature) => ["--enable", feature]),
      ...(threads ? ["--sharedMemory", "--maximumMemory", "65535"] : ["--maximumMemory", "65535"]),
    ]);
    if (error) throw new Error(`${stderr}`);
  }
}
for (const file of ["index.html", "viewer.css"]) await cp(join(root, "viewer", file), join(dist, "viewer", file));
console.log("written to web/dist");
