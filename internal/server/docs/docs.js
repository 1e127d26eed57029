"use strict";

// Events are taken on another listener, which answers no browser of another origin: there is nothing to try out here.
const onlyHere = {
  statePlugins: {
    spec: {
      wrapSelectors: {
        allowTryItOutFor: (original) => (state, path, method) => !path.startsWith("/v1/") && original(state, path, method),
      },
    },
  },
};

SwaggerUIBundle({
  url: "openapi.yaml",
  dom_id: "#docs",
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [onlyHere],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  showExtensions: true,
  persistAuthorization: false, // A token that was typed in is gone with the page.
  validatorUrl: null, // Or it would send the description to a stranger.
});
