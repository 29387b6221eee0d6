// The mails that the app writes to its outbox folder when no SMTP server is configured.

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** Every mail in the folder, oldest first: `{ to, subject, text, links }`. */
export async function readOutbox(folder) {
  let names = [];
  try {
    names = await readdir(folder);
  } catch (error) {
    if (error.code !== "ENOENT") throw error;
  }
  const mails = names.filter((name) => name.endsWith(".eml")).sort();
  return Promise.all(mails.map(async (name) => parseMail(await readFile(join(folder, name)))));
}

export function parseMail(raw) {
  const { headers, body } = split(raw.toString("latin1"));
  const text = textOf(headers, body);
  return {
    to: headers.to ?? "",
    subject: decodeWords(headers.subject ?? ""),
    text,
    links: [...text.matchAll(/https?:\/\/[^\s"'<>]+/g)].map(([link]) => link.replaceAll("&amp;", "&").replace(/[.,;)]+$/, "")),
  };
}

// A mail is kept as Latin-1, one character a byte, until the part's own encoding is undone.
function split(mail) {
  const [head, ...rest] = mail.split(/\r?\n\r?\n/);
  const headers = {};
  for (const line of head.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { headers, body: rest.join("\r\n\r\n") };
}

function textOf(headers, body) {
  const type = headers["content-type"] ?? "text/plain";
  const boundary = /^multipart\/.*boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (boundary) {
    const parts = body.split(`--${boundary}`).slice(1, -1).map((part) => split(part.replace(/^\r?\n/, "")));
    return parts.map((part) => textOf(part.headers, part.body)).join("\n");
  }
  const encoding = (headers["content-transfer-encoding"] ?? "7bit").toLowerCase();
  if (encoding === "base64") return Buffer.from(body, "base64").toString("utf8");
  const bytes = encoding === "quoted-printable" ? fromQuotedPrintable(body.replace(/=\r?\n/g, "")) : body;
  return Buffer.from(bytes, "latin1").toString("utf8");
}

function fromQuotedPrintable(text) {
  return text.replace(/=([0-9A-F]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function decodeWords(header) {
  return header
    .replace(/\?=\s+=\?/g, "?==?")
    .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, how, word) =>
      how.toLowerCase() === "b"
        ? Buffer.from(word, "base64").toString("utf8")
        : Buffer.from(fromQuotedPrintable(word.replaceAll("_", " ")), "latin1").toString("utf8"),
    );
}
