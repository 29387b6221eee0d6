// One running Provost: a process, a data folder and databases of its own, all gone when it stops.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { freshDatabases } from "./engine.mjs";
import { eventually } from "./eventually.mjs";
import { readOutbox } from "./outbox.mjs";

const project = resolve(dirname(fileURLToPath(import.meta.url)), "../../..");
const binary = process.env.PROVOST_BIN || join(resolve(project, process.env.CARGO_TARGET_DIR || "target"), "debug/provost");

/**
 * Starts the app and waits until it is ready. With `superAdmin`, that person exists before the first request;
 * without, the app is in its first run and `app.setupAddress()` tells where to go.
 */
export async function startApp({ superAdmin, env = {}, ownRole = false } = {}) {
  if (!existsSync(binary)) throw new Error(`${binary} is missing; build it with cargo build, or set PROVOST_BIN`);
  const folder = await mkdtemp(join(tmpdir(), "provost-browser-"));
  const databases = await freshDatabases({ ownRole });
  const app = new App(folder, databases, await freePort(), env);
  try {
    if (superAdmin) await app.createSuperAdmin(superAdmin);
    await app.start();
  } catch (error) {
    await app.stop();
    throw error;
  }
  return app;
}

class App {
  output = "";

  constructor(folder, databases, port, env) {
    this.folder = folder;
    this.databases = databases;
    this.url = `http://127.0.0.1:${port}`;
    // Nothing of the developer's own settings reaches the app: not the environment, not a .env file.
    this.env = {
      PATH: process.env.PATH,
      HOME: folder,
      PROVOST_LISTEN: `127.0.0.1:${port}`,
      PROVOST_PUBLIC_URL: this.url,
      PROVOST_DATA_DIR: join(folder, "data"),
      RUST_LOG: "info",
      // How full the disk of the machine is must not decide a test.
      PROVOST_DISK_ALERT_PERCENT: "0",
      ...databases.env,
      ...env,
    };
  }

  async start() {
    this.process = this.spawn(["serve"]);
    await eventually("the app to be ready", async () => {
      if (this.process.exitCode !== null) {
        throw Object.assign(new Error(`the app ended with ${this.process.exitCode}:\n${this.output}`), { final: true });
      }
      return (await fetch(`${this.url}/health/ready`)).ok;
    }, { seconds: 60 }).catch((error) => {
      throw error.final ? error : new Error(`${error.message}\n${this.output}`);
    });
  }

  async createSuperAdmin({ name, email, password }) {
    const child = this.spawn(["admin", "create", "--email", email, "--name", name, "--password-stdin"], "pipe");
    child.stdin.on("error", () => {});
    child.stdin.end(`${password}\n`);
    const [code] = await once(child, "close");
    if (code !== 0) throw new Error(`provost admin create ended with ${code}:\n${this.output}`);
  }

  spawn(args, stdin = "ignore") {
    const child = spawn(binary, args, { cwd: this.folder, env: this.env, stdio: [stdin, "pipe", "pipe"] });
    child.on("error", (error) => (this.output += `${error}\n`));
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => (this.output += text));
    }
    return child;
  }

  /** The one-time address for the first super admin, as the app printed it. */
  setupAddress() {
    return eventually("the set-up address", () => /https?:\/\/\S+\/setup\S*/.exec(this.output)?.[0]);
  }

  /** The newest mail to an address, of those whose subject matches, once it is there. */
  mailTo(address, subject = /./) {
    return eventually(`a mail to ${address}`, async () =>
      (await readOutbox(join(this.folder, "data/outbox")))
        .filter((mail) => mail.to.includes(address) && subject.test(mail.subject))
        .at(-1),
    );
  }

  async stop() {
    const running = this.process && this.process.exitCode === null && this.process.signalCode === null;
    if (running) {
      const closed = once(this.process, "close");
      this.process.kill("SIGTERM");
      const impatience = setTimeout(() => this.process.kill("SIGKILL"), 15_000);
      await closed;
      clearTimeout(impatience);
    }
    await this.databases.drop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}
