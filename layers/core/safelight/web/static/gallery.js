import * as downloads from "./downloads.js";
import * as favourites from "./favourites.js";

// The visitor's page: asks for the gallery as JSON on its own address, shows it, and hands out the downloads.
const here = location.pathname.replace(/\/+$/, "");
const at = (selector) => document.querySelector(selector);
const photos = [];
let gallery = null;
let shown = -1;

let loading = null;
// One page at a time, however often the button is pressed.
function load(cursor) {
  return (loading ??= add(cursor).finally(() => (loading = null)));
}

async function add(cursor) {
  at(".more").disabled = true;
  const query = cursor ? `?cursor=${encodeURIComponent(cursor)}` : "";
  const answer = await fetch(here + query, { headers: { Accept: "application/json" } }).catch(() => null);
  const body = (await answer?.json().catch(() => null)) ?? {};
  at(".more").disabled = false;
  if (answer?.status === 401 && body.code === "password_required") return lock();
  at(".more").textContent = answer?.ok ? "Show more photos" : "That did not work. Try again";
  if (!answer?.ok && photos.length) return;
  if (!answer?.ok) return say(body.detail || "The gallery cannot be opened just now. Please try again in a moment.");
  gallery = body;
  const first = photos.length;
  photos.push(...body.photos);
  at(".lock").hidden = true;
  present(first);
  if (!first && photos.length) await favourites.begin(here, { prepare: downloads.prepare, refresh: filter });
  favourites.offered(gallery.download !== "none");
}

function present(first) {
  const title = gallery.gallery.title || "Photos for you";
  document.title = title;
  at(".bar h1").textContent = title;
  at(".about").textContent = gallery.gallery.description;
  at(".bar").hidden = false;
  at(".count").textContent = `${photos.length}${gallery.next_cursor ? "+" : ""} photo${photos.length === 1 ? "" : "s"}${until(gallery.expires_at)}`;
  at(".grid").append(...photos.slice(first).map((photo, offset) => tile(photo, first + offset)));
  at(".more").hidden = !gallery.next_cursor;
  nearing.unobserve(at(".more"));
  nearing.observe(at(".more"));
  if (!photos.length) return say("There are no photos here yet. Please look again later.");
  at(".note").hidden = true;
  if (gallery.download !== "none") downloads.offer(here);
  const wanted = photos.findIndex((photo) => `#${photo.photo_id}` === location.hash);
  if (wanted >= 0 && shown < 0) open(wanted);
}

function until(expires) {
  return expires ? ` · until ${new Date(expires).toLocaleDateString(undefined, { dateStyle: "medium" })}` : "";
}

function tile(photo, index) {
  const item = document.createElement("li");
  item.style.setProperty("--ratio", (photo.width / photo.height).toFixed(4));
  const button = document.createElement("button");
  button.setAttribute("aria-label", `Open ${photo.filename}`);
  const image = new Image(photo.width, photo.height);
  image.loading = "lazy";
  image.decoding = "async";
  image.alt = "";
  image.onload = () => image.classList.add("shown");
  image.onerror = () => renew(image, photo, "thumb");
  image.src = photo.thumbnail_url;
  button.append(image);
  button.onclick = () => open(index);
  item.append(button, favourites.heart(photo));
  item.hidden = favourites.filtering() && !favourites.isPicked(photo);
  return item;
}

// A page left open outlives its signed addresses: this one signs a new one each time.
function renew(image, photo, size) {
  const lasting = `${here}/photos/${photo.photo_id}?size=${size}`;
  if (!image.src.endsWith(lasting)) image.src = lasting;
}

function open(index) {
  const viewer = at(".viewer");
  if (!viewer.open) {
    viewer.showModal();
    history.pushState({ viewer: true }, "");
  }
  show(index);
}

function show(index) {
  shown = index;
  const photo = photos[shown];
  const places = visible();
  const place = places.indexOf(shown);
  favourites.follow(photo);
  at(".viewer img").onerror = ({ target }) => renew(target, photo, "preview");
  at(".viewer img").src = photo.preview_url;
  at(".viewer img").alt = photo.filename;
  at(".viewer .name").textContent = photo.filename;
  at(".viewer .place").textContent = `${place + 1} / ${places.length}`;
  at(".one").hidden = gallery.download === "none";
  at(".one").href = `${here}/download/${photo.photo_id}`;
  history.replaceState(history.state, "", `#${photo.photo_id}`);
  for (const by of [1, -1]) new Image().src = photos[places.at((place + by) % places.length)].preview_url;
}

function step(by) {
  const places = visible();
  show(places.at((places.indexOf(shown) + by) % places.length));
}

// The places on the grid that the filter leaves; a favourite that is taken back stays in sight until it is set again.
function visible() {
  return [...at(".grid").children].flatMap((item, index) => (item.hidden ? [] : [index]));
}

async function filter() {
  for (let cursor = null; favourites.filtering() && gallery.next_cursor && gallery.next_cursor !== cursor; ) {
    cursor = gallery.next_cursor; // the same once more: that page could not be had
    await load(cursor);
  }
  [...at(".grid").children].forEach((item, index) => {
    item.hidden = favourites.filtering() && !favourites.isPicked(photos[index]);
  });
  scrollTo({ top: 0 });
}

function lock() {
  at(".note").hidden = true;
  at(".lock").hidden = false;
  at("#password").focus();
}

function say(text) {
  at(".note").textContent = text;
  at(".note").hidden = false;
}

at(".lock").onsubmit = async (event) => {
  event.preventDefault();
  at(".wrong").textContent = "";
  const answer = await fetch(`${here}/unlock`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ password: at("#password").value }),
  }).catch(() => null);
  if (answer?.ok) return load(gallery?.next_cursor); // from where it stopped, when the link was locked on the way
  at(".wrong").textContent = (await answer?.json().catch(() => null))?.detail || "Please try again.";
  at("#password").select();
};
// The last press may come when all are there already; without a cursor it would bring the first ones again.
at(".more").onclick = () => gallery?.next_cursor && load(gallery.next_cursor);
// Whoever scrolls need not press it. Watching starts anew with every page, as a short one leaves the button in sight.
const nearing = new IntersectionObserver(([more]) => more.isIntersecting && at(".more").click(), { rootMargin: "800px" });
at(".close").onclick = () => history.back();
at(".previous").onclick = () => step(-1);
at(".next").onclick = () => step(1);
at(".viewer").oncancel = (event) => (event.preventDefault(), history.back());
window.onpopstate = () => {
  at(".viewer").close();
  at(".grid").children[shown]?.querySelector("button").focus();
  history.replaceState(null, "", here);
};
at(".viewer").onkeydown = ({ key, target }) => {
  if (key === "ArrowLeft") step(-1);
  // A button that has the focus is what the space bar presses.
  if (key === "ArrowRight" || (key === " " && !target.closest("button, a"))) step(1);
  if (key === "h") favourites.toggle();
  if (key === "d" && !at(".one").hidden) at(".one").click();
};
let touched = null;
at(".viewer").ontouchstart = ({ touches }) => (touched = touches.length === 1 ? touches[0] : null);
at(".viewer").ontouchend = ({ changedTouches: [end] }) => {
  if (!touched || window.visualViewport?.scale > 1.01) return;
  const [across, down] = [end.clientX - touched.clientX, end.clientY - touched.clientY];
  if (Math.abs(across) > 50 && Math.abs(across) > Math.abs(down)) step(across < 0 ? 1 : -1);
  else if (down > 90) history.back();
};
load();
