/**
 * All tests: `npm test`. Those of the format's reader run in Node, those of the decoder, the element and the viewer in Chromium.
 *
 * What is expected comes from rdae in Python: the interpreter of the environment variable PYTHON, else python3, must have it.
 * RDAE_KODAK names a folder of photographs to be decoded too.
 */

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { CHROMIUM } from "./browser/server.mjs";

const tests = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(tests));
/** Of a file of tests, which takes a minute at most: a browser that is stuck must not hold the others. */
const LONGEST_MS = 10 * 60_000;
/** Dots, and at once what fails: the dots' own list comes at the end, and not if the run is killed. */
const REPORTERS = { dot: "stdout", [new URL("failures.mjs", import.meta.url).href]: "stderr" };
const work = await mkdtemp(join(tmpdir(), "rdae-web-"));

function run(command, parts, env = {}) {
  const { status, error } = spawnSync(command, parts, { stdio: "inherit", env: { ...process.env, ...env } });
  if (error) console.error(`${command}: ${error.message}`);
  return status ?? 1;
}

async function main() {
  const unit = (await readdir(join(tests, "unit"))).filter((name) => name.endsWith(".test.ts"));
  await build({
    entryPoints: unit.map((name) => join(tests, "unit", name)),
    bundle: true,
    platform: "node",
    format: "esm",
    outdir: work,
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
  const files = unit.map((name) => join(work, `${basename(name, ".ts")}.mjs`));
  const env = { RDAE_WEB_ROOT: root };
  if (CHROMIUM && existsSync(CHROMIUM)) {
    const cases = join(work, "cases");
    const pictures = process.env.RDAE_KODAK ? ["--pictures", process.env.RDAE_KODAK] : [];
    const made = run(process.env.PYTHON ?? "python3", [join(root, "tools", "web_cases.py"), cases, ...pictures]);
    if (made !== 0) {
      console.error("tools/web_cases.py failed: it needs rdae in Python, by PYTHON or an environment that is active");
      return made;
    }
    env.RDAE_WEB_CASES = cases;
    const browser = (await readdir(join(tests, "browser"))).filter((name) => name.endsWith(".test.mjs"));
    files.push(...browser.map((name) => join(tests, "browser", name)));
  } else {
    console.log("no Chromium: the tests in a browser are skipped");
  }
  // One after the other: each measures whether something hangs.
  const options = ["--test-concurrency=1", `--test-timeout=${LONGEST_MS}`];
  for (const [reporter, destination] of Object.entries(REPORTERS))
    options.push(`--test-reporter=${reporter}`, `--test-reporter-destination=${destination}`);
  return run(process.execPath, ["--test", ...options, ...files], env);
}

try {
  process.exitCode = await main();
} finally {
  await rm(work, { recursive: true, force: true });
}
