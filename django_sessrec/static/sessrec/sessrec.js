/**
 * Fills the placeholders of cached pages from the shop's own server, records the view that the cache answered,
 * and tells which lists were seen: half of one in view for a second. Before consent a list has no name to tell,
 * and nothing is stored or sent.
 */

const VIEWED = "view_item", SELECTED = "select_item", SEEN = "view_item_list";
const HALF = 0.5, LONG_ENOUGH = 1000; // the Media Rating Council's viewable impression
const STEPS = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1];
let recorded = 0;

async function fill(placeholder) {
  const response = await fetch(placeholder.dataset.sessrecSlot, { credentials: "same-origin" });
  if (!response.ok) return;
  placeholder.innerHTML = await response.text();
  placeholder.dispatchEvent(new CustomEvent("sessrec:filled", { bubbles: true }));
  if (response.headers.get("Sessrec-Consent") === "session" && placeholder.dataset.sessrecView) {
    recordView(placeholder.dataset.sessrecView);
  }
  watch(placeholder);
}

function recordView(item_id) {
  const [rec_id, index] = (new URLSearchParams(location.search).get("sessrec") ?? "").split(".");
  const items = [{ item_id }];
  const view = { event: VIEWED, items };
  record(index ? [{ event: SELECTED, rec_id, items: [{ item_id, index: Number(index) }] }, view] : [view]);
}

/** The request outlives the page. */
function record(events) {
  const url = document.querySelector("[data-sessrec-events]")?.dataset.sessrecEvents;
  if (!url) return;
  const named = events.map((event) => ({ event_id: uuid7(), ...event }));
  const body = JSON.stringify({ sent_at: new Date().toISOString(), events: named });
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

const unseen = new Map(); // list -> the timer that runs while enough of it is in view

/** A list taller than two screens never shows half of itself: it counts when it fills half of the screen. */
const inView = new IntersectionObserver((entries) => {
  for (const { target, intersectionRatio, intersectionRect } of entries) {
    const enough = intersectionRatio >= HALF || intersectionRect.height >= innerHeight / 2;
    if (!enough) stop(target);
    else if (!unseen.get(target) && !document.hidden) unseen.set(target, setTimeout(saw, LONG_ENOUGH, target));
  }
}, { threshold: STEPS });

function watch(root) {
  for (const list of root.querySelectorAll("[data-sessrec-rec]")) {
    if (unseen.has(list)) continue;
    unseen.set(list, 0);
    inView.observe(list);
    list.addEventListener("click", () => saw(list), { capture: true }); // who clicks at once has seen it, too
  }
}

function saw(list) {
  if (!unseen.has(list)) return;
  stop(list);
  unseen.delete(list);
  inView.unobserve(list);
  record([{ event: SEEN, rec_id: list.dataset.sessrecRec }]);
}

function stop(list) {
  clearTimeout(unseen.get(list));
  if (unseen.has(list)) unseen.set(list, 0);
}

/** In a tab behind others nothing is seen; in front again, the second begins anew. */
document.addEventListener("visibilitychange", () => {
  for (const list of unseen.keys()) {
    stop(list);
    inView.unobserve(list);
    inView.observe(list);
  }
});

if (document.prerendering) {
  await new Promise((seen) => document.addEventListener("prerenderingchange", seen, { once: true }));
}
watch(document);
// The first answer may bring the session's cookie; asked together, every placeholder would start its own session.
const [first, ...others] = document.querySelectorAll("[data-sessrec-slot]");
if (first) {
  await fill(first).catch(() => {});
  await Promise.allSettled(others.map(fill));
}
