// Builds the widgets into the Python package. The output is committed and must not depend on the machine.
//
// The trace view is two files. Its base goes to the browser with every view and is saved with it, so it is kept small;
// the panels follow in a message, and use the libraries and modules of the base instead of having them once more.
import { createHash } from "node:crypto";
import { watch, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const outdir = here("../agenttrace_nb/views/static");

const options = {
  absWorkingDir: here("."),
  bundle: true,
  minify: true,
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "ascii",
  legalComments: "none",
  logLevel: "warning",
};

/** What the base lends: the names, and the files they are in. */
async function lent() {
  const entry = "src/panels/shared.ts";
  const { metafile } = await esbuild.build({
    ...options,
    entryPoints: [entry],
    format: "esm",
    metafile: true,
    write: false,
  });
  const [{ exports: names }] = Object.values(metafile.outputs);
  const paths = metafile.inputs[entry].imports.map(({ path }) => resolve(here("."), path));
  return { names, paths: new Set(paths) };
}

/** In the panels, what is lent is read from `shared`, the parameter of the function around them. */
const borrowing = ({ names, paths }) => ({
  name: "borrowing",
  setup(build) {
    build.onResolve({ filter: /^[.\w@]/ }, async ({ path, ...from }) => {
      if (from.kind !== "import-statement" || from.pluginData === "seen") return undefined;
      const { kind, importer, resolveDir } = from;
      const found = await build.resolve(path, { kind, importer, resolveDir, pluginData: "seen" });
      return paths.has(found.path) ? { path: "shared", namespace: "shared" } : found;
    });
    build.onLoad({ filter: /^shared$/, namespace: "shared" }, () => ({
      contents: `export const {${names}} = shared;`,
    }));
    build.onLoad({ filter: /\.css$/ }, async ({ path }) => {
      const { outputFiles } = await esbuild.build({ ...options, entryPoints: [path], write: false });
      return { contents: outputFiles[0].text.trim(), loader: "text" };
    });
  },
});

async function buildPanels() {
  const { outputFiles, metafile } = await esbuild.build({
    ...options,
    entryPoints: ["src/panels/index.ts"],
    format: "esm",
    plugins: [borrowing(await lent())],
    metafile: true,
    write: false,
  });
  const code = outputFiles[0].text.trim().replace(/export\{(\w+) as panels\};?$/, "return $1");
  // The base takes no other panels than those it was built with.
  const version = createHash("sha256").update(code).digest("hex").slice(0, 16);
  const text = `(globalThis.agtrPanels??={})["${version}"]=shared=>{${code}};\n`;
  writeFileSync(`${outdir}/trace_panels.js`, text);
  return { version, inputs: Object.keys(metafile.inputs) };
}

async function build() {
  const panels = await buildPanels();
  const { metafile } = await esbuild.build({
    ...options,
    entryPoints: [
      { in: "src/index.ts", out: "trace_view" },
      { in: "src/page.ts", out: "trace_page" },
      { in: "src/styles/index.css", out: "trace_view" },
      { in: "src/runs/index.ts", out: "run_list" },
      { in: "src/runs/page.ts", out: "run_list_page" },
      { in: "src/runs/styles.css", out: "run_list" },
      { in: "src/heatmap/index.ts", out: "heatmap" },
      { in: "src/heatmap/styles.css", out: "heatmap" },
      { in: "src/dashboard/index.ts", out: "dashboard" },
      { in: "src/dashboard/styles.css", out: "dashboard" },
    ],
    outdir,
    format: "esm",
    define: { PANELS: JSON.stringify(panels.version) },
    metafile: true,
  });
  const base = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint === "src/index.ts");
  const twice = panels.inputs.filter((path) => base.inputs[path]?.bytesInOutput > 0);
  if (twice.length > 0) throw new Error(`in the base and in the panels, not in shared.ts: ${twice}`);
}

await build();
if (process.argv.includes("--watch")) {
  let due;
  watch(here("src"), { recursive: true }, () => {
    clearTimeout(due);
    due = setTimeout(() => build().catch((error) => console.error(error.message)), 100);
  });
}
