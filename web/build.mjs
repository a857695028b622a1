// Builds the pages into dist/, or with --tests the tests into the folder
// named. The same input gives the same bytes: CI compares.
import { build } from "esbuild";
import { cp, mkdir, rm } from "node:fs/promises";

const [what, folder] = process.argv.slice(2);
const common = { bundle: true, format: "esm", target: "es2022", charset: "utf8", legalComments: "none", logLevel: "warning", loader: { ".txt": "text" } };

if (what === "--tests") {
  await build({ ...common, platform: "node", entryPoints: ["test/vectors.test.ts", "test/forms.test.ts", "test/makekit.ts", "test/makehelpers.ts"], outdir: folder, outExtension: { ".js": ".mjs" } });
  await build({ ...common, platform: "browser", entryPoints: ["test/vectors.ts"], outdir: folder });
} else {
  await rm("dist", { recursive: true, force: true });
  await mkdir("dist");
  await build({
    ...common, platform: "browser", minify: true, splitting: true, entryPoints: ["src/app.ts"],
    outdir: "dist", chunkNames: "[name]-[hash]",
  });
  for (const name of ["app.css", "page.html"]) await cp(`src/${name}`, `dist/${name}`);
}
