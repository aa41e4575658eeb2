"use strict";

const api = "/api/v1/auth";
const byId = (id) => document.getElementById(id);

function say(text, isProblem = false) {
  byId("message").textContent = text;
  byId("message").className = isProblem ? "problem" : "";
}

function show(id) {
  byId(id).hidden = false;
}

async function send(path, body) {
  const answer = await fetch(api + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "same-origin",
  });
  const told = answer.status === 204 ? {} : await answer.json();
  if (answer.ok) return told;
  const error = new Error(told.error?.message ?? "Something went wrong; try again.");
  error.code = told.error?.details?.[0]?.code;
  throw error;
}

// Only a path of our own: another site cannot send people on through this page.
function findNext() {
  const next = new URLSearchParams(location.search).get("next") ?? "/docs";
  try {
    const address = new URL(next, location.origin);
    const isOurs = next.startsWith("/") && address.origin === location.origin && address.pathname !== location.pathname;
    return isOurs ? address.pathname + address.search : "/docs";
  } catch {
    return "/docs";
  }
}

function onSubmit(id, work) {
  byId(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = byId(id).querySelector("button[type=submit]");
    button.disabled = true;
    try {
      await work(Object.fromEntries(new FormData(byId(id))));
    } catch (error) {
      if (error.code === "code_required") {
        show("code-field");
        byId("code").required = true;
        byId("code").focus();
      }
      say(error.message, true);
    } finally {
      button.disabled = false;
    }
  });
}

async function useLink(token) {
  try {
    await send("/link", { token });
    location.replace(findNext());
  } catch (error) {
    say(error.message, true);
    await showForm();
  }
}

async function showForm() {
  const answer = await fetch(api + "/config", { credentials: "same-origin" });
  const config = answer.ok ? await answer.json() : { local_accounts: true, providers: [] };
  if (config.local_accounts) show("sign-in");
  for (const provider of config.providers) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `${api}/oidc/${encodeURIComponent(provider.name)}/login?next=${encodeURIComponent(findNext())}`;
    link.textContent = `Sign in with ${provider.title}`;
    item.append(link);
    byId("providers").append(item);
    show("providers");
  }
}

onSubmit("sign-in", async ({ email, password, code }) => {
  await send("/login", code ? { email, password, code } : { email, password });
  location.replace(findNext());
});

byId("forgotten").addEventListener("click", async () => {
  if (!byId("email").reportValidity()) return;
  try {
    say((await send("/password-reset", { email: byId("email").value })).message);
  } catch (error) {
    say(error.message, true);
  }
});

const fragment = new URLSearchParams(location.hash.slice(1));
// The token leaves the address at once, so that it is in no history.
history.replaceState(null, "", location.pathname + location.search);

if (fragment.has("token")) {
  useLink(fragment.get("token"));
} else if (fragment.has("confirm")) {
  say("One step is left.");
  show("confirm");
  onSubmit("confirm", () => useLink(fragment.get("confirm")));
} else if (fragment.has("reset")) {
  say("Choose a new password.");
  show("reset");
  onSubmit("reset", async ({ password }) => {
    await send("/password-reset/confirm", { token: fragment.get("reset"), password });
    byId("reset").hidden = true;
    say("Your password is set. Sign in with it.");
    await showForm();
  });
} else {
  say("Sign in to go on.");
  showForm();
}
