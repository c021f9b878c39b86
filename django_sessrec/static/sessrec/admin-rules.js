// Suggestions for the fields that name products and values: the browser's own list, filled as one types.

const PAUSE = 200; // milliseconds after the last key
const form = document.querySelector("[data-sessrec-suggestions]");
const address = form?.dataset.sessrecSuggestions;

function attributeOf(field) {
    const chooser = document.getElementById(field.dataset.sessrecSuggestBy);
    return chooser ? chooser.value : field.dataset.sessrecSuggest;
}

async function options(field, text) {
    const attribute = attributeOf(field);
    if (!attribute) {
        return [];
    }
    try {
        const answer = await fetch(`${address}?${new URLSearchParams({attribute, q: text})}`, {credentials: "same-origin"});
        return answer.ok ? (await answer.json()).options : [];
    } catch {
        return []; // the server is away: what is typed counts as it is
    }
}

function suggest(input, field) {
    const list = document.createElement("datalist");
    list.id = `${input.id}_suggestions`;
    input.after(list);
    input.setAttribute("list", list.id);
    let timer;
    const fill = () => {
        clearTimeout(timer);
        timer = setTimeout(async () => {
            const text = input.value;
            const found = await options(field, text);
            if (input.value !== text) {
                return; // of an earlier key, and late
            }
            list.replaceChildren(...found.map(({value, label}) => {
                const option = document.createElement("option");
                option.value = value;
                option.label = label && label !== value ? `${label} (${value})` : value;
                return option;
            }));
        }, PAUSE);
    };
    input.addEventListener("input", fill);
    input.addEventListener("focus", fill);
}

// A field of several lines gets one above it whose choice becomes a new line.
function collect(area) {
    const input = document.createElement("input");
    input.type = "search";
    input.id = `${area.id}_find`;
    input.autocomplete = "off";
    input.setAttribute("aria-label", document.querySelector(`label[for="${area.id}"]`)?.textContent ?? "");
    input.placeholder = area.dataset.sessrecFind ?? "";
    area.before(input);
    suggest(input, area);
    const take = () => {
        const lines = area.value.split("\n").map((line) => line.trim()).filter(Boolean);
        if (input.value.trim() && !lines.includes(input.value.trim())) {
            area.value = [...lines, input.value.trim()].join("\n");
        }
        input.value = "";
    };
    input.addEventListener("change", take);
    input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") {
            event.preventDefault();
            take();
        }
    });
}

if (address) {
    document.querySelectorAll("input[data-sessrec-suggest]").forEach((input) => suggest(input, input));
    document.querySelectorAll("textarea[data-sessrec-suggest-by]").forEach(collect);
}
