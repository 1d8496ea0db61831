"""The one page of the sample, as text; no template engine, no file from elsewhere."""

from __future__ import annotations

import html
import json
from typing import TypedDict


class Choice(TypedDict):
    code: str
    text: str
    votes: int


class View(TypedDict):
    """What the page shows; also the body of GET /api/view."""

    emoji: list[Choice]
    messages: list[str]
    bot: dict[str, int]


def render(view: View) -> str:
    """The page with `view` already in it; its script refreshes the numbers every two seconds."""
    cards = "".join(
        f'<button data-code="{html.escape(e["code"])}"><b>{html.escape(e["text"])}</b>'
        f"<span>:{html.escape(e['code'])}:</span><i>{e['votes']}</i></button>"
        for e in view["emoji"]
    )
    # "</" would end the script element early, whatever the JSON string around it says.
    first = json.dumps(view).replace("</", "<\\/")
    return _PAGE.replace("{cards}", cards).replace("{first}", first)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Emoji vote</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem;color:#223}
h1{margin-bottom:0}p{color:#667;margin-top:.2rem}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(7rem,1fr));gap:.7rem}
button{font:inherit;border:1px solid #ccd;border-radius:.7rem;background:#fff;padding:.6rem;
cursor:pointer;display:grid;justify-items:center}
button:hover{background:#eef4ff;border-color:#88f}
b{font-size:2.2rem;font-weight:400}span{color:#889;font-size:.8rem}i{font-style:normal}
#said{min-height:1.6rem;font-weight:600;margin:1rem 0}.bad{color:#b02}.good{color:#074}
ul{color:#667;font-size:.9rem;padding-left:1.2rem}
</style></head><body>
<h1>Emoji vote</h1>
<p>Pick your favourite. Every click goes through the mesh: web, emoji, voting, chat.</p>
<main>{cards}</main><div id="said" role="status"></div>
<h2>Chat</h2><ul id="chat"></ul><p id="bot"></p>
<script>
const said = document.getElementById("said");
function show(view) {
  for (const e of view.emoji) {
    const count = document.querySelector(`[data-code="${e.code}"] i`);
    if (count) count.textContent = e.votes;
  }
  const items = view.messages.map(text => {
    const li = document.createElement("li"); li.textContent = text; return li;
  });
  document.getElementById("chat").replaceChildren(...items);
  document.getElementById("bot").textContent =
    `The bot has cast ${view.bot.votes || 0} votes and written ${view.bot.messages || 0} messages.`;
}
async function refresh() {
  try { show(await (await fetch("api/view")).json()); } catch (error) { /* next tick */ }
}
document.querySelector("main").addEventListener("click", async event => {
  const button = event.target.closest("button");
  if (!button) return;
  const reply = await fetch("api/vote/" + button.dataset.code, {method: "POST"});
  const vote = reply.ok ? await reply.json() : {counted: false, reason: "HTTP " + reply.status};
  said.className = vote.counted ? "good" : "bad";
  said.textContent = vote.counted ? `Thank you for :${button.dataset.code}:`
    : `Your vote for :${button.dataset.code}: was not counted (${vote.reason})`;
  refresh();
});
show({first});
setInterval(refresh, 2000);
</script></body></html>
"""
