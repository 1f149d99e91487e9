// Builds the widgets into the Python package. The output is committed and must not depend on the machine.
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const options = {
  absWorkingDir: here("."),
  entryPoints: [
    { in: "src/index.ts", out: "trace_view" },
    { in: "src/page.ts", out: "trace_page" },
    { in: "src/styles/index.css", out: "trace_view" },
    { in: "src/runs/index.ts", out: "run_list" },
    { in: "src/runs/page.ts", out: "run_list_page" },
    { in: "src/runs/styles.css", out: "run_list" },
  ],
  outdir: here("../agenttrace_nb/views/static"),
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "ascii",
  legalComments: "none",
  logLevel: "info",
};

if (process.argv.includes("--watch")) {
  await (await esbuild.context(options)).watch();
} else {
  await esbuild.build(options);
}
