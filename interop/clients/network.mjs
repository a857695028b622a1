// A live network for a test: five keepers and a gateway as real processes, in
// a folder of its own that is gone at the end.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";

const run = promisify(execFile);
const abaton = resolve(process.env.ABATON_BIN ?? join(import.meta.dirname, "../../bin"), "abaton");

export class Network {
  static async start() {
    const n = new Network();
    n.folder = await mkdtemp(join(tmpdir(), "abaton-clients-"));
    n.dir = join(n.folder, "net");
    n.child = spawn(abaton, ["up", "--dir", n.dir], { stdio: ["ignore", "pipe", "inherit"] });
    n.ended = new Promise((done) => n.child.once("exit", done));
    n.base = await n.#ready();
    return n;
  }

  // The base address stands on the line that tells people; the first Patient
  // on the curl line below it.
  async #ready() {
    let base;
    for await (const line of createInterface({ input: this.child.stdout })) {
      base ??= /serves FHIR at (http\S+?)\.? /.exec(line + " ")?.[1];
      const patient = /\/Patient\/([A-Za-z0-9.-]+)\/\$everything/.exec(line)?.[1];
      if (base && patient) {
        this.patient = patient;
        this.child.stdout.resume();
        return base;
      }
    }
    throw new Error("the network ended before it was ready");
  }

  // access signs a sample person in and gives the value for Authorization.
  async access(person) {
    await this.cli("login", "--as", person);
    return (await readFile(join(this.dir, "people", person, "access"), "utf8")).trim();
  }

  async cli(...args) {
    const { stdout } = await run(abaton, [...args, "--dir", this.dir]);
    return stdout;
  }

  async stop() {
    this.child.kill("SIGINT");
    await this.ended;
    await rm(this.folder, { recursive: true, force: true });
  }
}
