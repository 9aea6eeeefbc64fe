// A Bolt app for JavaScript, to measure beside Vigie: it keeps every command in its database, as safely as Vigie does,
// and then acknowledges it. It does nothing else, unless it is told to answer: then it tells whoever typed the command
// what Vigie would, by the command's response_url, and notes in its database that this is done.
//
// Needs @slack/bolt, better-sqlite3 and pg (NODE_PATH). Reads SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN and
// DATABASE_URL (sqlite:// or postgres://), and the word "answering" behind its name; prints one line when it hears, and
// ends when its standard input does.
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
const DONE = "UPDATE inbox SET state = 'done' WHERE source = ";

function sqlite(file) {
  const Database = require("better-sqlite3");
  const database = new Database(file);
  database.pragma("journal_mode = WAL");
  database.pragma("synchronous = FULL");
  database.exec(INBOX.replace("__KEY__", "INTEGER PRIMARY KEY AUTOINCREMENT"));
  const insert = database.prepare(`${FIELDS} VALUES (?, ?, ?, 'new', ?) ON CONFLICT DO NOTHING`);
  const done = database.prepare(`${DONE} ?`);
  return { keep: async (row) => insert.run(row), finish: async (source) => done.run(source) };
}

async function postgres(url) {
  const { Pool } = require("pg");
  const pool = new Pool({ connectionString: url });
  await pool.query(INBOX.replace("__KEY__", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"));
  const text = `${FIELDS} VALUES ($1, $2, $3, 'new', $4) ON CONFLICT DO NOTHING`;
  return {
    keep: (values) => pool.query({ name: "receive", text, values }),
    finish: (source) => pool.query({ name: "finish", text: `${DONE} $1`, values: [source] }),
  };
}

async function main() {
  const url = process.env.DATABASE_URL;
  const inbox = url.startsWith("sqlite://") ? sqlite(url.slice("sqlite://".length)) : await postgres(url);
  const answers = process.argv[2] === "answering";
  const app = new App({
    token: process.env.SLACK_BOT_TOKEN,
    appToken: process.env.SLACK_APP_TOKEN,
    socketMode: true,
    logLevel: LogLevel.ERROR,
    clientOptions: { slackApiUrl: `${process.env.SLACK_API_URL}/` },
  });
  app.command("/incident", async ({ ack, body, respond }) => {
    await inbox.keep([body.trigger_id, body.channel_id, JSON.stringify(body), Date.now()]);
    await ack();
    if (answers) {
      await respond({ response_type: "ephemeral", text: "No incident is open." });
      await inbox.finish(body.trigger_id);
    }
  });
  await app.start();
  process.stdin.on("end", () => process.exit(0)).resume();
  console.log("listening");
}

main();
