"use strict";

// The page asks nobody but this server: `validatorUrl` would send the document's address to a service elsewhere.
SwaggerUIBundle({
  url: "/api/v1/openapi_spec",
  dom_id: "#api",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: false,
});
