"""A small incident app on Slack's own Python libraries, run against the practice workspace.

It proves that the workspace speaks Slack's protocol as Slack's own clients understand it, so that the bot and the
workspace cannot share one misunderstanding. The Rust test `eyes::bolt` starts it and plays the people.

Needs slack_bolt and slack_sdk. Reads SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN; prints one line when it listens.
"""

import os
import sys

from slack_bolt import App
from slack_bolt.adapter.socket_mode import SocketModeHandler
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

client = WebClient(token=os.environ["SLACK_BOT_TOKEN"], base_url=os.environ["SLACK_API_URL"] + "/")
app = App(client=client)

CARD = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*SEV2* checkout returns 500"}},
    {
        "type": "actions",
        "elements": [
            {
                "type": "button",
                "action_id": "acknowledge",
                "style": "primary",
                "value": "ack inc_1",
                "text": {"type": "plain_text", "text": "Acknowledge"},
            }
        ],
    },
]

MODAL = {
    "type": "modal",
    "callback_id": "declare",
    "title": {"type": "plain_text", "text": "Declare"},
    "submit": {"type": "plain_text", "text": "Declare"},
    "blocks": [
        {
            "type": "input",
            "block_id": "title",
            "label": {"type": "plain_text", "text": "Title"},
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}

for block in CARD:
    Block.parse(block).to_dict()
View(**MODAL).to_dict()


@app.command("/incident")
def incident(ack, body, client):
    ack("Opening the form")
    client.views_open(trigger_id=body["trigger_id"], view=MODAL)


@app.view("declare")
def declare(ack, body, view, client):
    title = view["state"]["values"]["title"]["text"]["value"]
    if len(title) < 5:
        ack(response_action="errors", errors={"title": "Say a little more."})
        return
    ack()
    user = body["user"]["id"]
    channel = client.conversations_create(name="inc-1-checkout")["channel"]["id"]
    try:
        client.conversations_create(name="inc-1-checkout")
    except SlackApiError as error:
        assert error.response["error"] == "name_taken", error.response
    client.conversations_invite(channel=channel, users=[user])
    client.conversations_setTopic(channel=channel, topic=title)
    card = client.chat_postMessage(
        channel=channel,
        text="SEV2 checkout returns 500",
        blocks=CARD,
        metadata={"event_type": "card", "event_payload": {"incident": "inc_1"}},
    )
    client.pins_add(channel=channel, timestamp=card["ts"])
    client.reactions_add(channel=channel, timestamp=card["ts"], name="fire")
    client.bookmarks_add(channel_id=channel, title="Runbook", type="link", link="https://example.com/runbook")
    client.files_upload_v2(channel=channel, filename="timeline.md", content="14:02 declared\n", initial_comment="Timeline")
    names = [found["name"] for page in client.conversations_list(limit=1) for found in page["channels"]]
    assert "inc-1-checkout" in names, names
    assert client.users_info(user=user)["user"]["id"] == user
    client.views_publish(user_id=user, view={"type": "home", "blocks": CARD})


@app.action("acknowledge")
def acknowledge(ack, body, client, respond, say):
    ack()
    who = body["user"]["id"]
    client.chat_update(
        channel=body["channel"]["id"],
        ts=body["message"]["ts"],
        text=f"Acknowledged by <@{who}>",
        blocks=[{"type": "section", "text": {"type": "mrkdwn", "text": f"Acknowledged by <@{who}>"}}],
    )
    respond("Thank you", response_type="ephemeral", replace_original=False)
    say(text="The page was stopped", thread_ts=body["message"]["ts"])


@app.shortcut("declare")
def shortcut(ack, shortcut, client):
    ack()
    client.views_open(trigger_id=shortcut["trigger_id"], view=MODAL)


@app.event("app_home_opened")
def home(event, client):
    client.views_publish(user_id=event["user"], view={"type": "home", "blocks": CARD})


@app.event("app_mention")
def mention(event, say):
    say(text=f"Hello <@{event['user']}>", thread_ts=event["ts"])


@app.event("message")
def message(body, logger):
    logger.info(body["event_id"])


@app.error
def failed(error, body):
    print(f"FAILED {error!r} on {body.get('type')}", flush=True)


def main():
    assert client.auth_test()["ok"]
    handler = SocketModeHandler(app, os.environ["SLACK_APP_TOKEN"], web_client=client)
    handler.connect()
    print("listening", flush=True)
    # The test ends this process by closing its standard input.
    sys.stdin.read()
    handler.close()


if __name__ == "__main__":
    main()
