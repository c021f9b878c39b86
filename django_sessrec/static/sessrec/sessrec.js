/**
 * Fills the placeholders of cached pages from the shop's own server, records the views that the server left to
 * the browser, and tells which lists were seen: half of one in view for a second. Pages that change without a
 * reload (Turbo, htmx, a framework's own) are followed. Before consent nothing is stored or sent.
 */

const VIEWED = "view_item", SELECTED = "select_item", SEEN = "view_item_list";
const HALF = 0.5, LONG_ENOUGH = 1000; // the Media Rating Council's viewable impression
const STEPS = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1];
const SLOT = "[data-sessrec-slot]:not([data-sessrec-filled])", LIST = "[data-sessrec-rec]";
const TAG = /([?&])sessrec=([\w-]+)\.(\d+)(&|(?=#)|$)/; // of a recommended link
const PATIENCE = 5000; // milliseconds for one list, before the next is asked for
const MOST_LEFT_OUT = 100, LONGEST_ADDRESS = 3500; // servers take lines of 4,000 characters and more
let recorded = 0, latestAnswer;
// consent: as the page's latest answer has it. views: products, each with the link that led to it, until one does
let page = { address: location.href, consent: "", views: [] };
const answered = new WeakSet(); // placeholders that hold the visitor's own list
const told = new Set(); // signed lists that were seen, and links that were clicked: each counts once

/**
 * One after another: the first answer may bring the session's cookie, and each list leaves out what those before
 * it show. One that never comes holds up none for longer than PATIENCE.
 */
function fill(placeholder) {
  placeholder.dataset.sessrecFilled = ""; // a framework that takes the page back from its memory brings it filled
  const shown = shownPage();
  const next = () => ask(placeholder, shown);
  latestAnswer = latestAnswer?.then(next) ?? next();
}

/** That of now: without a reload it gets another address, and what the visitor refused before may be agreed to. */
function shownPage() {
  const { address, consent } = page;
  if (address !== location.href)
    page = { address: location.href, consent: consent === "session" ? consent : "", views: [] };
  return page;
}

/** The placeholder's address, with what the page shows elsewhere; not with what stands in for another list. */
function addressOf(placeholder) {
  const elsewhere = [...document.querySelectorAll("[data-sessrec-item]")].filter((item) => {
    const around = item.closest("[data-sessrec-slot]");
    return around !== placeholder && (!around || answered.has(around));
  });
  const items = [...new Set(elsewhere.map((item) => item.dataset.sessrecItem))].slice(0, MOST_LEFT_OUT);
  let address = placeholder.dataset.sessrecSlot;
  for (const item of items) {
    const longer = `${address}${address.includes("?") ? "&" : "?"}${new URLSearchParams({ leave_out: item })}`;
    if (longer.length > LONGEST_ADDRESS) break;
    address = longer;
  }
  return address;
}

/**
 * An answer without a list says, too, whether views may be recorded: that of its own placeholder, and of those whose
 * answer never comes. What fails costs the list alone.
 */
async function ask(placeholder, shown) {
  const item = placeholder.dataset.sessrecView;
  if (item) shown.views.push([item, new URL(shown.address).searchParams.get("sessrec") ?? ""]);
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(), PATIENCE);
  try {
    const response = await fetch(addressOf(placeholder), { credentials: "include", signal: given.signal });
    shown.consent = response.headers.get("Sessrec-Consent") ?? shown.consent;
    recordViews(shown);
    if (!response.ok) return;
    placeholder.innerHTML = await response.text();
    answered.add(placeholder);
    placeholder.dispatchEvent(new CustomEvent("sessrec:filled", { bubbles: true }));
  } catch {
    recordViews(shown);
  } finally {
    clearTimeout(timer);
  }
}

function recordViews({ consent, views }) {
  if (consent) for (const view of views.splice(0)) if (consent === "session") recordView(...view);
}

function recordView(item_id, link) {
  const [rec_id, index] = link.split(".");
  const items = [{ item_id }];
  const view = { event: VIEWED, items };
  const click = { event: SELECTED, rec_id, items: [{ item_id, index: Number(index) }] };
  record(index && once(link) ? [click, view] : [view]);
}

/**
 * The click on a recommended link is recorded here, and its argument goes: the address is then the one that
 * caches know. Without this script, or where the list does not name its items, the server counts the click.
 */
function selected({ target, button }) {
  const link = button < 2 && target.closest?.(`${LIST} a[href*="sessrec="]`);
  const item_id = link && link.closest("[data-sessrec-item]")?.dataset.sessrecItem;
  const [, before, rec_id, index, after] = (item_id && TAG.exec(link.getAttribute("href"))) || [];
  if (!rec_id || !eventsAddress()) return;
  link.setAttribute("href", link.getAttribute("href").replace(TAG, after && before));
  if (once(`${rec_id}.${index}`)) record([{ event: SELECTED, rec_id, items: [{ item_id, index: Number(index) }] }]);
}

for (const kind of ["click", "auxclick"]) addEventListener(kind, selected, { capture: true });

function once(what) {
  return told.size < told.add(what).size;
}

function eventsAddress() {
  return document.querySelector("[data-sessrec-events]")?.dataset.sessrecEvents;
}

/** The request outlives the page. */
function record(events) {
  const url = eventsAddress();
  if (!url) return;
  const named = events.map((event) => ({ event_id: uuid7(), ...event }));
  const body = JSON.stringify({ sent_at: new Date().toISOString(), events: named });
  const type = "application/json";
  if ("keepalive" in Request.prototype) {
    fetch(url, { method: "POST", keepalive: true, credentials: "include", headers: { "Content-Type": type }, body })
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

function watch(list) {
  if (unseen.has(list) || told.has(list.dataset.sessrecRec)) return;
  unseen.set(list, 0);
  inView.observe(list);
  list.addEventListener("click", () => saw(list), { capture: true }); // who clicks at once has seen it, too
}

function saw(list) {
  if (!unseen.has(list)) return;
  forget(list);
  if (once(list.dataset.sessrecRec)) record([{ event: SEEN, rec_id: list.dataset.sessrecRec }]);
}

function forget(list) {
  stop(list);
  unseen.delete(list);
  inView.unobserve(list);
}

function stop(list) {
  clearTimeout(unseen.get(list));
  if (unseen.has(list)) unseen.set(list, 0);
}

/** In a tab behind others nothing is seen; in front again, or taken back from memory, the second begins anew. */
document.addEventListener("visibilitychange", () => {
  for (const list of unseen.keys()) {
    stop(list);
    inView.unobserve(list);
    inView.observe(list);
  }
});

/** What is new in the page: all of it at first, later what a script has put there. */
function look(root) {
  for (const [selector, met] of [[SLOT, fill], [LIST, watch]]) {
    if (root.matches(selector)) met(root);
    root.querySelectorAll(selector).forEach(met);
  }
}

if (document.prerendering) {
  await new Promise((shown) => document.addEventListener("prerenderingchange", shown, { once: true }));
}
look(document.documentElement);
new MutationObserver((changes) => {
  for (const list of unseen.keys()) if (!list.isConnected) forget(list);
  if ("turboPreview" in document.documentElement.dataset) return; // the page as it was before, for a moment
  for (const { type, target, addedNodes } of changes) {
    for (const node of type === "attributes" ? [target] : addedNodes) {
      if (node.isConnected && node instanceof Element) look(node);
    }
  }
}).observe(document.documentElement, {
  childList: true,
  subtree: true,
  attributeFilter: ["data-sessrec-slot", "data-sessrec-filled", "data-sessrec-rec"], // morphed in place
});
