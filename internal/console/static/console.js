// What pages gain where scripts run. Every page and act works without.
import { chooseAll } from "./choose.js";
import { watchKeys } from "./keys.js";
import { watchLive } from "./live.js";
import { showPlace } from "./nav.js";
import { showLocalTimes } from "./time.js";

showLocalTimes(document);
showPlace();
watchKeys();
watchLive();
chooseAll();
