// What pages gain where scripts run. Every page and act works without.
import { showLocalTimes } from "./time.js";
import { watchKeys } from "./keys.js";

showLocalTimes(document);
watchKeys();
