// What a person with a screen reader or a keyboard stumbles over on the page in view.
() => {
  const wrong = [], shop = !location.pathname.startsWith("/admin/")
  for (const image of document.images) if (!image.hasAttribute("alt")) wrong.push(`no alt: ${image.src}`)
  for (const field of document.querySelectorAll("input:not([type=hidden], [type=submit]), select, textarea"))
    if (!field.labels.length && !field.ariaLabel) wrong.push(`no label: ${field.outerHTML}`)
  for (const button of document.querySelectorAll("button, a[href]"))
    if (!button.textContent.trim() && !button.ariaLabel && !button.querySelector("img[alt]:not([alt=''])"))
      wrong.push(`no name: ${button.outerHTML}`)
  const levels = [...document.querySelectorAll("main :is(h1, h2, h3, h4)")].map((h) => +h.tagName[1])
  if (shop && levels.filter((level) => level === 1).length !== 1) wrong.push(`not one h1: ${levels}`)
  if (shop && levels.some((level, n) => level > (levels[n - 1] ?? 0) + 1)) wrong.push(`skips: ${levels}`)
  return wrong
}
