"use strict";

// The header that pages of others cannot send: with it the server takes the browser's session for what changes something.
const OURS = { "X-Requested-With": "qchive" };
const account = document.getElementById("account");
const login = document.getElementById("login");
const logout = document.getElementById("logout");
const said = document.getElementById("said");

async function ask(method, path, body) {
  const headers = { ...OURS, "Content-Type": "application/json" };
  const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  const reply = await answer.json();
  if (!answer.ok) throw new Error(reply.msg);
  return reply;
}

// Who the server takes this browser for.
async function show() {
  const { user_info: user } = await ask("GET", "/api/v1/ping");
  login.hidden = Boolean(user);
  logout.hidden = !user;
  document.getElementById("name").textContent = user ? `Logged in as ${user.username} (${user.role})` : "";
  return user;
}

function when(form, act) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    said.textContent = "";
    try {
      await act();
    } catch (error) {
      said.textContent = error.message;
    }
  });
}

when(login, async () => {
  await ask("POST", "/auth/v1/session_login", Object.fromEntries(new FormData(login)));
  login.reset();
  if (!(await show())) throw new Error("The browser has not kept the session: it does so over https only.");
});

when(logout, async () => {
  await ask("POST", "/auth/v1/session_logout");
  await show();
});

// The page asks nobody but this server: `validatorUrl` would send the document's address to a service elsewhere.
const page = SwaggerUIBundle({
  url: "/api/v1/openapi_spec",
  dom_id: "#api",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: false,
  requestInterceptor: (request) => ({ ...request, headers: { ...request.headers, ...OURS } }),
  onComplete: async () => {
    // Where nobody logs in, the document knows of no way to.
    if (!page.specSelectors.specJson().hasIn(["components", "securitySchemes"])) return;
    await show();
    account.hidden = false;
  },
});
