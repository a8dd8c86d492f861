// The visitor's favourites: hearts, the filter, and what is sent to the photographer.
const at = (selector) => document.querySelector(selector);
const picked = new Set(); // as the page shows it
const stored = new Set(); // as the server last said
const waiting = new Map(); // photo → how many of its changes are under way
const hearts = new Map(); // photo → its heart on the grid
let here = "";
let prepare = null;
let refresh = null;
let limit = null;
let ready = false;
let inViewer = null;
let last = Promise.resolve();

/** Ask what was picked before, and show hearts from then on. `ways` are the page's own functions. */
export async function begin(address, ways) {
  [here, { prepare, refresh }] = [address, ways];
  if (!(await sync())) return;
  ready = true;
  for (const heart of document.querySelectorAll(".heart")) heart.hidden = false;
  at(".picks").hidden = false;
}

/** A heart for a photo's place on the grid. */
export function heart(photo) {
  const button = document.createElement("button");
  button.className = "heart";
  button.type = "button";
  button.hidden = !ready;
  button.setAttribute("aria-label", `Favourite: ${photo.filename}`);
  button.append(at(".viewer .heart svg").cloneNode(true));
  button.onclick = () => toggle(photo.photo_id);
  hearts.set(photo.photo_id, button);
  paint(photo.photo_id);
  return button;
}

/** The viewer shows this photo now. */
export function follow(photo) {
  inViewer = photo.photo_id;
  at(".viewer .heart").setAttribute("aria-label", `Favourite: ${photo.filename}`);
  paint(inViewer);
}

export const filtering = () => at(".picks").getAttribute("aria-pressed") === "true";
export const isPicked = (photo) => picked.has(photo.photo_id);

/** Pick a photo or take it back: at once on the page, then on the server, one after the other. */
export function toggle(id = inViewer) {
  if (!ready || !id) return;
  const wanted = !picked.has(id);
  if (wanted && limit !== null && picked.size >= limit) {
    return tell(`You can pick ${limit} photo${limit === 1 ? "" : "s"} here. Take one back to pick another.`);
  }
  mark(id, wanted);
  waiting.set(id, (waiting.get(id) || 0) + 1);
  // In turn, because the first answer brings the cookie that the second needs.
  last = last.then(() => send(id, wanted));
}

async function send(id, wanted) {
  const failed = await change(id, wanted);
  waiting.set(id, waiting.get(id) - 1);
  if (!waiting.get(id)) waiting.delete(id);
  if (failed === null) {
    stored[wanted ? "add" : "delete"](id);
    return at(".sent").classList.add("changed");
  }
  if (!waiting.has(id)) mark(id, stored.has(id));
  tell(failed);
  if (!waiting.size) await sync();
}

/** What went wrong, null when nothing did. */
async function change(id, wanted) {
  const method = wanted ? "PUT" : "DELETE";
  const answer = await fetch(`${here}/favourites/${id}`, { method }).catch(() => null);
  if (answer?.ok) return null;
  return (await answer?.json().catch(() => null))?.detail || "This could not be saved. Please try again in a moment.";
}

async function sync() {
  const answer = await fetch(`${here}/favourites`, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return false;
  const body = await answer.json();
  limit = body.limit;
  stored.clear();
  for (const id of body.photo_ids) stored.add(id);
  for (const id of new Set([...picked, ...stored])) if (!waiting.has(id)) mark(id, stored.has(id));
  told(body);
  count();
  return true;
}

function mark(id, wanted) {
  picked[wanted ? "add" : "delete"](id);
  paint(id);
  count();
}

function paint(id) {
  const pressed = String(picked.has(id));
  hearts.get(id)?.setAttribute("aria-pressed", pressed);
  if (id === inViewer) at(".viewer .heart").setAttribute("aria-pressed", pressed);
}

function count() {
  const many = limit === null ? `${picked.size}` : `${picked.size} of ${limit}`;
  at(".picks span").textContent = `Favourites (${many})`;
  at(".none").hidden = picked.size > 0;
  for (const one of document.querySelectorAll(".take .mine, .take .say")) one.hidden = !picked.size;
  if (at(".mine").dataset.off) at(".mine").hidden = true;
}

/** Whether favourites may be downloaded at all. */
export function offered(allowed) {
  at(".mine").href = `${here}/download/all?selection=mine`;
  at(".mine").dataset.off = allowed ? "" : "yes";
  count();
}

at(".viewer .heart").onclick = () => toggle();

at(".picks").onclick = () => {
  at(".picks").setAttribute("aria-pressed", String(!filtering()));
  at(".take").hidden = !filtering();
  refresh();
};

at(".mine").onclick = async (event) => {
  event.preventDefault();
  const link = at(".mine");
  if (link.dataset.busy) return;
  link.dataset.busy = "yes";
  await last; // what was picked a moment ago comes along
  const head = await fetch(link.href, { method: "HEAD" }).catch(() => null);
  if (head?.status === 202 || head?.status === 409) await prepare(link); // it waits, or says why not
  else if (head?.ok) location.assign(link.href);
  else tell("This download is not available just now.");
  link.textContent = "Download favourites";
  delete link.dataset.busy;
};

at(".say").onclick = () => {
  at(".toast").hidden = true;
  at(".send").showModal();
};
at(".send .cancel").onclick = () => at(".send").close();
at(".send form").onsubmit = async (event) => {
  event.preventDefault();
  const [form, button] = [event.target, at(".send [type=submit]")];
  at(".send .wrong").textContent = "";
  button.disabled = true;
  await last;
  const given = Object.fromEntries(new FormData(form));
  const answer = await fetch(`${here}/selection`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(given),
  }).catch(() => null);
  button.disabled = false;
  const body = await answer?.json().catch(() => null);
  if (!answer?.ok) return (at(".send .wrong").textContent = body?.detail || "This could not be sent. Please try again.");
  at(".send").close();
  told(body);
  at(".sent").classList.remove("changed");
  tell("Your favourites are with your photographer. Thank you!");
};

/** What was sent before, and when. */
function told({ submitted_at: sent, note, name }) {
  at(".sent").hidden = !sent;
  if (!sent) return;
  at(".sent time").dateTime = sent;
  at(".sent time").textContent = new Date(sent).toLocaleDateString(undefined, { dateStyle: "medium" });
  at(".say").textContent = "Send again";
  at(".send [name=note]").value = note;
  at(".send [name=name]").value = name || "";
}

let hiding = 0;
/** A message over whatever is open; a dialog would cover it otherwise. */
function tell(text) {
  const toast = at(".toast");
  (at("dialog[open]") || document.body).append(toast);
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => (toast.hidden = true), 6000);
}
