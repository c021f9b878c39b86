// Keeps what a running training shows up to date, without a reload that would lose the reader's place.

const SECONDS_BETWEEN = 2
const QUEUED = "#sessrec-queued" // this page was opened by queueing a training that has no row yet

const runs = (page) => page.querySelector("[data-sessrec-running]")
const newest = (page) => page.querySelector("[data-sessrec-live]")?.id

async function refresh() {
  const answer = await fetch(location.href)
  if (!answer.ok || answer.redirected) return // signed out, or the row is gone: leave the page as it is
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html")
  // A quick training may have run and ended since the last look.
  if (location.hash === QUEUED && (runs(fresh) || newest(fresh) !== newest(document))) {
    history.replaceState(null, "", location.pathname + location.search)
    location.reload()
  }
  for (const part of document.querySelectorAll("[data-sessrec-live]")) {
    const newer = fresh.getElementById(part.id)
    if (newer && newer.outerHTML !== part.outerHTML) part.replaceWith(document.adoptNode(newer))
  }
}

async function watch() {
  if (!runs(document) && location.hash !== QUEUED) return
  if (!document.hidden) await refresh().catch(() => {}) // the server may be restarting: try again
  setTimeout(watch, SECONDS_BETWEEN * 1000)
}

setTimeout(watch, SECONDS_BETWEEN * 1000)
