// Runs a program once, up to its first answer, and writes what V8 compiled of it to standard
// output, as an archive: PROGRAM [MESSAGE].
const { spawn, spawnSync } = require("node:child_process");
const fs = require("node:fs");

const [program, message] = process.argv.slice(1);
const cache = "/tmp/v8";
const preload = "/tmp/preload.cjs";

// Many servers end by a signal only, and nothing is written then: they are told when to write.
// What has been written once is not written again, so not before the answer.
fs.writeFileSync(
  preload,
  `const fs = require("node:fs");
  const timer = setInterval(() => {
    if (!fs.existsSync("/tmp/answered")) return;
    clearInterval(timer);
    require("node:module").flushCompileCache?.();
    fs.writeFileSync("/tmp/written", "");
  }, 20);
  timer.unref();`,
);
const env = { ...process.env, NODE_COMPILE_CACHE: cache, NODE_OPTIONS: `--require=${preload}` };
const child = spawn(program, [], { env, stdio: ["pipe", "pipe", "ignore"] });
child.stdin.on("error", () => {});
if (message) child.stdin.write(message + "\n");
else child.stdin.end();

const finish = () => {
  child.kill("SIGKILL");
  if (fs.existsSync(cache)) spawnSync("tar", ["-C", cache, "-c", "."], { stdio: ["ignore", "inherit", "ignore"] });
  process.exit();
};
child.on("exit", finish).on("error", finish);
const answered = () => {
  fs.writeFileSync("/tmp/answered", "");
  setInterval(() => fs.existsSync("/tmp/written") && finish(), 10);
  setTimeout(finish, 1000);
};
child.stdout.once("data", answered);
setTimeout(answered, 3000);
