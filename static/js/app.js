// Upgrades only: every page works without this file. Hooks are data-* attributes.
import "./ask.js";
import "./frame.js";
import "./session.js";
import "./form.js";
import "./list.js";
import "./live.js";
