// SPDX-License-Identifier: Apache-2.0
//
// Looks at a status page with Chromium. Its one argument is an object of JSON: modules (where playwright-core and axe-core
// are), base (the page's address), checks (the names of those to run), artifacts (a directory for pictures) and what single
// checks need. Prints a line of JSON for each check when it has ended: name, error if it failed, and said. A line with ask
// is a wish to whoever runs this.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const asked = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(asked.modules, "x"))("playwright-core");
const axe = readFileSync(join(asked.modules, "axe-core", "axe.min.js"), "utf8");
const patience = 90000; // milliseconds; it bounds a check that hangs, and no check is about speed

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync"],
});

const tell = line => console.log(JSON.stringify(line));
const ask = wish => tell({ ask: wish });

function ensure(is, text) { if (!is) throw new Error(text); }

let looked = 0; // pages
const heard = []; // of their consoles and policies

// open opens a page in a context of its own and passes it on. before runs in the page before its own script. What the console
// and the policy complain about is an error at the end, and is passed on, too.
async function open(path, { before = () => {}, ...options }, use) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, colorScheme: "light", ...options });
  context.setDefaultTimeout(patience);
  const complaints = [];
  const page = await context.newPage();
  page.on("console", m => { if (m.type() === "error" || m.type() === "warning") complaints.push(m.text()); });
  page.on("pageerror", e => complaints.push(String(e)));
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation",
    e => console.error("the policy refuses " + e.blockedURI + " for " + e.effectiveDirective)));
  await page.addInitScript(before);
  try {
    const answer = await page.goto(asked.base + path);
    ensure(answer.ok(), `${path} is answered with ${answer.status()}`);
    looked++;
    await use(page, complaints);
    ensure(complaints.length === 0, `the console of ${path} has: ${complaints.join("; ")}`);
  } finally {
    heard.push(...complaints);
    await context.close();
  }
}

// unmoved runs something, and wants the page not to have been loaded anew.
async function unmoved(page, run) {
  await page.evaluate(() => { window.loadedOnce = true; });
  await run();
  ensure(await page.evaluate(() => window.loadedOnce === true), "the page was loaded anew");
}

const live = page => page.waitForFunction(() => document.getElementById("live").textContent === "live");

// boot has a machine ask for its script.
async function boot(page, mac) {
  const script = await page.request.get(new URL("/pxelinux.cfg/" + mac, asked.base).href, { headers: { "User-Agent": "iPXE/1.21.1+" } });
  ensure(script.ok(), `the script for ${mac} is answered with ${script.status()}`);
}

// update has something happen, and waits until the page has taken in something newer.
async function update(page) {
  await boot(page, asked.boots[0]);
  const stamp = await page.locator("#stamp").textContent();
  await page.waitForFunction(old => document.getElementById("stamp").textContent !== old, stamp);
}

// pathOf is the path of a link within the page.
const pathOf = href => new URL(href, asked.base).href.slice(asked.base.length);
const rowOf = name => `#boots tbody tr:has(a:text-is("${name}"))`;
const picture = (page, name) => page.screenshot({ path: join(asked.artifacts, name + ".png") });

// lookAt opens a page of each sort, the boot that stands still among them, and passes it on with its name.
async function lookAt(rack, options, use) {
  let boot;
  await open("", {}, async page => { boot = await page.locator(rowOf("stalled")).first().locator("a").getAttribute("href"); });
  for (const [name, path] of [["rack", rack], ["boot", pathOf(boot)], ["images", "images"], ["unknown", "unknown"]]) {
    await open(path, options, page => use(page, name));
  }
}

// violations are what axe, which is in the page, finds.
async function violations(page) {
  const result = await page.evaluate(() => window.axe.run());
  ensure(result.passes.length > 5, "axe looked at nothing");
  return result.violations.map(v => `${v.id}: ${v.help}: ${v.nodes.map(n => n.html.slice(0, 160)).slice(0, 3).join(" | ")}`);
}

// secretsIn lists what is in a page, as it was sent and as it is now.
async function secretsIn(page, secrets) {
  const text = await (await page.request.get(page.url())).text() + await page.content();
  return Object.entries(secrets).filter(([, secret]) => text.includes(secret)).map(([what]) => what);
}

const checks = {
  // What the other checks rely on: axe, the console and the policy complain when there is a reason to.
  async control() {
    await open("unknown", { bypassCSP: true }, async page => {
      await page.addScriptTag({ content: axe });
      await page.evaluate(() => document.getElementById("main").append(Object.assign(new Image(), { src: "data:," })));
      const found = await violations(page);
      ensure(found.some(v => v.startsWith("image-alt")), "axe does not see an image without words");
    });
    await open("unknown", {}, async (page, complaints) => {
      await page.evaluate(() => document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" })));
      ensure(!await page.evaluate(() => window.ran), "the policy lets a script in that is not the page's");
      ensure(complaints.some(c => c.includes("the policy refuses")), "nobody hears of what the policy refuses: " + complaints.join("; "));
      complaints.length = 0;
    });
  },

  // A machine is switched on. It shows, and its bar grows each time that more of its ramdisk comes; nobody loads the page, and
  // it looks for nothing by itself, without news from the edge.
  async live() {
    const seen = [];
    await open("", { before: () => { window.setInterval = () => 0; } }, page => unmoved(page, async () => {
      await live(page);
      ensure(await page.locator(rowOf("stalled")).count() === 0, "the machine is there before it is switched on");
      ask("on");
      await page.locator(rowOf("stalled")).first().waitFor();
      for (let last = 0; seen.length < 3; seen.push(last)) {
        const bar = await page.waitForFunction(last => {
          const bar = document.querySelector("#boots progress[aria-label=deploy_ramdisk]");
          return bar && bar.value > last && bar.value;
        }, last, { polling: 100 });
        last = await bar.jsonValue();
        ask("more");
      }
      await picture(page, "live");
    }));
    ask("pause");
    return "its ramdisk was seen at " + seen.join(" %, ") + " %";
  },

  async search() {
    await open("", {}, page => unmoved(page, async () => {
      await live(page);
      const names = () => page.locator("#nodes tbody th").allTextContents();
      const all = (await names()).length;
      for (const query of ["52-54-00-17-00-05", "52:54:00:17:00:05", "RACK17-N05", "6d4c7e01-1700-4000-8000-000000000005", asked.asset]) {
        await page.locator("#q").fill("");
        await page.locator("#q").pressSequentially(query);
        await page.waitForFunction(query => document.querySelector("#nodes caption").textContent.includes(`“${query}”`), query);
        const found = await page.locator("#nodes tbody th, #boots tbody th").allTextContents();
        ensure(found.length >= 1 && found.every(name => name === "rack17-n05"), `${query} finds ${found.join(", ")}`);
        ensure(new URL(page.url()).searchParams.get("q") === query, "the address does not have the search for " + query);
      }
      await page.locator("#q").fill("");
      await page.waitForFunction(all => document.querySelectorAll("#nodes tbody tr").length === all, all);
      ensure(await page.evaluate(() => document.activeElement.id) === "q", "the search has lost the keyboard");
    }));
    await open("images", {}, page => unmoved(page, async () => {
      await page.locator("#q").pressSequentially("stalled.initramfs");
      await page.waitForFunction(() => document.querySelectorAll("#images tbody tr").length === 1);
      ensure((await page.locator("#images tbody").textContent()).includes("stalled.initramfs"), "another image is found");
    }));
  },

  // The boot that stands still says so and what to do, on the rack's page as soon as it is known, and on its own.
  async stuck() {
    let boot;
    await open("", {}, page => unmoved(page, async () => {
      const row = page.locator(rowOf("stalled"), { hasText: "stands still at" }).first();
      await row.waitFor();
      const advice = await row.textContent();
      ensure(advice.includes("ramdisk, stuck") && advice.includes("NIC driver"), "the rack does not say what to do: " + advice);
      ensure((await page.locator("#boots tbody th").first().textContent()) === "stalled", "what needs somebody is not first");
      boot = await row.locator("a").getAttribute("href");
    }));
    await open(pathOf(boot), {}, async page => {
      const diagnosis = await page.locator(".diagnosis.bad").first().textContent();
      ensure(diagnosis.includes("deploy_ramdisk stands still at ") && diagnosis.includes("NIC driver"), "the boot's diagnosis is: " + diagnosis);
      ensure(await page.locator("ol.steps [aria-current=step]").textContent() === "ramdisk", "the boot is not at its ramdisk");
    });
  },

  async axe() {
    await lookAt("?q=wait", { bypassCSP: true }, async (page, name) => { // the rack with a few rows: they are all alike
      await page.addScriptTag({ content: axe });
      for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["dark", 360]]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 800 });
        const found = await violations(page);
        ensure(found.length === 0, `${name}, ${colorScheme}, ${width} px: ${found.join("; ")}`);
      }
    });
  },

  async width() {
    await lookAt("", {}, async (page, name) => {
      for (const [width, height, schemes] of [[360, 740, ["light", "dark"]], [1280, 900, ["light", "dark"]], [3840, 2160, name === "rack" ? ["light"] : []]]) {
        await page.setViewportSize({ width, height });
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        for (const colorScheme of schemes) {
          await page.emulateMedia({ colorScheme });
          await picture(page, `${name}-${width}-${colorScheme}`);
        }
        ensure(wide <= width, `${name} is ${wide} px wide on a screen of ${width} px`);
      }
    });
    await open("unknown", { viewport: { width: 360, height: 740 } }, async page => {
      await page.evaluate(() => document.getElementById("main").append(Object.assign(document.createElement("p"), { textContent: "x".repeat(100) })));
      ensure(await page.evaluate(() => document.documentElement.scrollWidth) > 360, "what is too wide is not seen");
    });
  },

  // Everything is reached by Tab, shows that it has the keyboard, and keeps it when the page changes.
  async keyboard() {
    await open("", { viewport: { width: 700, height: 900 } }, async page => {
      await live(page);
      const reach = async (what, at) => {
        for (let i = 0; i < 20; i++) {
          await page.keyboard.press("Tab");
          if (await page.evaluate(at)) {
            const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
            ensure(outline !== "none", `nothing shows that ${what} has the keyboard`);
            return;
          }
        }
        throw new Error(`Tab does not reach ${what}`);
      };
      await reach("the way to the content", () => document.activeElement.hash === "#main" && document.activeElement.getBoundingClientRect().left >= 0);
      await reach("the search", () => document.activeElement.id === "q");
      await reach("the table of boots", () => document.activeElement.getAttribute("aria-label") === "Boots");
      for (let i = 0; i < 5; i++) await page.keyboard.press("ArrowRight");
      await page.waitForFunction(() => document.activeElement.scrollLeft > 0); // it glides there
      await update(page);
      ensure(await page.evaluate(() => document.activeElement.getAttribute("aria-label") === "Boots"), "an update takes the keyboard from the table");
      ensure(await page.evaluate(() => document.activeElement.scrollLeft > 0), "an update scrolls the table back");
      await reach("the first boot", () => document.activeElement === document.querySelector("#boots tbody a"));
      const to = await page.evaluate(() => document.activeElement.href);
      await update(page);
      ensure(await page.evaluate(to => document.activeElement.href === to, to), "an update takes the keyboard from the boot");
      await page.keyboard.press("Enter");
      await page.waitForURL(to);
      await page.locator("ol.steps").waitFor();
    });
  },

  async "no script"() {
    await open("", { javaScriptEnabled: false }, async page => {
      await page.locator(rowOf("stalled")).first().waitFor();
      const head = await page.locator("#boots thead th[scope=col]").count();
      const body = await page.locator("#boots tbody tr").first().locator("th[scope=row], td").count();
      ensure(head === 7 && body === 7, `the table has ${head} headings and ${body} cells in a row`);
      await page.locator("#q").fill("rack17-n05");
      await page.getByRole("button", { name: "Search" }).click();
      await page.waitForURL(/q=rack17-n05/);
      const names = await page.locator("#nodes tbody th").allTextContents();
      ensure(names.length === 1 && names[0] === "rack17-n05", "the search shows " + names.join(", "));
    });
  },

  // No page holds what is secret; the first page of all is one that does, to see that it would be found.
  async secrets() {
    const names = Object.keys(asked.secrets);
    await open("", {}, async page => {
      await page.evaluate(secrets => document.getElementById("main").append(Object.values(secrets).join(" ")), asked.secrets);
      const found = await secretsIn(page, asked.secrets);
      ensure(found.length === names.length, "of " + names.join(", ") + " only these are found: " + found.join(", "));
    });
    const paths = ["images", "unknown", ""];
    await open("", {}, async page => {
      for (const query of ["rack17-n", "stalled"]) { // whose boots had to do with them
        await page.goto(asked.base + "?q=" + query);
        paths.push(...(await page.locator("#boots tbody a").evaluateAll(links => links.map(a => a.href))).map(pathOf));
      }
      ensure(paths.length >= 3 + names.length, "the boots that had to do with secrets are not there: " + paths.join(", "));
      for (const path of paths) {
        await page.goto(asked.base + path);
        const found = await secretsIn(page, asked.secrets);
        ensure(found.length === 0, `${path} shows ${found.join(", ")}`);
      }
    });
    return `${names.join(", ")} are on none of ${paths.length} pages`;
  },

  // A rack of thousands of nodes: what one boot changes is what is touched, and a search asks once and not for each letter.
  async fleet() {
    let said;
    await open("", {}, page => unmoved(page, async () => {
      await live(page);
      const loaded = await page.evaluate(() => {
        window.work = { added: 0, removed: 0, changed: 0, tasks: [] };
        const size = nodes => [...nodes].reduce((n, node) => n + 1 + (node.querySelectorAll?.("*").length ?? 0), 0);
        new MutationObserver(list => {
          for (const m of list) {
            window.work.added += size(m.addedNodes);
            window.work.removed += size(m.removedNodes);
            if (m.type !== "childList") window.work.changed++;
          }
        }).observe(document.getElementById("main"), { subtree: true, childList: true, characterData: true, attributes: true });
        new PerformanceObserver(list => window.work.tasks.push(...list.getEntries().map(e => Math.round(e.duration)))).observe({ type: "longtask" });
        const n = performance.getEntriesByType("navigation")[0];
        return { answer: n.responseEnd - n.requestStart, whole: n.loadEventEnd, bytes: n.decodedBodySize, elements: document.querySelectorAll("*").length };
      });
      const known = Number(/of (\d+)/.exec(await page.locator("#nodes caption").textContent())[1]);
      ensure(known > 5000, `${known} nodes are known`);
      ensure(loaded.elements < 5000, `the page has ${loaded.elements} elements`);
      const work = () => page.evaluate(() => window.work), most = { added: 0, removed: 0, changed: 0 };
      for (const mac of asked.boots.slice(1)) {
        const before = await work();
        await boot(page, mac);
        await page.waitForFunction(mac => document.querySelector("#boots tbody").textContent.includes(mac), mac.replaceAll("-", ":"));
        const after = await work();
        for (const what of Object.keys(most)) most[what] = Math.max(most[what], after[what] - before[what]);
      }
      // A row has a dozen elements and texts; one comes, one goes, and others may have come meanwhile. All rows have thousands.
      ensure(most.added > 0 && most.added < 200 && most.removed < 200, "a boot more has the page work: " + JSON.stringify(most));

      let fetches = 0;
      page.on("request", r => { if (r.url().includes("q=")) fetches++; });
      const whole = "52-54-00-50-10-e1", began = performance.now(); // node-4321
      await page.locator("#q").pressSequentially(whole);
      await page.waitForFunction(() => document.querySelectorAll("#nodes tbody tr").length === 1);
      const found = performance.now() - began;
      ensure(await page.locator("#q").inputValue() === whole, "letters are lost");
      ensure((await page.locator("#nodes tbody").textContent()).includes("node-4321"), "another node is found");
      const { tasks } = await work();
      said = `${known} nodes: the page is answered in ${loaded.answer.toFixed(0)} ms, whole after ${loaded.whole.toFixed(0)} ms, ${loaded.bytes} bytes, ${loaded.elements} elements; ` +
        `one boot more adds ${most.added}, removes ${most.removed} and changes ${most.changed} at most; ` +
        `a search of ${whole.length} letters asks ${fetches} times and shows after ${found.toFixed(0)} ms; tasks of 50 ms and longer: ${tasks.join(", ") || "none"}`;
    }));
    return said;
  },

  // This is the last one.
  async console() {
    ensure(heard.length === 0, heard.join("; "));
    return `no console of ${looked} pages had a word, and the policy refused nothing`;
  },

  // The picture for the documentation.
  async shot() {
    await open("", { viewport: { width: 1200, height: 820 } }, async page => {
      await page.locator("#boots tbody tr", { hasText: "stands still at" }).first().waitFor();
      await page.waitForFunction(() => [...document.querySelectorAll("#boots progress")].some(p => p.value > 10 && p.value < 90 && !p.closest("tr").textContent.includes("stuck")));
      await page.screenshot({ path: asked.file });
    });
  },
};

for (const name of asked.checks) {
  const result = { name };
  try {
    result.said = await checks[name]();
  } catch (e) {
    result.error = String(e);
  }
  tell(result);
}
await browser.close();
