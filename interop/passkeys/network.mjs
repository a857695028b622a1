// A live network of our own and a browser with a virtual authenticator.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const abaton = resolve(process.env.ABATON ?? join(import.meta.dirname, "../../bin/abaton"));

async function start(dir, options) {
  const child = spawn(abaton, ["up", "--dir", dir, ...options], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  await new Promise((done, failed) => {
    child.stdout.on("data", (text) => { said += text; if (said.includes("In another terminal")) done(); });
    child.stderr.on("data", (text) => { said += text; });
    child.on("exit", (code) => failed(new Error(`abaton up ended with ${code}: ${said}`)));
  });
  child.removeAllListeners("exit");
  return child;
}

async function stop(child) {
  child.kill("SIGINT");
  await new Promise((done) => child.on("exit", done));
}

// up gives a running network: run plays the command line, as a sample person's
// FHIR client, stop ends it and leaves nothing.
export const up = (...options) => upWith({}, ...options);

// upWith is up with a list of authenticators that staff may enrol with. It takes
// effect when the network begins anew.
export async function upWith({ authenticators }, ...options) {
  const work = await mkdtemp(join(tmpdir(), "abaton-passkeys-"));
  const dir = join(work, "net");
  if (authenticators) {
    await stop(await start(dir, options));
    const settings = join(dir, "gateway", "gateway.toml");
    await writeFile(settings, `authenticators = ${JSON.stringify(resolve(authenticators))}\n${await readFile(settings)}`);
  }
  const child = await start(dir, options);
  const run = async (...args) => (await promisify(execFile)(abaton, [...args, "--dir", dir])).stdout;
  const { gateway } = JSON.parse(await readFile(join(dir, "network.json")));
  return {
    run,
    dir,
    url: `http://localhost:${gateway.listen.split(":").pop()}`,
    // client is a FHIR client of a sample person, signed in anew.
    client: async (person) => {
      await run("login", "--as", person);
      const access = (await readFile(join(dir, "people", person, "access"), "utf8")).trim();
      return (method, path, headers = {}, body) =>
        fetch(`http://${gateway.listen}${path}`, {
          method, body: body && JSON.stringify(body),
          headers: { Authorization: `Bearer ${access}`, ...(body ? { "Content-Type": "application/fhir+json" } : {}), ...headers },
        });
    },
    stop: async () => {
      await stop(child);
      await rm(work, { recursive: true, force: true });
    },
  };
}

export const launch = () =>
  chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

// device is a browser of somebody's own, with an authenticator as told.
export async function device(browser, how = {}) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems = [];
  page.on("console", (m) => { if (m.type() === "error" && /Content Security Policy|Trusted/i.test(m.text())) problems.push(m.text()); });
  page.on("pageerror", (e) => problems.push(String(e)));
  const cdp = await context.newCDPSession(page);
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", ctap2Version: "ctap2_1", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true, hasPrf: true, defaultBackupEligibility: true, defaultBackupState: true, ...how,
    },
  });
  return { page, cdp, authenticatorId, problems, close: () => context.close() };
}
