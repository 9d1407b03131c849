"""Lets each client send its messages to a server on loopback and writes the requests down, with the client's name and version."""

import base64
import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from importlib.metadata import version

script, target = sys.argv[1], pathlib.Path(sys.argv[2])
seen = []


class Capture(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = urllib.parse.urlsplit(self.path)
        seen.append({
            "path": url.path,
            # Split and decoded once: what was encoded twice stays visible.
            "query": dict(urllib.parse.parse_qsl(url.query)),
            "content_type": self.headers.get("Content-Type"),
            "body": json.loads(body),
        })
        answer = b'{"errcode":0,"errmsg":"ok","StatusCode":0,"code":0,"msg":"success"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Capture)
threading.Thread(target=server.serve_forever, daemon=True).start()
base = f"http://127.0.0.1:{server.server_port}"


def record(client, known_version, names):
    """Writes what was seen since the last time; one request for each name."""
    assert len(seen) == len(names), (client, names, seen)
    requests = [{"name": name, **request} for name, request in zip(names, seen)]
    text = json.dumps({"client": client, "version": known_version, "requests": requests}, ensure_ascii=False, indent=1)
    (target / f"{client}.json").write_text(text + "\n", encoding="utf-8")
    seen.clear()


def dingtalk_chatbot():
    from dingtalkchatbot.chatbot import ActionCard, CardItem, DingtalkChatbot

    signed = DingtalkChatbot(f"{base}/robot/send?access_token=TOKEN", secret="SECtest")
    signed.send_text("db-1 告警", at_mobiles=["13800000000"], is_auto_at=True)
    bot = DingtalkChatbot(f"{base}/robot/send?access_token=TOKEN")
    bot.send_text("db-1 is down", is_at_all=True)
    bot.send_markdown("db-1", "### db-1\n\nis **down**", at_mobiles=["13800000000"], is_auto_at=True)
    bot.send_link("db-1", "is down", "https://x.test/db-1", "https://x.test/p.png")
    one = [CardItem(title="read", url="https://x.test")]
    bot.send_action_card(ActionCard("db-1", "is **down**", one, btn_orientation=1, hide_avatar=1))
    two = [CardItem(title="yes", url="https://x.test/y"), CardItem(title="no", url="https://x.test/n")]
    bot.send_action_card(ActionCard("db-1", "is **down**", two))
    bot.send_feed_card([CardItem(title="a", url="https://x.test/a", pic_url="https://x.test/a.png")])
    names = ["signed text", "text to all", "markdown", "link", "action card", "action card with buttons", "feed card"]
    record("DingtalkChatbot", version("DingtalkChatbot"), names)


def dingtalk_robot_sender():
    subprocess.run(["node", script, base], check=True)
    names = ["signed text", "markdown", "link", "action card with buttons", "feed card"]
    record("dingtalk-robot-sender", "1.2.0", names)


def pylgb():
    from pylgb.bot import ImageBot, InteractiveBot, PostBot, TextBot

    hook = f"{base}/open-apis/bot/v2/hook/TOKEN"
    TextBot(hook, "testsecret").send("db-1 告警")
    TextBot(hook, "").send('db-1 is down <at user_id="all"></at>')
    PostBot(hook, "").send("db-1", [[{"tag": "text", "text": "is down "}, {"tag": "a", "text": "more", "href": "https://x.test"}]])
    ImageBot(hook, "").send("img_v2_1")
    card = {"header": {"title": {"tag": "plain_text", "content": "db-1"}}, "elements": [{"tag": "markdown", "content": "**down**"}]}
    InteractiveBot(hook, "").send(card)
    record("pylgb", version("pylgb"), ["signed text", "text to all", "post", "image", "card"])


def larkpy():
    from larkpy.webhook import LarkWebhook

    hook = LarkWebhook(f"{base}/open-apis/bot/v2/hook/TOKEN")
    hook.send_text("db-1 is down", title="db-1")
    hook.send_card("is **down**", title="db-1")
    record("larkpy", version("larkpy"), ["post", "card"])


def pywgb():
    from pywgb.bot import ImageBot, MarkdownBot, MarkdownBotV2, NewsBot, NewsCardBot, TextBot, TextCardBot
    from pywgb.bot import _abstract

    _abstract._Basic._API_BASE_URL = base
    key = "693a91f6-7aaa-4bc4-97a0-0ec2afa5aaa1"
    TextBot(key).send("db-1 告警", mentioned_list=["ann", "@all"], mentioned_mobile_list=["13800000000"])
    MarkdownBot(key).send("### db-1\nis **down**\n<@ann>")
    NewsBot(key).send(articles=[{"title": "db-1", "description": "is down", "url": "https://x.test", "picurl": "https://x.test/p.png"}])
    names = ["text", "markdown", "news", "markdown_v2"]
    MarkdownBotV2(key).send("| host | state |\n| --- | --- |\n| db-1 | down |")
    action = {"type": 1, "url": "https://x.test"}
    TextCardBot(key).send(main_title={"title": "db-1", "desc": "is down"}, card_action=action)
    NewsCardBot(key).send(main_title={"title": "db-1"}, card_image={"url": "https://x.test/p.png", "aspect_ratio": 1.5}, card_action=action)
    names += ["text card", "news card"]
    with tempfile.TemporaryDirectory() as folder:
        picture = pathlib.Path(folder) / "p.png"
        picture.write_bytes(base64.b64decode(
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="))
        ImageBot(key).send(file_path=picture)
    names.append("image")
    record("pywgb", version("pywgb"), names)


for send in [dingtalk_chatbot, dingtalk_robot_sender, pylgb, larkpy, pywgb]:
    send()
