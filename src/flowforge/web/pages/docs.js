// The API's reference. Changes by cookie need the token that the session's second cookie holds (X-CSRF-Token).
"use strict";

function readCookie(name) {
  const found = document.cookie.split("; ").find((each) => each.startsWith(name + "="));
  return found === undefined ? undefined : decodeURIComponent(found.slice(name.length + 1));
}

function addToken(request) {
  const token = readCookie("__Host-flowforge_csrf") ?? readCookie("flowforge_csrf");
  if (token !== undefined && new URL(request.url, location.href).origin === location.origin) {
    request.headers["X-CSRF-Token"] = token;
  }
  return request;
}

window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  validatorUrl: null,
  persistAuthorization: false,
  tryItOutEnabled: true,
  requestInterceptor: addToken,
});

// Whose rights the calls have; without a session they need a key, given by Authorize.
async function tellWho() {
  const place = document.getElementById("who");
  const answer = await fetch("api/v1/me", { credentials: "same-origin" });
  if (answer.ok) {
    place.textContent = `You call it as ${(await answer.json()).email}.`;
    return;
  }
  const link = document.createElement("a");
  link.href = "sign-in?next=/docs";
  link.textContent = "Sign in";
  place.append("You are not signed in. ", link, ", or give an API key by Authorize.");
}

tellWho();
