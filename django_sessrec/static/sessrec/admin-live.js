// Keeps what a running training shows up to date, without a reload that would lose the reader's place.

const SHORTEST_PAUSE = 2 // seconds, after a change
const LONGEST_PAUSE = 30 // where nothing changes: no worker may be there, and the page stands open overnight
const LONGER = 1.25
const QUEUED = "#sessrec-queued" // this page was opened by queueing a training that has no row yet

const runs = (page) => page.querySelector("[data-sessrec-running]")
const newest = (page) => page.querySelector("[data-sessrec-live]")?.id

let pause = SHORTEST_PAUSE

/** Take over what has changed; whether anything has. */
async function refresh() {
  const answer = await fetch(location.href)
  if (!answer.ok || answer.redirected) return false // signed out, or the row is gone: leave the page as it is
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html")
  // A quick training may have run and ended since the last look.
  if (location.hash === QUEUED && (runs(fresh) || newest(fresh) !== newest(document))) {
    history.replaceState(null, "", location.pathname + location.search)
    location.reload()
  }
  let changed = false
  for (const part of document.querySelectorAll("[data-sessrec-live]")) {
    const newer = fresh.getElementById(part.id)
    if (!newer) continue
    for (const summary of part.querySelectorAll("details[open] > summary[id]"))
      newer.querySelector(`#${summary.id}`)?.parentElement.setAttribute("open", "")
    if (newer.outerHTML === part.outerHTML) continue
    part.replaceWith(document.adoptNode(newer))
    changed = true
  }
  return changed
}

async function watch() {
  if (!runs(document) && location.hash !== QUEUED) return
  const unseen = document.hidden // nothing is asked, and who comes back waits little
  const changed = !unseen && (await refresh().catch(() => false)) // the server may be restarting: try again
  pause = changed || unseen ? SHORTEST_PAUSE : Math.min(LONGER * pause, LONGEST_PAUSE)
  setTimeout(watch, pause * 1000)
}

setTimeout(watch, pause * 1000)
