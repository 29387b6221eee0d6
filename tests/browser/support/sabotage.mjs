// What breaks on a real platform, broken for real: a disk or a server that does not let an institution be set up.

import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { engine, superuser } from "./engine.mjs";

/** No institution can be set up from now on; `evenUndoing()` makes it worse, and `mend()` ends both. */
export async function breakSetUps(app) {
  return engine === "sqlite" ? onDisk(join(app.folder, "data")) : await onServer(app.databases);
}

// Plain files stand where folders belong.
async function onDisk(data) {
  const inTheWay = [];
  const stand = async (name) => {
    const place = join(data, name);
    await rename(place, `${place}-aside`).catch(() => {});
    await writeFile(place, "");
    inTheWay.push(place);
  };
  await stand("tenants");
  return {
    evenUndoing: () => stand("trash"),
    mend: async () => {
      for (const place of inTheWay) {
        await rm(place);
        await rename(`${place}-aside`, place).catch(() => {});
      }
    },
  };
}

// The template is gone from its place, and then the app may not touch roles any more.
async function onServer({ prefix, role }) {
  const [template] = await superuser(`SELECT datname FROM pg_database WHERE datistemplate AND starts_with(datname, '${prefix}')`);
  await superuser(`ALTER DATABASE "${template}" RENAME TO "${prefix}aside"`);
  return {
    evenUndoing: () => superuser(`ALTER ROLE ${role} NOCREATEROLE`),
    mend: async () => {
      await superuser(`ALTER DATABASE "${prefix}aside" RENAME TO "${template}"`);
      await superuser(`ALTER ROLE ${role} CREATEROLE`);
    },
  };
}
