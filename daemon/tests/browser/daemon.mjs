// A daemon of its own for a test: the shipped configuration in a temporary folder, changed as asked, on a free port.
// And a way to it that can break.

import { spawn } from "node:child_process";
import { connect, createServer } from "node:net";
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

// Longest that starting may take.
const START_MS = 30_000;

export class Daemon {
  // `change` makes the test's configuration of the shipped one.
  static async start(binary, root, change = (text) => text) {
    const daemon = new Daemon();
    daemon.folder = mkdtempSync(join(tmpdir(), "voice-streamer-browser-"));
    daemon.text = change(readFileSync(join(root, "config.toml"), "utf8"));
    daemon.write(daemon.text);
    daemon.log = [];
    daemon.child = spawn(binary, ["run", "--config", daemon.file, "--listen", "127.0.0.1:0", "--state", join(daemon.folder, "state")], {
      env: { ...process.env, RUST_LOG: "info", NO_COLOR: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ready = new Promise((resolve, reject) => {
      createInterface({ input: daemon.child.stderr }).on("line", (line) => {
        daemon.log.push(line);
        const found = /webhook"?[=:]"?(http:\/\/[^/]+)\//.exec(line);
        if (found) resolve(found[1]);
      });
      daemon.child.on("exit", (code) => reject(new Error(`the daemon ended (${code}):\n${daemon.log.join("\n")}`)));
      setTimeout(() => reject(new Error(`the daemon is not ready:\n${daemon.log.join("\n")}`)), START_MS).unref();
    });
    daemon.url = (await ready).replace("127.0.0.1", "localhost");
    return daemon;
  }

  get file() {
    return join(this.folder, "config.toml");
  }

  // As editors save: a new file takes the old one's name.
  write(text) {
    writeFileSync(`${this.file}.new`, text);
    renameSync(`${this.file}.new`, this.file);
  }

  // Edits the configuration in force.
  edit(change) {
    const text = change(this.text);
    if (text === this.text) throw new Error("the edit changes nothing");
    this.write(text);
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.removeAllListeners("exit");
    this.child.once("exit", () => {});
    this.child.kill("SIGKILL");
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 2000))]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// A port that leads to the daemon, until it is cut.
export class Way {
  static async to(daemon) {
    const way = new Way();
    way.open = new Set();
    way.server = createServer((here) => {
      const there = connect(Number(new URL(daemon.url).port), "127.0.0.1");
      here.pipe(there).pipe(here);
      for (const [one, other] of [[here, there], [there, here]]) {
        way.open.add(one);
        one.on("error", () => {});
        one.on("close", () => {
          way.open.delete(one);
          other.destroy();
        });
      }
    });
    way.port = await way.listen(0);
    way.url = `http://localhost:${way.port}`;
    return way;
  }

  listen(port) {
    return new Promise((resolve) => this.server.listen(port, "127.0.0.1", () => resolve(this.server.address().port)));
  }

  // Every connection breaks, and for so long there are no new ones.
  async cut(ms) {
    const closed = new Promise((resolve) => this.server.close(resolve));
    for (const socket of this.open) socket.resetAndDestroy();
    await closed;
    await new Promise((resolve) => setTimeout(resolve, ms));
    await this.listen(this.port);
  }
}
