// Downloads of many photos. A large ZIP is put together first: this waits for it, tells how far it is, and fetches it once.
const at = (selector) => document.querySelector(selector);
const json = { headers: { Accept: "application/json" }, redirect: "manual" };
const REMEMBERED_FOR = 3600000; // milliseconds: whoever comes back later is asked again
const store = `safelight-zip:${location.pathname.replace(/\/+$/, "")} `;
let turn = 0; // of the wait that counts: a later one ends an earlier

/** Show the button, with the size; go on with what was begun before the page was closed or reloaded. */
export async function offer(here) {
  const link = at(".all");
  if (!link.hidden) return;
  link.href = `${here}/download/all`;
  const told = await ask(statusOf(link.href));
  if (told.status === "refused") return;
  link.hidden = false;
  if (told.size) link.textContent = `Download all (${size(told.size)})`;
  // A small one is streamed at once: a link like any other, and nothing to wait for.
  if (told.parts !== 0) link.onclick = (event) => (event.preventDefault(), prepare(link));
  const before = begun();
  if (before) await wait(before, false);
}

/** Fetch the ZIP behind a link, after waiting for it where that is needed. */
export async function prepare(link) {
  remember(link.href);
  show("Asking for your ZIP …", null);
  at(".zip").scrollIntoView({ block: "center" }); // it stands above the photos, which one may have scrolled through
  await wait(link.href, true);
}

async function wait(href, asked) {
  const mine = ++turn;
  const whole = statusOf(href);
  let told = null;
  let url = whole;
  show("Asking for your ZIP …", null);
  for (;;) {
    const now = await ask(url);
    if (mine !== turn) return;
    // The one that was begun is there; whether the gallery is still the same is asked once, before it is fetched.
    if (now.status === "ready" && url !== whole) {
      url = whole;
      continue;
    }
    if (now.status === "absent" || (now.status === "failed" && asked)) Object.assign(now, await ask(href));
    if (mine !== turn) return;
    asked = false;
    if (now.status === "locked") return location.reload();
    if (now.status === "failed" || now.status === "refused") return failed(href, now);
    if (now.status === "ready") return start(href, now);
    if (now.status === "building") told = now;
    url = now.status_url || url;
    show(now.status === "building" ? BUILDING : OFFLINE, told);
    await pause(now.after || 3);
  }
}

const BUILDING = "Your ZIP is being put together. It goes on when you leave this page; come back and the download begins.";
const OFFLINE = "There is no connection just now. Your ZIP goes on being put together, and this page asks again by itself.";

/** What the server says: a status, or `offline`, `locked`, `refused` with the reason. */
async function ask(url) {
  const answer = await fetch(url, json).catch(() => null);
  const after = Number(answer?.headers.get("retry-after")) || 3;
  // A minute of waiting may be worth it without a word; more is said.
  if (!answer || answer.status >= 500 || (answer.status === 429 && after <= 60)) return { status: "offline", after };
  // The archive itself: it was finished between two questions. Not one byte of it is read here.
  if (answer.type === "opaqueredirect" || answer.headers.get("content-type") === "application/zip") {
    answer.body?.cancel();
    return { status: "ready", progress: 1 };
  }
  const body = await answer.json().catch(() => null);
  if (answer.ok && body) return { ...body, after };
  if (answer.status === 401) return { status: "locked" };
  if (body?.code === "archive_not_built") return { status: "failed", reason: body.detail };
  return { status: "refused", reason: body?.detail || "This download is not available just now." };
}

/** Begin the download: once, however many windows wait for it. */
async function start(href, told) {
  const claim = () => {
    if (!remembered(href)) return show("The download has been started in another window.", null, { over: true });
    forget(href);
    const large = told.size ? ` (${size(told.size)})` : "";
    show(`Your ZIP is ready, and the download${large} has started.`, null, { over: true });
    next("Download again", href);
    location.assign(href);
  };
  // Locks are only there over HTTPS; without them two windows would have to ask within the same millisecond.
  await (navigator.locks ? navigator.locks.request(store + href, claim) : claim());
}

function failed(href, { reason }) {
  forget(href);
  show(reason || "Your ZIP could not be put together. Please tell your photographer.", null, { over: true });
  at(".zip").classList.add("failed");
  next("Try again", href).onclick = (event) => (event.preventDefault(), prepare({ href }));
}

function next(text, href) {
  return Object.assign(at(".zip .again"), { hidden: false, textContent: text, href, onclick: null });
}

function show(message, told, { over = false } = {}) {
  const zip = at(".zip");
  zip.hidden = false;
  zip.classList.remove("failed");
  // Said aloud once, and not at every step.
  if (at(".zip .told").textContent !== message) at(".zip .told").textContent = message;
  at(".zip progress").hidden = over;
  if (told) at(".zip progress").value = told.progress;
  else at(".zip progress").removeAttribute("value");
  at(".zip .figures").textContent = told ? figures(told) : "";
  at(".zip .again").hidden = true;
  at(".zip .done").hidden = !over;
}

function figures({ progress, size: whole }) {
  return `${Math.floor(progress * 100)}\u00a0% · ${size(progress * whole)} of ${size(whole)}`;
}

const statusOf = (href) => href.replace(/\/download\/all(?=$|\?)/, "/download/all/status");

/** Seconds, or less when the network or the visitor comes back. */
function pause(seconds) {
  return new Promise((resolve) => {
    const events = [[window, "online"], [document, "visibilitychange"]];
    const done = () => {
      clearTimeout(timer);
      for (const [target, name] of events) target.removeEventListener(name, done);
      resolve();
    };
    const timer = setTimeout(done, seconds * 1000);
    for (const [target, name] of events) target.addEventListener(name, done);
  });
}

// What is waited for outlives a reload, each ZIP by itself. Where nothing can be stored, it lasts as long as the page.
const unstored = new Set();
function remember(href) {
  try {
    localStorage.setItem(store + href, Date.now());
  } catch {
    unstored.add(href);
  }
}
function remembered(href) {
  try {
    return unstored.has(href) || localStorage.getItem(store + href) !== null;
  } catch {
    return false;
  }
}
function forget(href) {
  unstored.delete(href);
  try {
    localStorage.removeItem(store + href);
  } catch {}
}
/** The ZIP of this link that was asked for last, unless that is too long ago. */
function begun() {
  try {
    const since = (name) => Number(localStorage.getItem(name));
    const names = Object.keys(localStorage).filter((name) => name.startsWith(store));
    const last = names.sort((one, other) => since(other) - since(one))[0];
    return last && Date.now() - since(last) < REMEMBERED_FOR ? last.slice(store.length) : null;
  } catch {
    return null;
  }
}

/** Bytes for people. */
export function size(bytes) {
  const units = ["B", "kB", "MB", "GB"];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) (bytes /= 1000), unit++;
  return `${bytes && bytes < 10 && unit ? bytes.toFixed(1) : Math.round(bytes)}\u00a0${units[unit]}`;
}

at(".zip .done").onclick = () => {
  at(".zip").hidden = true;
  at(".all").focus();
};
