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
