// A Bolt app for JavaScript, to measure beside Vigie: it keeps every command in its database, as safely as Vigie does,
// and then acknowledges it. It does nothing else.
//
// Needs @slack/bolt, better-sqlite3 and pg (NODE_PATH). Reads SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN and
// DATABASE_URL (sqlite:// or postgres://); prints one line when it hears, and ends when its standard input does.
"use strict";

const { App, LogLevel } = require("@slack/bolt");

const INBOX = `CREATE TABLE inbox (
  position   __KEY__,
  source     TEXT NOT NULL UNIQUE,
  channel    TEXT,
  input      TEXT NOT NULL,
  state      TEXT NOT NULL,
  arrived_at BIGINT NOT NULL
)`;
const FIELDS = "INSERT INTO inbox (source, channel, input, state, arrived_at)";

function sqlite(file) {
  const Database = require("better-sqlite3");
  const database = new Database(file);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec(INBOX.replace("__KEY__", "INTEGER PRIMARY KEY AUTOINCREMENT"));
  const insert = database.prepare(`${FIELDS} VALUES (?, ?, ?, 'new', ?) ON CONFLICT DO NOTHING`);
  return async (row) => insert.run(row);
}

async function postgres(url) {
  const { Pool } = require("pg");
  const pool = new Pool({ connectionString: url });
  await pool.query(INBOX.replace("__KEY__", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"));
  const text = `${FIELDS} VALUES ($1, $2, $3, 'new', $4) ON CONFLICT DO NOTHING`;
  return (values) => pool.query({ name: "receive", text, values });
}

async function main() {
  const url = process.env.DATABASE_URL;
  const keep = url.startsWith("sqlite://") ? sqlite(url.slice("sqlite://".length)) : await postgres(url);
  const app = new App({
    token: process.env.SLACK_BOT_TOKEN,
    appToken: process.env.SLACK_APP_TOKEN,
    socketMode: true,
    logLevel: LogLevel.ERROR,
    clientOptions: { slackApiUrl: `${process.env.SLACK_API_URL}/` },
  });
  app.command("/incident", async ({ ack, body }) => {
    await keep([body.trigger_id, body.channel_id, JSON.stringify(body), Date.now()]);
    await ack();
  });
  await app.start();
  process.stdin.on("end", () => process.exit(0)).resume();
  console.log("listening");
}

main();
