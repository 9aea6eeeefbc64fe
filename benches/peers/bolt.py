"""A Bolt app for Python (asyncio), to measure beside Vigie: it keeps every command in its database, as safely as Vigie
does, and then acknowledges it. It does nothing else.

Needs slack_bolt, aiohttp, aiosqlite and asyncpg. Reads SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN and DATABASE_URL
(sqlite:// or postgres://); prints one line when it hears, and ends when its standard input does.
"""

import asyncio
import json
import os
import sys
import time

import aiosqlite
import asyncpg
from slack_bolt.adapter.socket_mode.async_handler import AsyncSocketModeHandler
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

INBOX = """CREATE TABLE inbox (
    position   {key},
    source     TEXT NOT NULL UNIQUE,
    channel    TEXT,
    input      TEXT NOT NULL,
    state      TEXT NOT NULL,
    arrived_at BIGINT NOT NULL
)"""
FIELDS = "INSERT INTO inbox (source, channel, input, state, arrived_at)"


async def sqlite(path):
    # Without a transaction of its own, every statement is one: it is committed when it returns.
    database = await aiosqlite.connect(path, isolation_level=None)
    await database.execute("PRAGMA journal_mode = WAL")
    await database.execute("PRAGMA synchronous = FULL")
    await database.execute(INBOX.format(key="INTEGER PRIMARY KEY AUTOINCREMENT"))
    insert = f"{FIELDS} VALUES (?, ?, ?, 'new', ?) ON CONFLICT DO NOTHING"

    async def keep(*row):
        await database.execute(insert, row)

    return keep


async def postgres(url):
    pool = await asyncpg.create_pool(url)
    await pool.execute(INBOX.format(key="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"))
    insert = f"{FIELDS} VALUES ($1, $2, $3, 'new', $4) ON CONFLICT DO NOTHING"

    async def keep(*row):
        await pool.execute(insert, *row)

    return keep


async def main():
    url = os.environ["DATABASE_URL"]
    keep = await (sqlite(url.removeprefix("sqlite://")) if url.startswith("sqlite://") else postgres(url))
    client = AsyncWebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"] + "/")
    app = AsyncApp(client=client)

    @app.command("/incident")
    async def incident(ack, body):
        await keep(body["trigger_id"], body["channel_id"], json.dumps(body), time.time_ns() // 1_000_000)
        await ack()

    handler = AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"])
    await handler.connect_async()
    print("listening", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)


asyncio.run(main())
