// The page of an invitation. Its code stands after "#", which browsers send to no server.
const at = (selector) => document.querySelector(selector);
const LATER = "That did not work. Please try again in a moment.";

function end(text) {
  at("form").hidden = true;
  at(".note").textContent = text;
  at(".note").hidden = false;
}

async function join(event) {
  event.preventDefault();
  at(".button").disabled = true;
  at(".wrong").textContent = "";
  const body = { email: at("#email").value, password: at("#password").value, invitation: location.hash.slice(1) };
  const headers = { "Content-Type": "application/json" };
  const answer = await fetch("auth/register", { method: "POST", headers, body: JSON.stringify(body) }).catch(() => null);
  const given = (await answer?.json().catch(() => null)) ?? {};
  at(".button").disabled = false;
  if (!answer?.ok) return (at(".wrong").textContent = given.detail || LATER);
  history.replaceState(null, "", location.pathname); // a used code need not stay in the browser's history
  end(`The account of ${given.email} is open. You can sign in now.`);
  at(".next").hidden = false;
}

if (location.hash.length > 1) at("form").addEventListener("submit", join);
else end("This address lacks the invitation's code: copy the whole address that you were sent.");
