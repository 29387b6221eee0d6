// Where the app of a journey keeps its databases: files of its own, or databases of its own on the test server.

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { promisify } from "node:util";

const run = promisify(execFile);

export const engine = process.env.PROVOST_TEST_ENGINE || "sqlite";

/**
 * Environment for the app, and `drop()` that leaves nothing behind on the server. With `ownRole` the app has a role
 * of its own on the server, which a journey may hamper without touching anybody else's.
 */
export async function freshDatabases({ ownRole = false } = {}) {
  if (engine === "sqlite") return { env: {}, drop: async () => {} };
  if (engine !== "postgres") throw new Error(`PROVOST_TEST_ENGINE is "${engine}"; it must be sqlite or postgres`);
  const server = process.env.PROVOST_TEST_POSTGRES_URL;
  if (!server) throw new Error("PROVOST_TEST_POSTGRES_URL is not set; scripts/test browser starts a server and sets it");

  const prefix = `test_${randomBytes(5).toString("hex")}_`;
  const url = new URL(server);
  if (ownRole) {
    url.username = `${prefix}app`;
    url.password = randomBytes(12).toString("hex");
    await superuser(`CREATE ROLE ${url.username} LOGIN CREATEDB CREATEROLE PASSWORD '${url.password}'`);
    url.pathname = "/postgres";
  }
  await sql(url.href, `CREATE DATABASE ${prefix}shared`);
  url.pathname = `/${prefix}shared`;
  return {
    prefix,
    role: url.username,
    env: { PROVOST_DATABASE_URL: url.href, PROVOST_DATABASE_PREFIX: prefix },
    drop: () => dropAll(process.env.PROVOST_TEST_POSTGRES_SUPERUSER_URL || server, prefix),
  };
}

/** What only the server's owner may do. Returns the rows. */
export function superuser(statement) {
  return sql(process.env.PROVOST_TEST_POSTGRES_SUPERUSER_URL, statement);
}

// The app's own role goes last: it is who let the others in.
async function dropAll(server, prefix) {
  const like = `starts_with(%, '${prefix}')`;
  for (const name of await sql(server, `SELECT datname FROM pg_database WHERE ${like.replace("%", "datname")}`)) {
    await sql(server, `ALTER DATABASE "${name}" IS_TEMPLATE false`);
    await sql(server, `DROP DATABASE "${name}" WITH (FORCE)`);
  }
  for (const name of await sql(server, `SELECT rolname FROM pg_roles WHERE ${like.replace("%", "rolname")} ORDER BY rolcreaterole`)) {
    await sql(server, `DROP OWNED BY "${name}"`);
    await sql(server, `DROP ROLE "${name}"`);
  }
}

async function sql(server, statement) {
  const url = new URL(server);
  const password = decodeURIComponent(url.password);
  url.password = "";
  const options = { env: { ...process.env, PGPASSWORD: password } };
  const { stdout } = await run(psql(), ["-qXAt", "-v", "ON_ERROR_STOP=1", "-d", url.href, "-c", statement], options);
  return stdout.split("\n").filter(Boolean);
}

function psql() {
  const root = "/usr/lib/postgresql";
  const newest = readdirSync(root).sort((a, b) => Number(b) - Number(a))[0];
  return `${root}/${newest}/bin/psql`;
}
