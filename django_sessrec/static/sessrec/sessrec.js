/**
 * Fills the placeholders of cached pages from the shop's own server, and records the view that the cache
 * answered. Before consent it neither stores nor records anything.
 */

const VIEWED = "view_item", SELECTED = "select_item";
let recorded = 0;

async function fill(placeholder) {
  const response = await fetch(placeholder.dataset.sessrecSlot, { credentials: "same-origin" });
  if (!response.ok) return;
  placeholder.innerHTML = await response.text();
  placeholder.dispatchEvent(new CustomEvent("sessrec:filled", { bubbles: true }));
  if (response.headers.get("Sessrec-Consent") === "session" && placeholder.dataset.sessrecView) {
    record(placeholder.dataset);
  }
}

function record({ sessrecView: item_id, sessrecEvents: url }) {
  const [rec_id, index] = (new URLSearchParams(location.search).get("sessrec") ?? "").split(".");
  const events = [];
  if (index) events.push({ event_id: uuid7(), event: SELECTED, rec_id, items: [{ item_id, index: Number(index) }] });
  events.push({ event_id: uuid7(), event: VIEWED, items: [{ item_id }] });
  send(url, JSON.stringify({ sent_at: new Date().toISOString(), events }));
}

/** The request outlives the page. */
function send(url, body) {
  const type = "application/json";
  if ("keepalive" in Request.prototype) {
    fetch(url, { method: "POST", keepalive: true, credentials: "same-origin", headers: { "Content-Type": type }, body })
      .catch(() => {});
  } else {
    navigator.sendBeacon(url, new Blob([body], { type }));
  }
}

/** RFC 9562: 48 bits of milliseconds, a counter that keeps the order within one, and random bits. */
function uuid7() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const now = Date.now();
  for (let i = 0; i < 6; i++) bytes[i] = Math.floor(now / 2 ** (40 - 8 * i));
  bytes[6] = 0x70;
  bytes[7] = recorded++;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

if (document.prerendering) {
  await new Promise((seen) => document.addEventListener("prerenderingchange", seen, { once: true }));
}
// The first answer may bring the session's cookie; asked together, every placeholder would start its own session.
const [first, ...others] = document.querySelectorAll("[data-sessrec-slot]");
if (first) {
  await fill(first).catch(() => {});
  await Promise.allSettled(others.map(fill));
}
